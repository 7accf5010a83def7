"""Downloads, only when asked for: checked by size and digest, resumed where they stopped, there whole or not at all."""

import hashlib
import http.client
import os
import ssl
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import IO, NamedTuple

from episodes.datasets.store.archive import unpack
from episodes.datasets.store.file import is_full
from episodes.errors import UserError
from episodes.locks import locked
from episodes.progress import OnProgress, show_progress

TIMEOUT = 30.0  # seconds without a byte

_CHUNK = 1 << 18
_NETWORK = (urllib.error.URLError, http.client.HTTPException, ssl.SSLError, TimeoutError, ConnectionError)
_PAGE_BEGINS = (b"<!doctype", b"<html", b"<head", b"<body", b"<script", b"<?xml", b"<!--")


class Published(NamedTuple):
    """A file as its publisher has it.

    Attributes:
        url: where it is.
        name: file name.
        size: bytes.
        digest: ``"sha256:..."`` or, where nothing better was ever published, ``"md5:..."``.
    """

    url: str
    name: str
    size: int
    digest: str


def fetch_and_unpack(files: list[Published], folder: Path) -> None:
    """Download archives into a folder and unpack them there.

    Raises:
        UserError: as :func:`fetch` and :func:`episodes.datasets.store.archive.unpack`; or if the folder cannot be
            written to.
    """
    for file in files:
        fetch(file.url, folder / file.name, file.size, file.digest)
        try:
            unpack(folder / file.name, folder)
        except OSError as error:
            raise UserError(f"cannot unpack {folder / file.name} ({_why(error)}); make room and try again") from None


def fetch(url: str, path: Path, size: int, digest: str, timeout: float = TIMEOUT) -> Path:
    """Download a file unless it is there already; either way it is checked.

    While it comes it is called ``NAME.part``; one that is found there is gone on with.

    Args:
        url: http or https.
        path: where it goes; the folder is made.
        size: bytes it must have.
        digest: ``"sha256:HEX"`` or ``"md5:HEX"`` that it must have.
        timeout: seconds without an answer or a byte after which it is given up.

    Returns:
        The path.

    Raises:
        UserError: if it cannot be fetched, is a web page instead, or is not the file that was published; with what to
            do. What has come is kept for the next try unless it is of no use.
    """
    if not url.startswith(("https://", "http://")):
        raise UserError(f"cannot download {url}: only http and https")
    if path.exists():
        _check(path, size, digest, f"{path} is not what {url} should give; delete it and try again")
        return path
    part = path.with_name(path.name + ".part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with _mine(part) as file:
            if part.stat().st_size < size:
                _receive(url, path, file, size, timeout)
        try:
            _check(part, size, digest, f"what {url} gave is not the file that was published; try again later")
        except UserError:
            part.unlink()
            raise
        os.replace(part, path)
    except OSError as error:
        raise UserError(f"cannot write {part} ({_why(error)}); make room or choose another folder") from None
    return path


@contextmanager
def _mine(part: Path) -> Iterator[IO[bytes]]:
    """The part file, open for appending, and for no other process at the same time."""
    with ExitStack() as stack:
        file = stack.enter_context(open(part, "ab"))
        try:
            stack.enter_context(locked(part, wait=False))
        except BlockingIOError:
            raise UserError(f"another process is downloading {part}; wait for it") from None
        yield file


def _receive(url: str, path: Path, file: IO[bytes], size: int, timeout: float) -> None:
    """Append what is missing."""
    have = file.seek(0, os.SEEK_END)
    headers = {"User-Agent": "fewshot-sla", "Accept-Encoding": "identity"}
    if have:
        headers["Range"] = f"bytes={have}-"
    try:
        with urllib.request.urlopen(urllib.request.Request(url, headers=headers), timeout=timeout) as answer:
            if have and not _goes_on(answer, have):  # a server that cannot resume sends everything again
                have = 0
                file.truncate(0)
            first = _first(answer, url, path, size - have)
            with show_progress(f"downloading {path.name}") as on_progress:
                _copy(first, answer, file, size, on_progress)
    except urllib.error.HTTPError as error:
        error.close()
        if error.code == http.client.REQUESTED_RANGE_NOT_SATISFIABLE:
            file.truncate(0)  # what is there is not the beginning of what the server has
        raise _by_hand(url, path, f"the server answered {error.code} {error.reason}") from None
    except _NETWORK as error:
        why = str(getattr(error, "reason", error)) or type(error).__name__
        raise _stopped(url, file, size, why) from None
    if file.tell() < size:
        raise _stopped(url, file, size, "the connection was closed")


def _goes_on(answer: http.client.HTTPResponse, have: int) -> bool:
    return answer.status == 206 and (answer.headers.get("Content-Range") or "").startswith(f"bytes {have}-")


def _first(answer: http.client.HTTPResponse, url: str, path: Path, expected: int) -> bytes:
    """The first bytes of the answer, if they can belong to the file."""
    first = answer.read1(_CHUNK)
    page = (answer.headers.get("Content-Type") or "").lower().startswith("text/html")
    if page or first.lstrip(b"\xef\xbb\xbf \t\r\n").lower().startswith(_PAGE_BEGINS):
        raise _by_hand(url, path, "it gives a web page in place of the file (a quota, a sign-in or a moved address)")
    length = answer.headers.get("Content-Length")
    if length is not None and int(length) != expected:
        raise _by_hand(url, path, f"it has {length} bytes to send where {expected} are missing: not the same file")
    return first


def _copy(data: bytes, answer: http.client.HTTPResponse, file: IO[bytes], size: int, on_progress: OnProgress) -> None:
    """Write all that comes, but no more than there should be."""
    while data:
        if file.tell() + len(data) > size:
            data = data[: size - file.tell() + 1]  # one byte too many is enough to be seen
        file.write(data)
        done = file.tell()
        if done > size:
            return
        on_progress("MB", done >> 20, size >> 20)
        data = answer.read1(_CHUNK)


def _check(path: Path, size: int, digest: str, otherwise: str) -> None:
    """Compare size and digest."""
    there = path.stat().st_size
    if there != size:
        raise UserError(f"{otherwise} ({there} bytes, published are {size})")
    kind, _, expected = digest.partition(":")
    with open(path, "rb") as file:
        found = hashlib.file_digest(file, kind).hexdigest()
    if found != expected:
        raise UserError(f"{otherwise} ({kind} {found}, published is {expected})")


def _stopped(url: str, file: IO[bytes], size: int, why: str) -> UserError:
    file.flush()
    return UserError(
        f"the download of {url} stopped at {file.tell()} of {size} bytes ({why}); run it again, it goes on from there"
    )


def _by_hand(url: str, path: Path, why: str) -> UserError:
    return UserError(f"cannot download {url}: {why}. Get {path.name} by hand and put it into {path.parent}")


def _why(error: OSError) -> str:
    return "the disk is full" if is_full(error) else str(error)

"""Unpacking archives: into their folder and nowhere else, whole or not at all."""

import lzma
import os
import secrets
import shutil
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from episodes.errors import UserError

_BROKEN = (tarfile.TarError, zipfile.BadZipFile, zlib.error, lzma.LZMAError, EOFError)
_Member = tuple[str, Callable[[], IO[bytes] | None] | None]  # name, and how a file is opened; None for a folder


def unpack(archive: str | os.PathLike[str], folder: str | os.PathLike[str]) -> None:
    """Unpack a tar (plain or compressed) or zip archive; what is already in the folder under the same name is replaced.

    Only the content of regular files is taken: no links, no devices, no owners or permissions. Everything is unpacked
    into a hidden folder first and moved when it is complete.

    Args:
        archive: the file.
        folder: where its content goes; made if missing.

    Raises:
        UserError: if the archive is cut off or broken, or has a member that is a link or would leave the folder.
        OSError: if the archive cannot be read or the folder not be written to (a full disk, for instance).
    """
    archive, folder = Path(archive), Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    part = folder / f".{archive.name}.{secrets.token_hex(8)}.part"
    try:
        with _members(archive) as members:
            for name, open_file in members:
                _place(archive, part, name, open_file)
        for path in sorted(part.iterdir()) if part.exists() else ():
            _move(path, folder / path.name)
    except _BROKEN as error:
        raise UserError(f"{archive} is cut off or broken ({error}); delete it and get it again") from None
    finally:
        shutil.rmtree(part, ignore_errors=True)


@contextmanager
def _members(archive: Path) -> Iterator[Iterator[_Member]]:
    """All members of an archive in its order, which is the only one that a compressed tar can be read in."""
    if zipfile.is_zipfile(archive):
        with zipfile.ZipFile(archive) as zipped:
            yield _zip_members(archive, zipped)
    else:
        with tarfile.open(archive) as tarred:
            yield _tar_members(archive, tarred)


def _zip_members(archive: Path, zipped: zipfile.ZipFile) -> Iterator[_Member]:
    for info in zipped.infolist():
        if info.flag_bits & 1:
            raise UserError(f"{archive} is locked with a password; unpack it by hand")
        kind = info.external_attr >> 28  # of the file in Unix, if it came from there: 10 is a symbolic link
        if kind not in (0, 4, 8):
            raise _refused(archive, info.filename, "is not a regular file")
        # The name as it is in the file: zipfile's own ends at a zero byte.
        yield info.orig_filename, None if info.is_dir() else lambda info=info: zipped.open(info)  # type: ignore[misc]


def _tar_members(archive: Path, tarred: tarfile.TarFile) -> Iterator[_Member]:
    for info in tarred:
        if not (info.isfile() or info.isdir()):
            raise _refused(archive, info.name, "is not a regular file")
        yield info.name, None if info.isdir() else lambda info=info: tarred.extractfile(info)  # type: ignore[misc]


def _place(archive: Path, part: Path, name: str, open_file: Callable[[], IO[bytes] | None] | None) -> None:
    """Write one member below ``part``."""
    pieces = [piece for piece in name.replace("\\", "/").split("/") if piece not in ("", ".")]
    if name.startswith(("/", "\\")) or ".." in pieces or any(":" in piece or "\0" in piece for piece in pieces):
        raise _refused(archive, name, "leads out of the folder")
    target = part.joinpath(*pieces)
    if open_file is None:
        target.mkdir(parents=True, exist_ok=True)
        return
    target.parent.mkdir(parents=True, exist_ok=True)
    source = open_file()
    if source is None:
        raise _refused(archive, name, "is not a regular file")
    with source, open(target, "wb") as file:
        shutil.copyfileobj(source, file, 1 << 20)


def _move(path: Path, target: Path) -> None:
    """Give something its final name, in place of what had it."""
    if path.is_dir() and target.is_dir():
        for inner in sorted(path.iterdir()):
            _move(inner, target / inner.name)
    else:
        os.replace(path, target)


def _refused(archive: Path, name: str, why: str) -> UserError:
    return UserError(f"{archive} has a member {name!r} that {why}; nothing was unpacked. Do not trust this archive")

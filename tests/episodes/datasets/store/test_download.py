import hashlib
import http.server
import random
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import ClassVar

import pytest

from episodes.datasets.store import download
from episodes.datasets.store.download import Published, fetch, fetch_and_unpack
from episodes.errors import UserError

DATA = random.Random(0).randbytes(700_000)
SHA256 = "sha256:" + hashlib.sha256(DATA).hexdigest()
MD5 = "md5:" + hashlib.md5(DATA).hexdigest()


class _Handler(http.server.BaseHTTPRequestHandler):
    """A file server that resumes, dies midway, or sends something else: what the path says."""

    asked: ClassVar[list[str]] = []

    def do_GET(self) -> None:
        name, wanted = self.path.strip("/"), self.headers.get("Range")
        self.asked.append(f"{name} {wanted}")
        if name == "page":
            self._send(200, b"\n <!DOCTYPE html><html>Quota exceeded</html>", "application/octet-stream")
        elif name == "typed-page":
            self._send(200, b"(function(){})", "text/html; charset=utf-8")
        elif name == "gone":
            self.send_error(404)
        elif name == "no-range" or wanted is None:
            self._send(200, DATA, "application/gzip", upto=300_000 if name == "dies" else None)
        elif name == "unsatisfiable":
            self.send_error(416)
        else:
            begin = int(wanted.removeprefix("bytes=").removesuffix("-"))
            self._send(206, DATA[begin:], "application/gzip", begin=begin)

    def _send(self, code: int, data: bytes, kind: str, begin: int | None = None, upto: int | None = None) -> None:
        self.send_response(code)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(data)))
        if begin is not None:
            self.send_header("Content-Range", f"bytes {begin}-{len(DATA) - 1}/{len(DATA)}")
        self.end_headers()
        self.wfile.write(data[:upto])

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Handler) as httpd:
        thread = threading.Thread(target=httpd.serve_forever, args=(0.01,), daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{httpd.server_address[1]}"
        httpd.shutdown()
        thread.join()


@pytest.fixture(autouse=True)
def no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    _Handler.asked.clear()


@pytest.mark.parametrize("digest", [SHA256, MD5])
def test_downloads_checks_and_does_not_ask_again(server: str, digest: str, tmp_path: Path) -> None:
    path = fetch(f"{server}/file", tmp_path / "new" / "file.bin", len(DATA), digest)
    assert path.read_bytes() == DATA
    assert [p.name for p in path.parent.iterdir()] == ["file.bin"]
    fetch(f"{server}/file", path, len(DATA), digest)
    assert len(_Handler.asked) == 1


@pytest.mark.parametrize("then", ["file", "no-range"])
def test_a_download_that_dies_midway_goes_on_from_there(server: str, then: str, tmp_path: Path) -> None:
    path = tmp_path / "file.bin"
    with pytest.raises(UserError, match=r"stopped at 300000 of 700000 bytes .* run it again"):
        fetch(f"{server}/dies", path, len(DATA), SHA256)
    assert not path.exists()
    assert (tmp_path / "file.bin.part").stat().st_size == 300_000
    fetch(f"{server}/{then}", path, len(DATA), SHA256)
    assert path.read_bytes() == DATA
    assert _Handler.asked[-1] == f"{then} bytes=300000-"
    assert not (tmp_path / "file.bin.part").exists()


@pytest.mark.parametrize("name", ["page", "typed-page"])
def test_a_web_page_in_place_of_the_file_is_recognised(server: str, name: str, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=f"cannot download {server}/{name}: it gives a web page .* by hand"):
        fetch(f"{server}/{name}", tmp_path / "file.bin", len(DATA), SHA256)
    assert not (tmp_path / "file.bin").exists()


def test_a_wrong_size_is_noticed_before_anything_is_fetched(server: str, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="it has 700000 bytes to send where 5 are missing"):
        fetch(f"{server}/file", tmp_path / "file.bin", 5, SHA256)


def test_a_wrong_digest_leaves_nothing(server: str, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"is not the file that was published.*sha256"):
        fetch(f"{server}/file", tmp_path / "file.bin", len(DATA), "sha256:" + "0" * 64)
    assert list(tmp_path.iterdir()) == []


def test_a_wrong_file_that_is_there_already_is_named_and_kept(server: str, tmp_path: Path) -> None:
    (tmp_path / "file.bin").write_text("mine")
    with pytest.raises(UserError, match=r"file.bin is not what .* delete it"):
        fetch(f"{server}/file", tmp_path / "file.bin", len(DATA), SHA256)
    assert (tmp_path / "file.bin").read_text() == "mine"


def test_a_part_that_fits_nothing_is_thrown_away(server: str, tmp_path: Path) -> None:
    (tmp_path / "file.bin.part").write_bytes(b"x" * 10)
    with pytest.raises(UserError, match="416"):
        fetch(f"{server}/unsatisfiable", tmp_path / "file.bin", len(DATA), SHA256)
    fetch(f"{server}/file", tmp_path / "file.bin", len(DATA), SHA256)
    (tmp_path / "long.bin.part").write_bytes(DATA + b"x")
    with pytest.raises(UserError, match="700001 bytes, published are 700000"):
        fetch(f"{server}/file", tmp_path / "long.bin", len(DATA), SHA256)
    assert not (tmp_path / "long.bin.part").exists()


@pytest.mark.parametrize(
    ("url", "match"),
    [
        ("{server}/gone", "the server answered 404"),
        ("http://127.0.0.1:1/x", "stopped at 0 of 700000 bytes"),
        ("file:///etc/passwd", "only http"),
    ],
)
def test_other_failures_are_one_line(server: str, url: str, match: str, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=match) as caught:
        fetch(url.format(server=server), tmp_path / "file.bin", len(DATA), SHA256)
    assert "\n" not in str(caught.value)


def test_a_server_that_says_nothing_is_given_up(tmp_path: Path) -> None:
    import socket

    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}/x"
        with pytest.raises(UserError, match="timed out"):
            fetch(url, tmp_path / "file.bin", len(DATA), SHA256, timeout=0.2)


def test_a_full_disk_is_named(server: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import errno

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(download, "_copy", full)
    with pytest.raises(UserError, match=r"cannot write .*file.bin.part \(the disk is full\)"):
        fetch(f"{server}/file", tmp_path / "file.bin", len(DATA), SHA256)


def test_two_at_once_do_not_write_into_each_other(server: str, tmp_path: Path) -> None:
    fcntl = pytest.importorskip("fcntl")
    with open(tmp_path / "file.bin.part", "ab") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        with pytest.raises(UserError, match="another process is downloading"):
            fetch(f"{server}/file", tmp_path / "file.bin", len(DATA), SHA256)


def test_what_is_fetched_is_unpacked(server: str, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="is cut off or broken"):
        fetch_and_unpack([Published(f"{server}/file", "set.tar.gz", len(DATA), SHA256)], tmp_path)

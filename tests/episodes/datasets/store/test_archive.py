import io
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from episodes.datasets.store.archive import unpack
from episodes.errors import UserError


def _tar(path: Path, members: dict[str, bytes], mode: str = "w:gz") -> Path:
    with tarfile.open(path, mode) as archive:  # type: ignore[call-overload]
        for name, content in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return path


def _zip(path: Path, members: dict[str, bytes]) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(zipfile.ZipInfo(name), content, zipfile.ZIP_DEFLATED)
    return path


FORMATS: list[Callable[[Path, dict[str, bytes]], Path]] = [
    _zip,
    _tar,
    lambda path, members: _tar(path, members, "w:"),
    lambda path, members: _tar(path, members, "w:xz"),
]


@pytest.mark.parametrize("pack", FORMATS)
def test_unpacks_into_the_folder_and_replaces_what_was_there(
    pack: Callable[[Path, dict[str, bytes]], Path], tmp_path: Path
) -> None:
    members = {"set/a/1.txt": b"one", "./set/b/2.txt": b"two", "read.me": b"x" * 100_000}
    (tmp_path / "out" / "set" / "a").mkdir(parents=True)
    (tmp_path / "out" / "set" / "a" / "1.txt").write_text("old")
    (tmp_path / "out" / "set" / "mine.txt").write_text("mine")
    unpack(pack(tmp_path / "archive", members), tmp_path / "out")
    there = {str(p.relative_to(tmp_path / "out")): p.read_bytes() for p in (tmp_path / "out").rglob("*") if p.is_file()}
    assert there == {"set/a/1.txt": b"one", "set/b/2.txt": b"two", "read.me": b"x" * 100_000, "set/mine.txt": b"mine"}


@pytest.mark.parametrize("name", ["../out.txt", "a/../../out.txt", "/tmp/out.txt", "C:\\out.txt", "..\\out.txt", "a:b"])
@pytest.mark.parametrize("pack", FORMATS[:2])
def test_a_member_that_leaves_the_folder_is_refused_and_nothing_is_left(
    pack: Callable[[Path, dict[str, bytes]], Path], name: str, tmp_path: Path
) -> None:
    archive = pack(tmp_path / "archive", {"good.txt": b"good", name: b"evil"})
    with pytest.raises(UserError, match="leads out of the folder"):
        unpack(archive, tmp_path / "out")
    assert list((tmp_path / "out").iterdir()) == []
    assert not (tmp_path / "out.txt").exists()


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.FIFOTYPE, tarfile.CHRTYPE])
def test_links_and_devices_are_refused(kind: bytes, tmp_path: Path) -> None:
    with tarfile.open(tmp_path / "archive.tar", "w") as archive:
        info = tarfile.TarInfo("link")
        info.type, info.linkname = kind, "../secret"
        archive.addfile(info)
    with pytest.raises(UserError, match="'link' that is not a regular file"):
        unpack(tmp_path / "archive.tar", tmp_path / "out")


def test_a_symbolic_link_in_a_zip_is_refused(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "archive.zip", "w") as archive:
        info = zipfile.ZipInfo("link")
        info.external_attr = 0o120777 << 16
        archive.writestr(info, "../secret")
    with pytest.raises(UserError, match="'link' that is not a regular file"):
        unpack(tmp_path / "archive.zip", tmp_path / "out")


@pytest.mark.parametrize("pack", FORMATS)
def test_an_archive_that_is_cut_off_says_so_and_leaves_nothing(
    pack: Callable[[Path, dict[str, bytes]], Path], tmp_path: Path
) -> None:
    import random

    noise = random.Random(0).randbytes(50_000)  # does not compress, so that a cut is inside of it
    archive = pack(tmp_path / "archive", {"first.txt": b"first", "noise": noise})
    archive.write_bytes(archive.read_bytes()[:20_000])
    with pytest.raises(UserError, match="is cut off or broken"):
        unpack(archive, tmp_path / "out")
    assert list((tmp_path / "out").iterdir()) == []


def test_a_damaged_zip_says_so(tmp_path: Path) -> None:
    archive = _zip(tmp_path / "archive.zip", {"a": bytes(range(256)) * 100})
    data = bytearray(archive.read_bytes())
    data[60] ^= 0xFF
    archive.write_bytes(data)
    with pytest.raises(UserError, match="is cut off or broken"):
        unpack(archive, tmp_path / "out")


def test_something_else_is_no_archive(tmp_path: Path) -> None:
    (tmp_path / "page.tar.gz").write_text("<html>quota</html>")
    with pytest.raises(UserError, match="is cut off or broken"):
        unpack(tmp_path / "page.tar.gz", tmp_path / "out")

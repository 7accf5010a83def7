import os
import sys
from pathlib import Path

import pytest

from episodes.storage import atomic_write, cache_folder


def test_what_was_written_is_there_and_nothing_else(tmp_path):
    with atomic_write(tmp_path / "new" / "folder" / "file.bin") as file:
        file.write(b"whole")
    assert (tmp_path / "new" / "folder" / "file.bin").read_bytes() == b"whole"
    assert os.listdir(tmp_path / "new" / "folder") == ["file.bin"]


def write_half(path, error):
    with atomic_write(path) as file:
        file.write(b"half of i")
        file.flush()
        raise error


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt])
def test_a_write_that_breaks_off_leaves_what_was_there_before(tmp_path, error):
    (tmp_path / "old").write_bytes(b"before")
    for name in ("old", "new"):
        with pytest.raises(error):
            write_half(tmp_path / name, error)
    assert os.listdir(tmp_path) == ["old"]
    assert (tmp_path / "old").read_bytes() == b"before"


def test_nobody_sees_the_file_before_it_is_whole_and_the_last_writer_wins(tmp_path):
    with atomic_write(tmp_path / "file") as first:
        first.write(b"first")
        with atomic_write(tmp_path / "file") as second:
            second.write(b"second")
            assert not (tmp_path / "file").exists()
        assert (tmp_path / "file").read_bytes() == b"second"
    assert (tmp_path / "file").read_bytes() == b"first"


@pytest.mark.skipif(sys.platform == "win32", reason="no umask on Windows")
def test_the_file_has_the_rights_of_any_other_new_file(tmp_path):
    (tmp_path / "plain").touch()
    with atomic_write(tmp_path / "atomic"):
        pass
    assert (tmp_path / "atomic").stat().st_mode == (tmp_path / "plain").stat().st_mode


def test_a_folder_that_cannot_be_written_to_is_an_oserror(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(OSError, match="file"), atomic_write(tmp_path / "file" / "below"):
        pass


@pytest.mark.parametrize(
    ("platform", "environment", "expected"),
    [
        ("linux", {}, "/home/someone/.cache/fewshot_sla"),
        ("linux", {"XDG_CACHE_HOME": "/scratch/cache"}, "/scratch/cache/fewshot_sla"),
        ("linux", {"XDG_CACHE_HOME": "relative"}, "/home/someone/.cache/fewshot_sla"),
        ("linux", {"XDG_CACHE_HOME": "/scratch", "FEWSHOT_SLA_CACHE": "/mine"}, "/mine"),
        ("linux", {"FEWSHOT_SLA_CACHE": "~/mine"}, "/home/someone/mine"),
        ("linux", {"FEWSHOT_SLA_CACHE": ""}, "/home/someone/.cache/fewshot_sla"),
        ("darwin", {}, "/home/someone/Library/Caches/fewshot_sla"),
        ("win32", {"LOCALAPPDATA": "/local"}, "/local/fewshot_sla/Cache"),
    ],
)
@pytest.mark.skipif(sys.platform == "win32", reason="paths as on Linux and macOS")
def test_the_cache_folder(monkeypatch, platform, environment, expected):
    for name in ("XDG_CACHE_HOME", "FEWSHOT_SLA_CACHE", "LOCALAPPDATA"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", "/home/someone")
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr("sys.platform", platform)
    assert cache_folder() == Path(expected)


def test_no_home_is_an_oserror_that_names_the_variable(monkeypatch):
    def homeless():
        raise RuntimeError("could not determine home directory")

    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.delenv("FEWSHOT_SLA_CACHE", raising=False)
    monkeypatch.setattr(Path, "home", homeless)
    with pytest.raises(OSError, match="FEWSHOT_SLA_CACHE"):
        cache_folder()

"""The lock between processes: who has it, who waits, and that a killed process gives it back."""

import subprocess
import sys
from pathlib import Path

import pytest

from episodes.locks import locked

pytest.importorskip("fcntl")

HOLD = (
    "import pathlib, sys, time\n"
    "from episodes.locks import locked\n"
    "with locked(pathlib.Path(sys.argv[1]), wait=False):\n"
    "    print('held', flush=True)\n"
    "    time.sleep(float(sys.argv[2]))\n"
)


def holder(path: Path, seconds: float) -> subprocess.Popen[str]:
    """A process that has the lock."""
    process = subprocess.Popen([sys.executable, "-c", HOLD, path, str(seconds)], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "held\n"
    return process


@pytest.mark.parametrize("folder", [True, False])
def test_a_killed_process_gives_it_back_and_nothing_is_left(folder: bool, tmp_path: Path) -> None:
    path = tmp_path if folder else tmp_path / "part"
    if not folder:
        path.write_bytes(b"content")
    with holder(path, 60) as process:
        with pytest.raises(BlockingIOError), locked(path, wait=False):
            pass
        process.kill()
        process.wait()
        with locked(path, wait=False):
            pass
    assert [file.read_bytes() for file in tmp_path.iterdir()] == ([] if folder else [b"content"])


def test_waiting_ends_when_the_other_is_done(tmp_path: Path) -> None:
    with holder(tmp_path, 0.5) as process, locked(tmp_path, wait=True):
        assert process.wait(5) == 0  # it gave the lock back with its last line


def test_what_is_not_there_cannot_be_locked_and_that_is_no_error(tmp_path: Path) -> None:
    with locked(tmp_path / "gone", wait=True):
        assert not list(tmp_path.iterdir())

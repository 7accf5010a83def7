"""A study by many processes that are killed: it ends as the one that a single process does, to the digit."""

import os
import signal
import sys
from pathlib import Path

import pytest

from tests.integration import study_runs
from tests.integration.classification_doors import run_study
from tests.integration.doors import start

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc for the workers")

SEEDS = ("--seeds=[0,1]",)


@pytest.fixture(scope="module")
def sequential(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("sequential") / "study"
    assert run_study(*study_runs.study(folder, *SEEDS, "--baseline=baseline")) == 0
    return folder


def test_killed_workers_a_killed_driver_and_two_drivers_at_once(sequential: Path, tmp_path: Path) -> None:
    folder = tmp_path / "study"
    first = start("study", study_runs.study(folder, *SEEDS, "--baseline=baseline", "--workers=2"))

    # A worker is killed in training: its lock is free at once, and the driver starts another, which goes on.
    run = study_runs.wait_until(lambda: study_runs.in_training(folder, 6), "no training begins")[0]
    workers = study_runs.children(first.pid)
    assert len(workers) == 2
    victim = next(pid for pid in workers if holds(pid, run / ".claim"))
    os.kill(victim, signal.SIGKILL)
    study_runs.wait_until(lambda: begun(run) == 2, "nobody takes the cell of a killed worker")

    # The driver is killed: its workers save and end, and the cells they had can be taken at once.
    study_runs.wait_until(lambda: study_runs.in_training(folder, 2), "no training goes on")
    workers = study_runs.children(first.pid)
    first.kill()
    first.communicate()
    study_runs.wait_until(lambda: not any(map(study_runs.is_alive, workers)), "a worker outlives its driver")

    # Two drivers share what is left; each cell is done once.
    again = study_runs.study(folder, *SEEDS, "--baseline=baseline", "--workers=1")
    drivers = [start("study", again) for _ in range(2)]
    for driver in drivers:
        _, errors = driver.communicate(timeout=240)
        assert driver.returncode == 0, errors
    for path in folder.glob("*/seed*"):
        told = study_runs.sessions(path).values()
        assert [entry["outcome"] for entry in told if entry["begun"]].count("done") == 1
    assert study_runs.outcome(folder) == study_runs.outcome(sequential)


@pytest.mark.slow
def test_ctrl_c_lets_workers_save_and_says_how_to_go_on(tmp_path: Path) -> None:
    folder = tmp_path / "study"
    driver = start("study", study_runs.study(folder, "--workers=2", "--seeds=0"))
    study_runs.wait_until(lambda: study_runs.in_training(folder, 2), "no training begins")
    workers = study_runs.children(driver.pid)
    driver.send_signal(signal.SIGINT)
    _, errors = driver.communicate(timeout=120)
    assert driver.returncode == 130
    assert errors.splitlines()[-1].startswith("stopped; all workers have saved and ended; the study goes on with")
    assert "Traceback" not in errors
    assert not any(map(study_runs.is_alive, workers))
    for path in folder.glob("*/seed*"):  # no worker died over its cell
        assert all(entry["begun"] == entry["ended"] for entry in study_runs.sessions(path).values())


def begun(run: Path) -> int:
    return sum(entry["begun"] for entry in study_runs.sessions(run).values())


def holds(process: int, path: Path) -> bool:
    """Whether a process has a file open."""
    opened = Path(f"/proc/{process}/fd")
    return any(link.is_symlink() and os.readlink(link) == str(path) for link in opened.iterdir())

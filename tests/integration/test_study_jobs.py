"""A study by jobs: submitit and commands that stand in for SLURM's and run everything on this machine."""

import os
import signal
import threading
from pathlib import Path

import pytest

from tests.integration import study_runs
from tests.integration.classification_doors import run_study

pytest.importorskip("submitit")
FAKE = Path(__file__).parent / "fake_slurm"


@pytest.fixture
def cluster(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with what the stand-ins remember of every job."""
    monkeypatch.setenv("PATH", f"{FAKE}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("FAKE_SLURM", str(tmp_path / "slurm"))
    (tmp_path / "slurm").mkdir()
    return tmp_path / "slurm"


def preempt(cluster: Path, folder: Path) -> None:
    """Announce its end to the first job that trains, as SLURM does: SIGTERM, and the signal that was asked for."""
    run = study_runs.wait_until(lambda: study_runs.in_training(folder, 6), "no training begins")[0]
    for path in cluster.glob("*/pid"):
        process = int(path.read_text())
        if any(os.readlink(link) == str(run / ".claim") for link in Path(f"/proc/{process}/fd").iterdir()):
            os.kill(process, signal.SIGTERM)
            os.kill(process, signal.SIGUSR2)


def test_a_preempted_job_saves_and_is_requeued_and_nothing_is_lost(
    cluster: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "study"
    threading.Thread(target=preempt, args=(cluster, folder), daemon=True).start()
    options = ("--seeds=0", "--launch=slurm", "--workers=1", "--slurm.partition=gpu", "--slurm.sbatch=account=me")
    assert run_study(*study_runs.study(folder, *options, recipes=["digits+sla"])) == 0
    script = next(cluster.glob("*/script")).read_text()
    for option in ("partition=gpu", "account=me", "signal=USR2@120", "gpus-per-node=1"):
        assert f"#SBATCH --{option}" in script
    assert len(list(cluster.glob("*/requeued"))) == 1
    assert len(list(cluster.glob("*"))) == 1  # job: none was submitted to make up for one that ended
    records = [entry for path in folder.glob("*/seed0") for entry in study_runs.sessions(path).values()]
    assert [(entry["begun"], entry["ended"], entry["outcome"]) for entry in records] == [(2, 2, "done")]
    reference = tmp_path / "sequential"
    assert run_study(*study_runs.study(reference, "--seeds=0", recipes=["digits+sla"])) == 0
    assert study_runs.outcome(folder) == study_runs.outcome(reference)


def test_what_slurm_refuses_is_one_line(
    cluster: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("FAKE_SLURM_REFUSES", "1")
    assert run_study(*study_runs.study(tmp_path / "study", "--launch=slurm")) == 2
    assert capsys.readouterr().err == (
        "error: SLURM refused the jobs (sbatch: error: Batch job submission failed: Invalid partition name specified); "
        "see the options --slurm.*\n"
    )


def test_without_slurm_or_submitit_one_line_says_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert run_study(*study_runs.study(tmp_path / "study", "--launch=slurm")) == 2
    assert "sbatch is not on PATH" in capsys.readouterr().err
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    assert run_study(*study_runs.study(tmp_path / "study", "--launch=local")) == 2
    assert "needs submitit: pip install 'fewshot-sla[slurm]'" in capsys.readouterr().err


@pytest.mark.slow
def test_jobs_of_this_machine(tmp_path: Path) -> None:
    folder = tmp_path / "study"
    assert (
        run_study(*study_runs.study(folder, "--seeds=0", "--launch=local", "--workers=1", recipes=["digits+baseline"]))
        == 0
    )
    assert len(list(folder.glob("logs/*/*_result.pkl"))) == 1
    assert len(list(folder.glob("*/seed0/results.json"))) == 1

"""What only real processes show: kill, Ctrl-C, exit codes, and two processes on one machine."""

import json
import os
import random
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

from fewshot_sla.runs import checkpoint
from fewshot_sla.runs.metrics import read_metrics
from tests.integration import doors

LONG = (*doors.TINY, "--loop.steps=60", "--loop.validate_every=10", "--loop.log_every=2", "--loop.checkpoint_every=4")
SLA = ("--objective=fewshot_sla.meta.SLA", "--objective.transformations=episodes.Rotation")


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The uninterrupted run."""
    folder = tmp_path_factory.mktemp("whole") / "run"
    assert doors.run_door(doors.meta_train.main, [*LONG, *SLA, f"--run_folder={folder}"]) == 0
    return folder


def wait_for_step(folder: Path, step: int, process) -> None:
    deadline = time.monotonic() + 120
    while not any(row["step"] >= step for row in read_metrics(folder / "metrics.csv")):
        assert process.poll() is None, process.stderr.read()
        assert time.monotonic() < deadline, "the run does not get on"
        time.sleep(0.005)


def assert_same_run(a: Path, b: Path) -> None:
    assert (a / "metrics.csv").read_text() == (b / "metrics.csv").read_text()
    for name in ("last.safetensors", "best.safetensors"):
        (tensors_a, state_a), (tensors_b, state_b) = (checkpoint.load_checkpoint(p / name) for p in (a, b))
        assert tensors_a.keys() == tensors_b.keys()
        assert all(tensors_a[key].equal(tensors_b[key]) for key in tensors_a)
        for state in (state_a, state_b):
            state.pop("seconds", None)
        assert state_a == state_b
    results = [json.loads((folder / "results.json").read_text())["results"] for folder in (a, b)]
    assert results[0] == results[1]


def test_killed_at_a_random_step_and_resumed_equals_uninterrupted(whole: Path, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    process = doors.start("meta_train", [*LONG, *SLA, f"--run_folder={folder}"])
    wait_for_step(folder, random.randrange(5, 40), process)
    process.kill()
    process.communicate()
    assert checkpoint.load_checkpoint(folder / "last.safetensors")[1]["step"] < 60
    assert doors.run_door(doors.meta_train.main, ["--resume", f"--run_folder={folder}"]) == 0
    assert_same_run(whole, folder)


def test_ctrl_c_leaves_a_run_that_resumes_and_says_how(whole: Path, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    process = doors.start("meta_train", [*LONG, *SLA, f"--run_folder={folder}"])
    wait_for_step(folder, 6, process)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "Traceback" not in errors
    step = int(re.search(r"stopped after step (\d+) of 60", errors)[1])
    assert f"--resume --run_folder {folder}" in errors
    assert checkpoint.load_checkpoint(folder / "last.safetensors")[1]["step"] == step
    assert doors.run_door(doors.meta_train.main, ["--resume", f"--run_folder={folder}"]) == 0
    assert_same_run(whole, folder)


def test_resuming_what_is_finished_changes_nothing(whole: Path) -> None:
    before = (whole / "last.safetensors").read_bytes()
    assert doors.run_door(doors.meta_train.main, ["--resume", f"--run_folder={whole}"]) == 0
    assert (whole / "last.safetensors").read_bytes() == before


def test_a_user_error_is_exit_code_2_without_a_traceback(tmp_path: Path) -> None:
    process = doors.start("meta_train", ["--train.n_way=1", f"--run_folder={tmp_path / 'run'}"])
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 2
    assert errors == "error: n_way must be at least 2, got 1\n"


@pytest.mark.parametrize("module", ["meta_train", "meta_test", "compare", "train", "test", "study"])
def test_help_explains_and_does_not_wait_for_heavy_imports(module: str) -> None:
    code = f"""
import runpy, sys
sys.argv = ["x", "--help"]
try:
    runpy.run_module("fewshot_sla.{module}", run_name="__main__")
except SystemExit as end:
    print("code", end.code)
heavy = ("lightning_fabric", "matplotlib", "tensorboard", "qpth", "learn2learn")
print([name for name in heavy if name in sys.modules])
"""
    done = subprocess.run([sys.executable, "-c", code], cwd=doors.ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.endswith("code 0\n[]\n"), done.stdout[-300:]
    assert "run folder" in done.stdout.lower()


def test_two_processes_train_and_evaluate_and_test_like_one(tmp_path: Path) -> None:
    folder = tmp_path / "two"
    two = ("--devices=2", "--episodes_per_step=2", "--loop.steps=6", "--loop.validate_every=3", "--loop.log_every=1")
    process = doors.start("meta_train", [*doors.TINY, *SLA, *two, f"--run_folder={folder}"])
    _, errors = process.communicate(timeout=240)
    assert process.returncode == 0, errors

    one = tmp_path / "one"
    arguments = [*doors.TINY, *SLA, *two[1:], f"--run_folder={one}"]
    assert doors.run_door(doors.meta_train.main, arguments) == 0
    # Each process trains on half of the episodes of a step; the gradients are those of one process up to rounding.
    rows = [read_metrics(path / "metrics.csv") for path in (one, folder)]
    assert [row["loss"] for row in rows[0]] == pytest.approx([row["loss"] for row in rows[1]], rel=1e-3)
    # BatchNorm's running statistics are those of all episodes, so weights, buffers and validation are those of one too.
    (alone, _), (together, _) = (checkpoint.load_checkpoint(path / "last.safetensors") for path in (one, folder))
    assert alone.keys() == together.keys()
    for name in alone:
        torch.testing.assert_close(
            together[name], alone[name], rtol=1e-3, atol=1e-4, msg=lambda text, name=name: f"{name}: {text}"
        )
    for figure in ("single", "aggregated"):
        validated = [[row[figure] for row in found if figure in row] for found in rows]
        assert validated[0] == pytest.approx(validated[1], abs=0.02)  # 10 episodes of 15 queries: a query or two

    # What was validated, by both processes together, is what was saved: one process finds the same figures.
    best = max(row["aggregated"] for row in read_metrics(folder / "metrics.csv") if "aggregated" in row)
    document = json.loads((folder / "results.json").read_text())
    assert [e["accuracy"] for e in document["results"] if e["inference"] == "aggregated"] == [best]

    small = ("--n_query=3", "--episodes=31", "--accelerator=cpu", "--k_shot", "1", "5")
    process = doors.start("meta_test", [str(folder), *small, "--devices=2"])
    _, errors = process.communicate(timeout=240)
    assert process.returncode == 0, errors
    shared = json.loads((folder / "results.json").read_text())["results"]
    files = {path.name: path.read_text() for path in (folder / "per_episode").iterdir()}
    assert doors.run_door(doors.meta_test.main, [str(folder), *small]) == 0
    assert json.loads((folder / "results.json").read_text())["results"] == shared
    assert {path.name: path.read_text() for path in (folder / "per_episode").iterdir()} == files


@pytest.mark.slow
def test_a_launcher_of_two_processes_for_one_device_is_refused(tmp_path: Path) -> None:
    def torchrun(*arguments: str) -> subprocess.CompletedProcess[str]:
        launcher = [sys.executable, "-m", "torch.distributed.run", "--nproc_per_node=2", "--master_port=29555"]
        command = [*launcher, "-m", "fewshot_sla.meta_train", *doors.TINY, "--loop.steps=2", *arguments]
        return subprocess.run(command, cwd=doors.ROOT, capture_output=True, text=True, timeout=240, check=False)

    folder = tmp_path / "run"
    refused = torchrun(f"--run_folder={folder}")
    assert refused.returncode != 0
    assert "error: torchrun started 2 processes, but --devices (1) times --num_nodes (1) is 1" in refused.stderr
    assert not folder.exists()


@pytest.mark.slow
def test_waiting_for_a_machine_that_does_not_come_ends_with_a_line(tmp_path: Path) -> None:
    two = ("--num_nodes=2", "--episodes_per_step=2", "--wait_s=3", f"--run_folder={tmp_path / 'run'}")
    environment = {**os.environ, "NODE_RANK": "0", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": "29556"}
    done = subprocess.run(
        [sys.executable, "-m", "fewshot_sla.meta_train", *doors.TINY, *two],
        cwd=doors.ROOT,
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 2, done.stderr
    assert "not all of the 2 processes met at 127.0.0.1:29556 within 3 seconds" in done.stderr
    assert "Traceback" not in done.stderr

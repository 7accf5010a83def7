"""Training over several machines: torchrun on each of two that are both this one, and the script for SLURM."""

import socket
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from fewshot_sla.runs import checkpoint
from fewshot_sla.runs.metrics import read_metrics
from tests.integration import doors

# A step is one pass of eight episodes, as in the published recipes of CIFAR-FS and FC100.
ONE_PASS = (
    *doors.TINY,
    "--episodes_per_step=8",
    "--episodes_per_forward=8",
    "--optimizer=torch.optim.SGD",
    "--optimizer.lr=0.02",  # small, lest rounding grow from step to step
    "--loop.steps=4",
    "--loop.validate_every=2",
    "--loop.log_every=1",
)
SCRIPT = doors.ROOT / "examples" / "slurm" / "meta_train.sbatch"


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


def torchrun(machine: int, port: int, *arguments: str) -> subprocess.Popen[str]:
    agent = ["--nnodes=2", f"--node_rank={machine}", "--nproc_per_node=1"]
    meeting = ["--master_addr=127.0.0.1", f"--master_port={port}"]
    command = [sys.executable, "-m", "torch.distributed.run", *agent, *meeting, "-m", "fewshot_sla.meta_train"]
    return subprocess.Popen(
        [*command, *arguments], cwd=doors.ROOT, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )


def test_two_machines_that_divide_a_pass_train_like_one_process(tmp_path: Path) -> None:
    folder, one, port = tmp_path / "two", tmp_path / "one", free_port()
    options = ("--num_nodes=2", "--sync_batchnorm=true", f"--run_folder={folder}")
    machines = [torchrun(number, port, *ONE_PASS, *options) for number in range(2)]
    assert doors.run_door(doors.meta_train.main, [*ONE_PASS, f"--run_folder={one}"]) == 0
    outputs = [machine.communicate(timeout=240)[0] for machine in machines]
    assert [machine.returncode for machine in machines] == [0, 0], outputs
    assert "best of 4 steps" in outputs[0]
    assert "best of 4 steps" not in outputs[1]  # results are the business of the first process

    rows = [read_metrics(path / "metrics.csv") for path in (one, folder)]
    for figure, off in (("loss", 2e-5), ("accuracy", 1e-6), ("single", 0.02), ("aggregated", 0.02)):  # a query or two
        alone, together = ([row[figure] for row in found if figure in row] for found in rows)
        assert alone == pytest.approx(together, abs=off), figure
    (alone, _), (together, _) = (checkpoint.load_checkpoint(path / "last.safetensors") for path in (one, folder))
    assert alone.keys() == together.keys()
    for name in alone:
        torch.testing.assert_close(
            together[name], alone[name], rtol=1e-3, atol=1e-5, msg=lambda text, name=name: f"{name}: {text}"
        )

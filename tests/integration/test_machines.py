"""Training over several machines: torchrun on each of two that are both this one, and the script for SLURM."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from fewshot_sla.cli import configuration
from fewshot_sla.meta.kind import META
from fewshot_sla.runs import checkpoint
from fewshot_sla.runs.metrics import read_metrics
from fewshot_sla.training.processes import check_launcher
from fewshot_sla.training.recipe import Hardware
from fewshot_sla.training.sharing import StepSize, share_out
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


@pytest.mark.slow
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


# What SLURM's programs would be: they write down how they were called. The training of this srun ends at SIGTERM as
# ours does after it has saved.
FAKES = {
    "srun": """trap 'exit 130' TERM
printf '%s\\n' "$@" > "$NOTES/arguments"
echo $$ > "$NOTES/pid.part" && mv "$NOTES/pid.part" "$NOTES/pid"
while true; do sleep 0.05; done""",
    "scancel": """echo "$@" > "$NOTES/cancelled"
kill -TERM "$(cat "$NOTES/pid")\"""",
    "scontrol": """echo "$@" > "$NOTES/put_back\"""",
}
JOB = {"SLURM_JOB_ID": "4711", "SLURM_NNODES": "2", "SLURM_NTASKS_PER_NODE": "4"}
TASK = {"SLURM_PROCID": "5", "SLURM_NTASKS": "8", "SLURM_JOB_NAME": "meta_train"}


@pytest.fixture
def job(tmp_path: Path) -> Iterator[subprocess.Popen[bytes]]:
    """The script at work, with fake programs on its PATH and the training running."""
    for name, text in FAKES.items():
        (tmp_path / name).write_text(f"#!/bin/bash\n{text}\n")
        (tmp_path / name).chmod(0o755)
    environment = {**os.environ, **JOB, "NOTES": str(tmp_path), "PATH": f"{tmp_path}:{os.environ['PATH']}"}
    command = ["bash", str(SCRIPT), "--recipe", "cifarfs+ridge+sla", "--run_folder", "runs/some where"]
    with subprocess.Popen(command, env=environment) as script:
        deadline = time.monotonic() + 60
        while not (tmp_path / "pid").exists():
            assert time.monotonic() < deadline, "srun was not called"
            time.sleep(0.01)
        yield script
        if script.poll() is None:  # the test failed
            os.kill(int((tmp_path / "pid").read_text()), signal.SIGKILL)


def test_the_script_asks_for_what_slurm_gave_and_goes_on_in_a_new_job(
    job: subprocess.Popen[bytes], tmp_path: Path
) -> None:
    job.send_signal(signal.SIGUSR1)  # the time is nearly up
    assert job.wait(timeout=60) == 130
    assert (tmp_path / "cancelled").read_text() == "--signal=TERM 4711\n"
    assert (tmp_path / "put_back").read_text() == "requeue 4711\n"

    _, program, module, door, *arguments = (tmp_path / "arguments").read_text().splitlines()
    assert (program, module, door) == ("python", "-m", "fewshot_sla.meta_train")
    parser = META.parser()
    options = configuration.parse(parser, arguments)
    assert options.resume
    assert options.run_folder == "runs/some where"
    hardware = configuration.instantiate(parser, options, Hardware)
    assert (hardware.devices, hardware.num_nodes, hardware.sync_batchnorm) == (4, 2, True)
    check_launcher(hardware.devices, hardware.num_nodes, TASK)
    share_out(StepSize(options.episodes_per_step, options.episodes_per_forward, "", "", ""), 8, divide=True)


def test_a_job_that_is_cancelled_by_hand_is_not_put_back(job: subprocess.Popen[bytes], tmp_path: Path) -> None:
    os.kill(int((tmp_path / "pid").read_text()), signal.SIGTERM)
    assert job.wait(timeout=60) == 130
    assert not (tmp_path / "put_back").exists()


def test_the_script_is_good_bash() -> None:
    subprocess.run(["bash", "-n", str(SCRIPT)], check=True)

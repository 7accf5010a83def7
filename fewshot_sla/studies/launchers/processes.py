"""Workers as processes of this machine, each with a GPU of its own where there are several."""

import os
import subprocess
import sys
from pathlib import Path

import torch

from fewshot_sla.studies.launchers.base import Launcher


class Processes(Launcher):
    """Workers that live no longer than this process.

    Each reads from a pipe that this process alone can write to: when it ends, in whatever way, they finish their step,
    save and end. They are in no terminal's process group, so Ctrl-C reaches them through this process, once.

    Args:
        assignment: file with what they are to do.
    """

    def __init__(self, assignment: Path) -> None:
        self._assignment = assignment
        self._devices = visible_devices()
        self._workers: dict[int, subprocess.Popen[bytes]] = {}  # by number, from 0

    def start(self, count: int) -> None:
        """Start workers with the lowest numbers, and so GPUs, that are free; their output is added to their logs."""
        for _ in range(count):
            number = next(k for k in range(len(self._workers) + 1) if not self._is_alive(k))
            self._workers[number] = self._started(number)

    def _started(self, number: int) -> subprocess.Popen[bytes]:
        environment = dict(os.environ)
        if len(self._devices) > 1:
            environment["CUDA_VISIBLE_DEVICES"] = self._devices[number % len(self._devices)]
        with (self._assignment.parent / f"worker{number + 1}.log").open("ab") as log:
            return subprocess.Popen(
                [sys.executable, "-m", "fewshot_sla.studies.worker", str(self._assignment)],
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=subprocess.STDOUT,
                env=environment,
                start_new_session=True,
            )

    def running(self) -> int:
        """How many processes have not ended."""
        return sum(self._is_alive(number) for number in self._workers)

    def cancelled(self) -> bool:
        """Never: a process that was killed is replaced."""
        return False

    def stop(self) -> str:
        """Wait until all have saved and ended."""
        for worker in self._workers.values():
            assert worker.stdin is not None
            worker.stdin.close()
        for worker in self._workers.values():
            worker.wait()
        return "all workers have saved and ended"

    def kill(self) -> None:
        """End all at once; each loses what it did since its last checkpoint."""
        for worker in self._workers.values():
            worker.kill()
            worker.wait()

    def _is_alive(self, number: int) -> bool:
        return number in self._workers and self._workers[number].poll() is None


def visible_devices() -> list[str]:
    """Names of the GPUs that this process may use, as ``CUDA_VISIBLE_DEVICES`` gives them."""
    chosen = os.environ.get("CUDA_VISIBLE_DEVICES")
    count = torch.cuda.device_count()  # asks the driver, and takes none of them
    if chosen:
        return [name.strip() for name in chosen.split(",")][:count]
    return [str(number) for number in range(count)]

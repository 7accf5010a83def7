"""SLURM's queue: which jobs of this user wait or run."""

import getpass
import subprocess
import time

_FIRST_S, _LONGEST_S = 2.0, 60.0  # between two looks; SLURM answers everybody's questions, so they become rarer


class Queue:
    """Asks ``squeue`` now and then; unlike ``sacct`` every cluster has it."""

    def __init__(self) -> None:
        self._asked_at = float("-inf")
        self._pause = _FIRST_S
        self._ids: frozenset[str] | None = None

    def changed(self) -> None:
        """Jobs were submitted: look again soon."""
        self._asked_at, self._pause = float("-inf"), _FIRST_S

    def ids(self) -> frozenset[str] | None:
        """Names of the jobs, an element of an array as ARRAY_NUMBER; None if SLURM does not say."""
        if time.monotonic() - self._asked_at >= self._pause:
            self._ids = _ask()
            self._asked_at, self._pause = time.monotonic(), min(2 * self._pause, _LONGEST_S)
        return self._ids


def _ask() -> frozenset[str] | None:
    command = ["squeue", "--noheader", "--array", "--format=%i", f"--user={getpass.getuser()}"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    except (OSError, subprocess.SubprocessError):  # no answer now; perhaps next time
        return None
    return frozenset(done.stdout.split())

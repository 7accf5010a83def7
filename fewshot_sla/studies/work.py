"""Doing what a study has to do: every cell trained and tested, by this process or by several."""

import os
import sys
import time
from contextlib import redirect_stdout
from datetime import datetime
from typing import Any

from episodes.errors import UserError
from episodes.locks import has_locks
from episodes.progress import show_progress
from fewshot_sla.studies.board import Board, Failure
from fewshot_sla.studies.launchers.base import Launch, Launcher
from fewshot_sla.studies.launchers.jobs import Jobs
from fewshot_sla.studies.launchers.processes import Processes, visible_devices
from fewshot_sla.studies.launchers.slurm_options import SlurmOptions
from fewshot_sla.studies.plan import Cell, StudyPlan
from fewshot_sla.studies.worker import Assignment, work_through
from fewshot_sla.training.kind import Kind
from fewshot_sla.training.signals import Interrupted, stop_on_signals

_LOOK_S = 0.5  # between two looks at the folders
_WAIT_S = 2.0  # for others, if there is nothing else to do
_MOST_FALSE_STARTS = 3  # workers that end, one after the other, before they take a cell


def fill(
    kind: Kind[Any, Any],
    plan: StudyPlan,
    *,
    workers: int = 0,
    threads: int = 1,
    launch: Launch = "here",
    slurm: SlurmOptions | None = None,
) -> list[Failure]:
    """Train and test every cell that is not done; a cell that fails does not keep the others from being done.

    The result of a cell does not depend on who does it: training goes by its seed, and has its own number of threads.

    Args:
        kind: of all trainings of the plan.
        plan: what is to be there at the end.
        workers: how many cells are worked on at once; 1 is this process; 0 is as many as there are GPUs, else CPU
            cores, and on SLURM as many as there are cells to do. Never more than these.
        threads: CPU threads of each training.
        launch: "here" for processes of this machine, "slurm" for jobs, "local" for the same jobs on this machine.
        slurm: what each job asks for.

    Returns:
        The cells that could not be done; each was said on standard error.

    Raises:
        UserError: if nothing can be begun.
        Interrupted: after Ctrl-C; the same call goes on. Jobs go on by themselves.
    """
    if workers < 0 or threads < 1:
        raise UserError(f"workers must not be negative and threads at least 1, got {workers} and {threads}")
    session = f"{datetime.now():%Y%m%d_%H%M%S}_{os.getpid()}"
    board = Board(kind, plan.split, session, plan.cells())
    if not board.open:
        return board.failures
    logs = plan.folder / "logs" / session
    assignment = Assignment(kind.wing, plan.split, session, threads, logs, tuple(board.open))
    workers = min(workers or _default_workers(launch, threads), len(board.open))
    logs.mkdir(parents=True, exist_ok=True)
    if (workers > 1 or launch != "here") and not has_locks(logs):
        raise UserError(f"{plan.folder}: this file system has no locks, so workers would get in each other's way; "
                        "give --workers 1, or another --folder")  # fmt: skip
    assignment.save()
    if launch == "here" and workers == 1:
        _work_here(board, assignment)
    else:
        launcher = (
            Processes(assignment.path)
            if launch == "here"
            else Jobs(assignment.path, launch, slurm or SlurmOptions(), threads)
        )
        _drive(board, launcher, workers, assignment)
    return board.failures


def _default_workers(launch: Launch, threads: int) -> int:
    if launch == "slurm":
        return sys.maxsize  # one a cell
    return len(visible_devices()) or max(1, _cores() // threads)


def _cores() -> int:
    """CPU cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _work_here(board: Board, assignment: Assignment) -> None:
    """Do all cells in this process; what they print goes to a file."""
    began = time.monotonic()

    def announce(cell: Cell) -> None:
        board.look()
        done = board.began_with - len(board.open)
        left = (time.monotonic() - began) / done * len(board.open) if done else 0
        eta = f", ETA {_duration(left)}" if done else ""
        sys.stderr.write(f"study: {done} of {board.began_with} cells{eta}; now {cell}\n")

    try:
        while board.open:
            with (assignment.logs / "worker1.log").open("a", encoding="utf-8") as log, redirect_stdout(log):
                work_through(assignment, announce)
            board.look()
            if board.open:
                time.sleep(_WAIT_S)
    except (Interrupted, KeyboardInterrupt) as stopped:
        raise Interrupted(str(stopped).partition(";")[0] or "stopped") from stopped


def _drive(board: Board, launcher: Launcher, workers: int, assignment: Assignment) -> None:
    """Keep workers at work until no cell is open."""
    starts = _Starts()
    with stop_on_signals() as stop, show_progress("study, %") as on_progress:
        try:
            while board.open:
                if stop.made:
                    sys.stderr.write("stopping: models in training are saved; Ctrl-C again ends at once\n")
                    raise Interrupted(f"stopped; {launcher.stop()}", stop.by)
                missing = min(workers, len(board.open)) - launcher.running()
                if missing > 0 and (free := board.free()):
                    starts.check(board, launcher, assignment)
                    launcher.start(min(missing, len(free)))
                done = board.began_with - len(board.open)
                on_progress(f"{done} of {board.began_with} cells", round(100 * board.share()), 100)
                time.sleep(_LOOK_S)
                board.look()
            launcher.stop()
        except BaseException:
            launcher.kill()
            raise


class _Starts:
    """Sees that workers are not started again and again in vain."""

    def __init__(self) -> None:
        self._in_vain = -1  # the first start is none
        self._begun = 0

    def check(self, board: Board, launcher: Launcher, assignment: Assignment) -> None:
        """Raise an error if it makes no sense to start another worker."""
        if launcher.cancelled():
            raise Interrupted("stopped; the jobs were cancelled")
        begun = board.begun()
        self._in_vain = self._in_vain + 1 if begun == self._begun else 0
        self._begun = begun
        if self._in_vain == _MOST_FALSE_STARTS:
            raise UserError(f"{assignment.logs}: workers end before they begin; see their logs there")


def _duration(seconds: float) -> str:
    """A time for people.

    >>> _duration(75), _duration(9000)
    ('1 min', '2.5 h')
    """
    return f"{seconds / 3600:.1f} h" if seconds >= 5400 else f"{seconds / 60:.0f} min" if seconds > 60 else "1 min"

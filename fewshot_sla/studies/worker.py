"""One worker of a study: takes cells that nobody has, one after the other, until there is none left to take."""

import json
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import FrameType

import torch

from fewshot_sla.cli.door import MENDABLE, OK, in_one_line, run_door
from fewshot_sla.runs.folder import RunFolder
from fewshot_sla.runs.records import write_json
from fewshot_sla.studies.cells import is_done, train_and_test
from fewshot_sla.studies.claims import MOST_DEATHS, claim, give_back, history, settle, take
from fewshot_sla.studies.kinds import KINDS
from fewshot_sla.studies.plan import Cell
from fewshot_sla.training.signals import Interrupted

_SECOND_LOOK_S = 0.5  # who only looks whether a cell is claimed has it for a moment


@dataclass(frozen=True)
class Assignment:
    """What the workers of a session share.

    Attributes:
        wing: whose kind of training all cells are of.
        split: that they are tested on.
        session: name of this start of the study's command.
        threads: CPU threads of each training.
        logs: folder of the session.
        cells: what is to be done.
    """

    wing: str
    split: str
    session: str
    threads: int
    logs: Path
    cells: tuple[Cell, ...]

    @property
    def path(self) -> Path:
        """The file in which workers find it."""
        return self.logs / "assignment.json"

    def save(self) -> None:
        """Write it for the workers."""
        cells = [[cell.name, cell.seed, str(cell.folder.path), cell.arguments] for cell in self.cells]
        write_json(self.path, {**vars(self), "logs": str(self.logs), "cells": cells})

    @classmethod
    def load(cls, path: Path) -> "Assignment":
        """What :meth:`save` wrote."""
        document = json.loads(path.read_text(encoding="utf-8"))
        cells = [Cell(name, seed, RunFolder(folder), tuple(told)) for name, seed, folder, told in document.pop("cells")]
        return cls(**{**document, "logs": Path(document["logs"]), "cells": tuple(cells)})


def work_through(assignment: Assignment, on_begin: Callable[[Cell], None]) -> None:
    """Do every cell that is neither settled nor another worker's.

    Args:
        assignment: what there is to do.
        on_begin: told of every cell that is begun.

    Raises:
        Interrupted: if a signal asked for it; everything is saved.
    """
    looks = 0
    while looks < 2:
        looks = 0 if any([_attempt(assignment, cell, on_begin) for cell in assignment.cells]) else looks + 1
        if looks == 1:
            time.sleep(_SECOND_LOOK_S)


def _attempt(assignment: Assignment, cell: Cell, on_begin: Callable[[Cell], None]) -> bool:
    """Do a cell, if it is to be done and nobody else has it; whether it was taken."""
    session = assignment.session
    if history(cell, session).outcome:
        return False
    with claim(cell) as mine:
        before = history(cell, session)
        if not mine or before.outcome:
            return False
        if before.deaths >= MOST_DEATHS:
            message = f"it ended its worker {before.deaths} times; see {assignment.logs}"
            settle(cell, session, "failed", message)
        elif not _was_done(assignment, cell):
            _begin(assignment, cell, on_begin)
    return True


def _was_done(assignment: Assignment, cell: Cell) -> bool:
    """Whether another session did a cell meanwhile, or there is a run in its way; that is written down."""
    try:
        if not is_done(KINDS[assignment.wing], cell, assignment.split):
            return False
    except MENDABLE as error:
        settle(cell, assignment.session, "failed", in_one_line(error))
    else:
        settle(cell, assignment.session, "done")
    return True


def _begin(assignment: Assignment, cell: Cell, on_begin: Callable[[Cell], None]) -> None:
    session = assignment.session
    take(cell, session)
    on_begin(cell)
    try:
        with cpu_threads(assignment.threads):
            train_and_test(KINDS[assignment.wing], cell, assignment.split)
    except MENDABLE as error:
        give_back(cell, session, "failed", in_one_line(error))
    except (Interrupted, KeyboardInterrupt, SystemExit):  # the last is submitit's way to end a job
        give_back(cell, session)
        raise
    else:
        give_back(cell, session, "done")


@contextmanager
def cpu_threads(number: int) -> Iterator[None]:
    """Let torch compute with so many threads for the time of the block: sums depend on how they are divided."""
    before = torch.get_num_threads()
    torch.set_num_threads(number)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def log_begin(cell: Cell) -> None:
    """One line into the log of a worker."""
    sys.stdout.write(f"== {cell} ({cell.folder.path})\n")
    sys.stdout.flush()


def main(arguments: Sequence[str]) -> int:
    """A worker as a process of its own; it ends when its standard input does, which a driver that is killed closes."""

    def interrupt(number: int, frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    signal.signal(signal.SIGTERM, interrupt)  # outside of training; there, the step is finished and saved
    threading.Thread(target=_end_with_the_driver, daemon=True).start()
    try:
        work_through(Assignment.load(Path(arguments[0])), log_begin)
    except (Interrupted, KeyboardInterrupt) as stopped:
        sys.stdout.write(f"{str(stopped).partition(';')[0]}\n")
    return OK


def _end_with_the_driver() -> None:
    while os.read(sys.stdin.fileno(), 1024):
        pass
    os.kill(os.getpid(), signal.SIGTERM)


if __name__ == "__main__":
    sys.exit(run_door(main))

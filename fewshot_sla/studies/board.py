"""What a study's driver knows: which cells are open, which are free to be taken, which failed, how far all are."""

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from episodes.errors import UserError
from fewshot_sla.cli.door import MENDABLE, in_one_line
from fewshot_sla.cli.recipes import read_options
from fewshot_sla.runs.folder import RunFolder
from fewshot_sla.runs.metrics import read_metrics
from fewshot_sla.studies.cells import is_done
from fewshot_sla.studies.claims import claim, done_by, history
from fewshot_sla.studies.plan import Cell
from fewshot_sla.training.kind import Kind

_TRAINING = 0.9  # what training is of a cell, about; the rest is its test


@dataclass(frozen=True)
class Failure:
    """A cell that could not be done.

    Attributes:
        cell: which.
        message: why, in one line.
    """

    cell: Cell
    message: str

    def __str__(self) -> str:
        return f"{self.cell}: {self.message}"


class Board:
    """Cells, and what is known of them; what there is to know stands in their folders.

    Args:
        kind: of all trainings.
        split: that they are tested on.
        session: of this driver.
        cells: all that the study has.

    Attributes:
        open: cells that are neither done nor given up.
        failures: cells that were given up, each said on standard error when it is found out.
        began_with: how many were open at the beginning.
    """

    def __init__(self, kind: Kind[Any, Any], split: str, session: str, cells: Sequence[Cell]) -> None:
        self._kind, self._split, self._session = kind, split, session
        self.failures: list[Failure] = []
        self._before = {cell: done_by(cell) for cell in cells}  # sessions whose word was looked into
        self.open = [cell for cell in cells if not self._is_settled(cell)]
        self.began_with = len(self.open)

    def look(self) -> None:
        """Find out which cells were settled since the last time, by workers of this session or of others."""
        self.open = [cell for cell in self.open if not self._was_settled(cell)]

    def free(self) -> list[Cell]:
        """Open cells that nobody works on."""
        return [cell for cell in self.open if not _is_claimed(cell)]

    def begun(self) -> int:
        """How often a worker of this session took one of the open cells."""
        return sum(history(cell, self._session).begun for cell in self.open)

    def share(self) -> float:
        """How much of what was open at the beginning is done, 0 to 1, by steps."""
        settled = self.began_with - len(self.open)
        return (settled + sum(_share(cell.folder) for cell in self.open)) / max(1, self.began_with)

    def _was_settled(self, cell: Cell) -> bool:
        found = history(cell, self._session)
        if found.outcome == "failed":
            self._fail(cell, found.message)
        elif not found.outcome and not done_by(cell) <= self._before[cell]:  # another session says that it did it
            self._before[cell] = done_by(cell)
            return self._is_settled(cell)
        return bool(found.outcome)

    def _is_settled(self, cell: Cell) -> bool:
        try:
            return is_done(self._kind, cell, self._split)
        except MENDABLE as error:
            self._fail(cell, in_one_line(error))
            return True

    def _fail(self, cell: Cell, message: str) -> None:
        failure = Failure(cell, message)
        self.failures.append(failure)
        sys.stderr.write(f"error: {failure}\n")


def _is_claimed(cell: Cell) -> bool:
    with claim(cell) as free:
        return not free


def _share(folder: RunFolder) -> float:
    """How much of an open cell is done, by the files of its training; nothing if they do not say."""
    try:
        rows = read_metrics(folder.metrics)
        if not rows or not folder.config.exists():
            return 0.0
        return _TRAINING * min(1.0, rows[-1]["step"] / _steps(folder.config, folder.config.stat().st_mtime_ns))
    except (UserError, OSError, KeyError, TypeError, ValueError, ArithmeticError):  # its worker says what is damaged
        return 0.0


@cache
def _steps(config: Path, changed: int) -> int:
    """Steps of a run; its file is read again when it was changed."""
    return int(read_options(config)["loop"]["steps"])

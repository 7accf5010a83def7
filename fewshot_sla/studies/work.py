"""Doing what a study has to do: every cell trained and tested, by this process or by several."""

from dataclasses import dataclass
from typing import Any, Literal

from fewshot_sla.studies.plan import Cell, StudyPlan
from fewshot_sla.training.kind import Kind

Launch = Literal["here", "local", "slurm"]


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


def fill(
    kind: Kind[Any, Any],
    plan: StudyPlan,
    *,
    workers: int = 0,
    threads: int = 1,
    launch: Launch = "here",
) -> list[Failure]:
    """Train and test every cell that is not done; a cell that fails does not keep the others from being done.

    Args:
        kind: of all trainings of the plan.
        plan: what is to be there at the end.
        workers: how many cells are worked on at once; 1 is this process, 0 as many as there are GPUs, else CPU cores.
        threads: CPU threads of each training; the result of a cell does not depend on the number of workers.
        launch: "here" for processes on this machine, "slurm" for jobs, "local" for the same jobs on this machine.

    Returns:
        The cells that could not be done.

    Raises:
        UserError: if nothing can be begun.
        Interrupted: after Ctrl-C; the same call goes on.
    """
    raise NotImplementedError

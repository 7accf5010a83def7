"""Whether a run was trained to its end, told from its checkpoints alone."""

from typing import NamedTuple

from episodes.errors import UserError
from fewshot_sla.runs.checkpoint import load_state
from fewshot_sla.runs.folder import RunFolder


class Progress(NamedTuple):
    """How far a training has come: steps made, of how many."""

    made: int
    steps: int

    @property
    def finished(self) -> bool:
        """Whether no step is left."""
        return self.made >= self.steps


def progress_of(folder: RunFolder) -> Progress | None:
    """How far a run has come; None where its last checkpoint is gone, for the best one cannot tell.

    Raises:
        UserError: if the last checkpoint is damaged.
    """
    if not folder.last.exists():
        return None
    state = load_state(folder.last)
    made, steps = state.get("step"), state.get("steps")
    return Progress(made, steps) if isinstance(made, int) and isinstance(steps, int) else None


def unfinished(folder: RunFolder) -> str:
    """One line on a run that stopped before its end; empty for one that is finished, or where nothing is known.

    A last checkpoint that cannot be read is said, and keeps nobody from the figures of the best one.
    """
    try:
        progress = progress_of(folder)
    except UserError as error:
        return f"{folder.path}: finished or not, that cannot be told: {error}"
    if progress is None or progress.finished:
        return ""
    return (
        f"{folder.path}: not finished, {progress.made} of {progress.steps} steps; "
        f"its figures are of the weights so far (go on with --resume --run_folder {folder.path})"
    )

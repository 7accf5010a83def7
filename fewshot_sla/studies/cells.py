"""One cell of a study: is it done, and doing it."""

from collections.abc import Collection, Mapping, Sequence
from typing import Any, NamedTuple

import yaml

from episodes.errors import UserError
from fewshot_sla.runs.folder import OtherRunError, RunFolder
from fewshot_sla.runs.results import Result
from fewshot_sla.studies.plan import Cell, StudyPlan
from fewshot_sla.training.door import is_trained, train_as_told
from fewshot_sla.training.kind import Kind
from fewshot_sla.training.recipe import Hardware


class DoneCell(NamedTuple):
    """A cell that is done."""

    folder: RunFolder
    results: Sequence[Result]  # of its test


def tested_cells(
    kind: Kind[Any, Any],
    plan: StudyPlan,
    without: Collection[Cell],  # those that could not be done
) -> dict[str, dict[int, DoneCell]]:  # by recipe: by seed
    """What came of the cells of a plan; recipes of which none is done are left out.

    Raises:
        UserError: if the results of a run cannot be read.
    """
    runs: dict[str, dict[int, DoneCell]] = {name: {} for name in plan.trainings}
    for cell in plan.cells():
        if cell not in without:
            runs[cell.name][cell.seed] = DoneCell(cell.folder, kind.results(cell.folder, plan.split))
    return {name: found for name, found in runs.items() if found}


def is_done(kind: Kind[Any, Any], cell: Cell, split: str) -> bool:
    """Whether a cell is trained, by its recipe and with all steps, and tested on the images as they are now.

    Raises:
        UserError: if its folder holds a run by another recipe, or cannot be read.
    """
    if not (cell.folder.holds_run and cell.folder.results.exists()):
        return False
    try:
        return is_trained(kind, cell.arguments) and _is_tested(kind, cell, split)
    except OtherRunError as error:
        raise _of_a_study(error) from error


def train_and_test(kind: Kind[Any, Any], cell: Cell, split: str) -> None:
    """Both, from wherever an earlier worker left off.

    Raises:
        UserError: if it cannot be trained or tested.
        Interrupted: if a signal asked for it; everything is saved.
    """
    try:
        if not (cell.folder.results.exists() and is_trained(kind, cell.arguments)):
            train_as_told(kind, [*cell.arguments, *(["--resume"] if cell.folder.holds_run else [])])
    except OtherRunError as error:
        raise _of_a_study(error) from error
    if not _is_tested(kind, cell, split):
        configuration = yaml.safe_load(cell.folder.config.read_text(encoding="utf-8"))
        kind.test(cell.folder, split, hardware_of(configuration))


def _is_tested(kind: Kind[Any, Any], cell: Cell, split: str) -> bool:
    """Whether there are results of the standard test, and the tables that belong to them."""
    results = kind.results(cell.folder, split)
    files = [cell.folder.path / name for result in results for name in result.files.values()]
    return bool(results) and all(file.is_file() for file in files)


def _of_a_study(error: OtherRunError) -> UserError:
    return UserError(f"{error} (of a study: another --folder)")


def hardware_of(configuration: Mapping[str, Any]) -> Hardware:
    """What a run was trained on, as one process.

    Args:
        configuration: its ``config.yaml``.
    """
    names = ("accelerator", "precision", "channels_last", "placement")
    return Hardware(**{name: configuration[name] for name in names})

"""What the plots of several runs read from their folders: the data they were trained on, one result."""

from typing import NamedTuple

from episodes.errors import UserError
from fewshot_sla.classification.results import ClassificationResult
from fewshot_sla.runs.checkpoint import load_state
from fewshot_sla.runs.folder import RunFolder
from fewshot_sla.runs.results import read_results


class TrainedOn(NamedTuple):
    """The training images of a classifier, as its checkpoint describes them."""

    class_names: tuple[str, ...]
    class_counts: tuple[int, ...]  # training images of each class


def trained_on(folder: RunFolder) -> TrainedOn:
    """The classes of a run of train, and how many images it had of each.

    Raises:
        UserError: if there is no such run.
    """
    folder.require()
    state = load_state(folder.checkpoint)
    if state.get("program") != "train":
        raise UserError(f"{folder.path}: this plot is of runs of python -m fewshot_sla.train, and this is none")
    return TrainedOn(tuple(state["class_names"]), tuple(state["class_counts"]))


def result_of(
    folder: RunFolder,
    split: str,
    inference: str = "",  # by default the primary one
) -> ClassificationResult:
    """The result of a run on the images of a split as they are, by one inference.

    Raises:
        UserError: if the run has not been tested on that split, or has no such inference.
    """
    tested = read_results(folder, ClassificationResult)
    found = [result for result in tested if result.split == split and result.crops == 1]
    if not found:
        raise UserError(
            f"{folder.results}: no results on the {split} split; "
            f"run python -m fewshot_sla.test {folder.path} --split {split}"
        )
    chosen = [result for result in found if (result.inference == inference if inference else result.primary)]
    if not chosen:
        names = ", ".join(result.inference for result in found)
        raise UserError(f"{folder.results}: no results by {inference or 'the primary inference'}; there are {names}")
    return chosen[0]

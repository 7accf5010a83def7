"""What the plots of several runs read from their folders: short names, the data they were trained on, one result."""

import importlib
from collections.abc import Sequence
from typing import NamedTuple

import yaml

from episodes.errors import UserError
from fewshot_sla.engine.checkpoint import load_checkpoint
from fewshot_sla.engine.classification_results import ClassResult, read_class_results
from fewshot_sla.engine.run_folder import RunFolder


class TrainedOn(NamedTuple):
    """The training images of a classifier, as its checkpoint describes them."""

    class_names: tuple[str, ...]
    class_counts: tuple[int, ...]  # training images of each class


def distinct_names(folders: Sequence[RunFolder]) -> list[str]:
    """The shortest part of each path that tells the runs apart: what all paths begin and end with is left out.

    >>> distinct_names([RunFolder("runs/sla/seed0"), RunFolder("runs/da/seed0")])
    ['sla', 'da']

    Raises:
        UserError: if a run is given twice.
    """
    paths = [folder.path.resolve().parts for folder in folders]
    twice = [str(folder.path) for folder, path in zip(folders, paths, strict=True) if paths.count(path) > 1]
    if twice:
        raise UserError(f"{twice[0]}: the run is given twice")
    first = _shared(paths)
    rests = [path[first:] for path in paths]
    last = _shared([rest[::-1] for rest in rests])
    return ["/".join(rest[: len(rest) - last]) for rest in rests]


def primary_inference(folder: RunFolder) -> str:
    """Name of the inference that the run's best checkpoint was chosen by.

    Raises:
        UserError: if there is no run, or its objective is not known here.
    """
    folder.require()
    try:
        described = yaml.safe_load(folder.config.read_text())["objective"]
        path = described if isinstance(described, str) else described["class_path"]
        module, _, name = path.rpartition(".")
        return str(getattr(importlib.import_module(module), name).primary)
    except (yaml.YAMLError, KeyError, TypeError, ValueError, ImportError, AttributeError) as error:
        raise UserError(
            f"{folder.config}: the objective of the run cannot be looked up ({error}); name an inference"
        ) from error


def trained_on(folder: RunFolder) -> TrainedOn:
    """The classes of a run of train, and how many images it had of each.

    Raises:
        UserError: if there is no such run.
    """
    folder.require()
    path = folder.best if folder.best.exists() else folder.last
    state = load_checkpoint(path)[1]
    if state.get("program") != "train":
        raise UserError(f"{folder.path}: this plot is of runs of python -m fewshot_sla.train, and this is none")
    return TrainedOn(tuple(state["class_names"]), tuple(state["class_counts"]))


def result_of(
    folder: RunFolder,
    split: str,
    inference: str = "",  # by default the primary one
) -> ClassResult:
    """The result of a run on the images of a split as they are, by one inference.

    Raises:
        UserError: if the run has not been tested on that split, or has no such inference.
    """
    found = [result for result in read_class_results(folder) if result.split == split and result.crops == 1]
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


def _shared(paths: Sequence[tuple[str, ...]]) -> int:
    """How many parts all paths begin with; one part of each is left."""
    least = min(len(path) for path in paths) - 1
    return next((place for place in range(least) if len({path[place] for path in paths}) > 1), least)

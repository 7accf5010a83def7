"""What several runs are called beside one another, and which of their inferences is meant where none is named."""

import importlib
from collections.abc import Sequence

import yaml

from episodes.errors import UserError
from fewshot_sla.runs.folder import RunFolder


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


def _shared(paths: Sequence[tuple[str, ...]]) -> int:
    """How many parts all paths begin with; one part of each is left."""
    least = min(len(path) for path in paths) - 1
    return next((place for place in range(least) if len({path[place] for path in paths}) > 1), least)

"""What a run of either wing learned, as parts of the recipe of a few-shot learner: data, backbone, objective."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from episodes.datasets.base import DataSource
from episodes.datasets.readers.base_classes import BaseClasses
from episodes.errors import UserError
from fewshot_sla import meta
from fewshot_sla.classification.kind import CLASSIFICATION
from fewshot_sla.classification.objectives import ClassificationObjective
from fewshot_sla.cli.describe import describe
from fewshot_sla.cli.keys import unknown
from fewshot_sla.cli.recipes import read_options, recipe_names, resolve_fragment
from fewshot_sla.meta.kind import META
from fewshot_sla.runs.folder import RunFolder
from fewshot_sla.studies.kinds import kind_of
from fewshot_sla.training.trained import recipe_parts

_HEADS = "head"  # folder of the fragments that name heads
_OBJECTIVES: tuple[type[meta.EpisodeObjective], ...] = (meta.Plain, meta.DA, meta.SLA)
_COMPUTED_IN = ("precision", "channels_last")  # of the hardware: what the backbone was trained in


def recipe_without_head(folder: RunFolder) -> dict[str, Any]:
    """Data, learner and objective of a few-shot learner on the backbone of a run, as options; the head is missing.

    Of a run of ``train`` the data are the few-shot data whose base classes it learned. The views of an episode are
    labelled as those of its training images were: where joint labels were learned (SLA, SLA+SD) the M views become
    NM-way joint labels, where views kept their labels (DA, MT) they are repeated, and else (baseline) there are none.

    Raises:
        UserError: if there is no such run, it is not of a few-shot data set, or its learner has no head to be another.
    """
    kind = kind_of(folder)
    options = read_options(folder.config)
    kept = {name: options[name] for name in ("seed", *_COMPUTED_IN) if name in options}
    return {**kept, **_PARTS[kind.wing](folder, options)}


def few_shot_source(data: DataSource) -> DataSource | None:
    """The few-shot data whose base classes a source gives, whatever else is laid around; None if it is no such source.

    >>> from episodes.datasets import BaseClasses, Digits, Glyphs, Limited
    >>> few_shot_source(Limited(BaseClasses(Glyphs()), 10)).name
    'glyphs'
    >>> few_shot_source(Digits()) is None
    True
    """
    inside: Any = data
    while isinstance(inside, DataSource) and not isinstance(inside, BaseClasses):
        inside = getattr(inside, "source", None)
    return inside.source if isinstance(inside, BaseClasses) else None


def head_described(word: str) -> tuple[str, dict[str, Any]]:
    """What a head is called, and what it is: class path and arguments.

    Args:
        word: name of a fragment (``configs/meta/head``), YAML file in that form, or class path.

    Raises:
        UserError: if there is no such head.
    """
    names = recipe_names(META.wing)[_HEADS]
    if word in names or "/" in word or word.endswith((".yaml", ".yml")):
        learner = resolve_fragment(word, META.wing).get("learner", {})
        head = learner.get("init_args", learner).get(_HEADS)
        if not head:
            raise UserError(f"{word}: sets no learner.init_args.head, as the files in configs/meta/head do")
        return Path(word).stem, {"class_path": head} if isinstance(head, str) else dict(head)
    if "." not in word:
        raise UserError(unknown(word, "--head", names, what="head"))
    return word.rpartition(".")[2], {"class_path": word}


def _of_classification(folder: RunFolder, options: Mapping[str, Any]) -> dict[str, Any]:
    data, objective = recipe_parts(CLASSIFICATION, folder, "data", "objective")
    source = few_shot_source(data)
    if source is None:
        raise UserError(
            f"{folder.path}: trained on {data.name}, which has no new classes for a head; train on the base classes of "
            "few-shot data (python -m fewshot_sla.train --recipe glyphs_base+sla)"
        )
    return {
        "data": describe(source),
        "learner": {"class_path": _path(meta.EmbeddingLearner), "init_args": {"backbone": options["backbone"]}},
        "objective": _objective(folder, objective),
    }


def _objective(folder: RunFolder, learned: ClassificationObjective) -> dict[str, Any]:
    """The few-shot objective that labels views as they were learned."""
    for kind in _OBJECTIVES:
        if kind.labelling is learned.labelling:
            views = {} if kind is meta.Plain else {"transformations": describe(learned.transformations)}
            return {"class_path": _path(kind), "init_args": views}
    raise UserError(f"{folder.path}: no few-shot objective labels views as {type(learned).__name__} does")


def _of_meta(folder: RunFolder, options: Mapping[str, Any]) -> dict[str, Any]:
    learner = dict(options["learner"])
    arguments = dict(learner.get("init_args", {}))
    if not {"backbone", _HEADS} <= arguments.keys():
        raise UserError(f"{folder.path}: a {learner['class_path']} has no head that could be another")
    arguments.pop(_HEADS)
    return {
        "data": options["data"],
        "learner": {**learner, "init_args": arguments},
        "objective": options["objective"],
    }


def _path(kind: type) -> str:
    """As recipes name what the wing makes public, so that reports see no other class."""
    return f"{meta.__name__}.{kind.__name__}"


_PARTS: dict[str, Callable[[RunFolder, Mapping[str, Any]], dict[str, Any]]] = {
    CLASSIFICATION.wing: _of_classification,
    META.wing: _of_meta,
}

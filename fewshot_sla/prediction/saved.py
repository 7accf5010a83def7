"""A predictor as one file, and back: weights and features as safetensors, the rest as JSON; nothing is pickled."""

import copy
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

import numpy as np
import torch
from torch import Tensor

from episodes.errors import UserError
from episodes.images.normalization import Normalization
from fewshot_sla.cli.build import build
from fewshot_sla.cli.describe import describe
from fewshot_sla.meta.learners.base import MetaLearner
from fewshot_sla.meta.objectives import EpisodeObjective
from fewshot_sla.prediction.model import PredictionModel
from fewshot_sla.prediction.pictures import Framing
from fewshot_sla.prediction.predictor import Predictor
from fewshot_sla.prediction.scores import score
from fewshot_sla.runs.checkpoint import load_checkpoint, load_weights, save_checkpoint, with_prefix, without_prefix
from fewshot_sla.training.randomness import seeded

KIND = "fitted few-shot classifier"
VERSION = 2
_COMPARED = 32  # support pictures that the model and what is made of its description are compared on


def save_predictor(path: Path, predictor: Predictor) -> None:
    """Write model and support set; :func:`load_predictor` predicts the same, bit for bit on the same machine.

    The model is made again from its description, and the scores of both are compared before anything is written.

    Raises:
        UserError: if the model or its parts cannot be made again from class paths, or not as they are.
    """
    if predictor.items.device.type != "cpu":
        predictor = copy.deepcopy(predictor).to(torch.device("cpu"))
    try:
        tensors, state = _contents(predictor)
        _compare(predictor, _predictor(path, tensors, state))
    except UserError as error:
        raise UserError(f"{path}: the classifier cannot be saved: {error}") from error
    save_checkpoint(path, tensors, state)


def load_predictor(path: Path) -> Predictor:
    """Inverse of :func:`save_predictor`, on the CPU.

    The file names classes, and the packages they are in are imported; only meta-learners, heads, backbones, modules and
    sets of transformations are made.

    Raises:
        UserError: if it is not such a file, or something that it names is not there.
    """
    tensors, state = load_checkpoint(path)
    if state.get("kind") != KIND or state.get("version") != VERSION:
        raise UserError(f"{path}: not a saved classifier of this version; write one with --save or save()")
    try:
        return _predictor(path, tensors, state)
    except UserError:
        raise
    except KeyError as error:
        raise UserError(f"{path}: the file lacks {error}; save the classifier again") from error
    except (TypeError, ValueError, AttributeError) as error:
        raise UserError(f"{path}: the file is damaged ({error}); save the classifier again") from error


def _contents(predictor: Predictor) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Tensors and plain values of the file."""
    model = predictor.model
    tensors = {
        **with_prefix("learner", model.learner.state_dict()),
        **with_prefix("normalization", model.normalization.state_dict()),
        "support.pictures": predictor.pictures,
        "support.labels": predictor.labels,
        "support.items": predictor.items,
    }
    state = {
        "kind": KIND,
        "version": VERSION,
        "learner": describe(model.learner),
        "objective": describe(model.objective),
        "classes": [_as_json(name) for name in predictor.classes],
        "names": list(predictor.names),
        "image_shape": list(model.image_shape),
        "model": model.name,
        "inference": predictor.inference_name,
        "framing": predictor.framing,
        "inverted": predictor.inverted,
        "transductive": predictor.transductive,
        "notes": list(model.notes),
    }
    return {name: tensor.clone() for name, tensor in tensors.items()}, state


def _predictor(path: Path, tensors: dict[str, Tensor], state: dict[str, Any]) -> Predictor:
    """What the file holds; its parts fit together."""
    with seeded(0):  # the weights that are drawn are replaced, and nobody's generator is disturbed
        learner = build(MetaLearner, state["learner"])  # type: ignore[type-abstract]
        objective = build(EpisodeObjective, state["objective"])
        channels, height, width = state["image_shape"]
        try:
            learner.told((channels, height, width))
        except UserError as error:  # it took them when it was saved
            raise ValueError(str(error)) from error
    load_weights(learner, without_prefix("learner", tensors), path)
    statistics = without_prefix("normalization", tensors)
    model = PredictionModel(
        learner,
        objective,
        Normalization(statistics["mean"], statistics["deviation"]),
        (channels, height, width),
        str(path),
        tuple(state.get("notes", ())),
    )
    support = without_prefix("support", tensors)
    inverted = "light and dark are exchanged in all pictures, as they were when the classifier was saved"
    predictor = Predictor(
        model,
        state["inference"],
        tuple(state["classes"]),
        tuple(state["names"]),
        support["pictures"],
        support["labels"],
        support["items"],
        state["framing"],
        state["inverted"],
        state.get("transductive", False),
        notes=(inverted,) if state["inverted"] else (),
    )
    _check(predictor)
    return predictor


def _check(predictor: Predictor) -> None:
    sizes = {len(predictor.names), len(predictor.pictures), len(predictor.labels), len(predictor.items)}
    if len(sizes) > 1:
        raise ValueError("its support pictures, names, labels and features are not equally many")
    if set(predictor.labels.tolist()) != set(range(len(predictor.classes))):
        raise ValueError("its labels are not those of its classes")
    if predictor.framing not in get_args(Framing) or tuple(predictor.pictures.shape[1:]) != predictor.format[:3]:
        raise ValueError("its pictures are not as it says")


def _compare(predictor: Predictor, again: Predictor) -> None:
    """Refuse what scores otherwise when it is made again, in any bit of any inference."""
    rows = np.unique(np.linspace(0, len(predictor.pictures) - 1, _COMPARED, dtype=np.int64))
    pictures = predictor.pictures[rows]
    learner, objective = predictor.model.learner, predictor.model.objective
    items = predictor.model.items(pictures)
    if not torch.equal(items, again.model.items(pictures)):
        raise UserError(_other_than(getattr(learner, "backbone", learner), objective.transformations, "features"))
    for name in objective.inferences:
        if not torch.equal(_scores(predictor, name, items), _scores(again, name, items)):
            raise UserError(_other_than(getattr(learner, "head", learner), objective, "scores"))


def _scores(predictor: Predictor, inference_name: str, items: Tensor) -> Tensor:  # [R, M, *item] -> [1, R, N]
    _, inference = predictor.model.inference(inference_name)
    support, labels = predictor.items[None], predictor.labels[None]
    with seeded(0):
        return score(predictor.model.learner, inference, support, labels, items[None], len(predictor.classes)).logits


def _other_than(part: object, other: object, what: str) -> str:
    """Which class is to keep which arguments."""
    kept = "; ".join([*_arguments(describe(part)), *_arguments(describe(other))])
    return f"its {what} would be others; let each constructor keep its arguments unchanged, under their names: {kept}"


def _arguments(value: Any) -> Iterator[str]:
    """Every class in a description, with the names of its arguments."""
    if not isinstance(value, dict):
        return
    arguments = {**value.get("init_args", {}), **value.get("dict_kwargs", {})}
    if arguments:
        yield f"{value['class_path']} ({', '.join(arguments)})"
    for inner in arguments.values():
        yield from _arguments(inner)


def _as_json(label: Any) -> Any:
    """A class as JSON has it."""
    value = label.item() if hasattr(label, "item") else label
    try:
        same = json.loads(json.dumps(value)) == value
    except (TypeError, ValueError):
        same = False
    if not same:
        raise UserError(f"the class {label!r} is no text or number, so it cannot be saved")
    return value

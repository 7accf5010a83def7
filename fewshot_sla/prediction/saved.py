"""A predictor as one file, and back: weights and features as safetensors, the rest as JSON; nothing is pickled."""

import json
from pathlib import Path
from typing import Any, get_args

from torch import Tensor

from episodes.errors import UserError
from episodes.images.normalization import Normalization
from fewshot_sla.prediction.describe import build, describe
from fewshot_sla.prediction.model import PredictionModel
from fewshot_sla.prediction.pictures import Framing
from fewshot_sla.prediction.predictor import Predictor
from fewshot_sla.runs.checkpoint import load_checkpoint, load_weights, save_checkpoint, with_prefix, without_prefix

KIND = "fitted few-shot classifier"
VERSION = 1


def save_predictor(path: Path, predictor: Predictor) -> None:
    """Write model and support set; :func:`load_predictor` predicts the same, bit for bit on the same machine.

    Raises:
        UserError: if the model or its parts cannot be made again from class paths; nothing is written then.
    """
    model = predictor.model
    described: dict[str, Any] = {
        "learner": dict(model.describe_learner()),
        "objective": describe(model.objective),
    }
    weights = model.learner.state_dict()
    try:
        again = build(**described)
        load_weights(again.learner, weights, path)
    except UserError as error:
        raise UserError(f"{path}: the classifier cannot be saved, for it could not be made again: {error}") from error
    if again.objective.transformations.names != model.transformations.names:
        raise UserError(
            f"{path}: the classifier cannot be saved: {model.transformations} would be made again otherwise"
        )
    state = {
        "kind": KIND,
        "version": VERSION,
        **described,
        "classes": [_plain(name) for name in predictor.classes],
        "names": list(predictor.names),
        "image_shape": list(model.image_shape),
        "model": model.name,
        "inference": predictor.inference_name,
        "framing": predictor.framing,
        "inverted": predictor.inverted,
        "notes": list(model.notes),
    }
    tensors = {
        **with_prefix("learner", weights),
        **with_prefix("normalization", model.normalization.state_dict()),
        "support.pictures": predictor.pictures,
        "support.labels": predictor.labels,
        "support.items": predictor.items,
    }
    save_checkpoint(path, {name: tensor.clone() for name, tensor in tensors.items()}, state)


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


def _predictor(path: Path, tensors: dict[str, Tensor], state: dict[str, Any]) -> Predictor:
    """What the file holds; its parts fit together."""
    parts = build(state["learner"], state["objective"])
    load_weights(parts.learner, without_prefix("learner", tensors), path)
    statistics = without_prefix("normalization", tensors)
    channels, height, width = state["image_shape"]
    model = PredictionModel(
        parts.learner,
        parts.objective,
        Normalization(statistics["mean"], statistics["deviation"]),
        (channels, height, width),
        str(path),
        state["learner"],
        tuple(state.get("notes", ())),
    )
    support = without_prefix("support", tensors)
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


def _plain(label: Any) -> Any:
    """A class as JSON has it."""
    value = label.item() if hasattr(label, "item") else label
    try:
        same = json.loads(json.dumps(value)) == value
    except (TypeError, ValueError):
        same = False
    if not same:
        raise UserError(f"the class {label!r} is no text or number, so it cannot be saved")
    return value

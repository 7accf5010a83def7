"""From what the user names to a model: a run folder, a saved classifier, a class path, or the newest run there is."""

from pathlib import Path
from typing import Any

import torch

from episodes.errors import UserError
from episodes.transformations import Transformations
from fewshot_sla.backbones.base import Backbone
from fewshot_sla.heads.base import Head
from fewshot_sla.meta.kind import META
from fewshot_sla.prediction.foreign import BackboneByPath, WrappedBackbone
from fewshot_sla.prediction.model import PredictionModel, from_backbone, from_run
from fewshot_sla.prediction.saved import load_predictor
from fewshot_sla.runs.folder import RunFolder
from fewshot_sla.training.trained import load_trained, newest_run

RUNS = Path("runs")  # where meta_train and `make run` leave their runs


def load_run(folder: str | Path | None = None) -> PredictionModel:
    """The model of a run folder, of a saved classifier (without its support), or of the newest run under ``runs``.

    Raises:
        UserError: if there is none.
    """
    if folder and Path(folder).is_file():
        return load_predictor(Path(folder)).model
    return from_run(load_trained(META, RunFolder(folder) if folder else newest_run(META, RUNS)))


def load_backbone(
    backbone: Any,  # class path, Backbone or nn.Module
    image_size: int,
    *,
    arguments: dict[str, Any] | None = None,
    channels: int = 3,
    drop: str = "auto",
    weights: str = "",
    mean: tuple[float, ...] = (),
    deviation: tuple[float, ...] = (),
) -> PredictionModel:
    """A network as a model; see BackboneByPath and from_backbone.

    Raises:
        UserError: if it cannot be made.
    """
    if not isinstance(backbone, str):
        if not isinstance(backbone, torch.nn.Module):
            raise UserError(f"backbone must be a class path or an nn.Module, not a {type(backbone).__name__}")
        if arguments or weights:
            raise UserError("arguments and weights belong to a backbone that is given by class path")
        module = backbone if isinstance(backbone, Backbone) else WrappedBackbone(backbone, channels, drop)
        return _tried(from_backbone(module, image_size, mean, deviation))
    network = BackboneByPath(backbone, arguments, channels, drop, weights)
    model = _tried(from_backbone(network, image_size, mean, deviation, backbone))
    if network.has_weights:
        return model
    note = f"{backbone} was given no weights: its features are those of an untrained network"
    return PredictionModel(**{**vars(model), "notes": (note,)})


def _tried(model: PredictionModel) -> PredictionModel:
    """The model, which has looked at a picture once."""
    blank = torch.zeros(1, *model.image_shape, dtype=torch.uint8)
    try:
        model.items(blank)
    except UserError:
        raise
    except Exception as error:  # a stranger's network may raise anything
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise UserError(f"{model.name} cannot take pictures {list(model.image_shape)}: {reason}") from error
    return model


def adapt(model: PredictionModel, head: Head | None, transformations: Transformations | None) -> PredictionModel:
    """The model with another head and other views, where given; checked against the shape of its pictures.

    Raises:
        UserError: if they do not go together.
    """
    model = model.with_head(head).with_transformations(transformations)
    model.transformations.check(*model.image_shape)
    return model


def device_called(name: str) -> torch.device:
    """ "auto" is a CUDA device if there is one, otherwise the CPU.

    Raises:
        UserError: if this machine has no such device.
    """
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    try:
        probe = torch.zeros(1, device=name)
        probe.cpu()  # of a device that only pretends, there is no way back
        return probe.device
    except (RuntimeError, AssertionError) as error:  # torch built without CUDA asserts
        raise UserError(f"cannot use device {name}: {str(error).strip().splitlines()[0]}") from error

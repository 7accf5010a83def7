"""Any network that turns images into features as a backbone: one of torchvision's or timm's, or one's own."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from episodes.errors import UserError
from fewshot_sla.backbones.base import Backbone
from fewshot_sla.cli.build import build
from fewshot_sla.cli.describe import record
from fewshot_sla.runs.checkpoint import load_weights
from fewshot_sla.training.modes import evaluation_mode
from fewshot_sla.training.randomness import seeded

_CLASSIFIERS = ("fc", "classifier", "head", "heads")  # what torchvision calls the layer that maps features to classes
_DOWNLOADS = {"weights": None, "pretrained": False}  # arguments that ask for weights, and their values for none


@dataclass(frozen=True)
class ForeignNetwork:
    """A network from elsewhere, in place of a run of meta_train.

    Args:
        backbone: class path of an nn.Module, or of a function that is annotated to return one, for instance
            ``"torchvision.models.resnet18"``; or an nn.Module, which is used as it is.
        arguments: keyword arguments of that class or function.
        weights: safetensors file with the weights of the network, before a layer is left out; "" for none.
        drop: layer of it to leave out, the one that scores other classes; "auto" finds it in torchvision's and timm's.
        channels: of the pictures it takes: 3 for colour, 1 for grey.
        image_size: side in pixels of the pictures it takes.
        mean: of each channel of the images it was trained on, pixels between 0 and 1; by default ImageNet's.
        deviation: of each channel; by default ImageNet's.
    """

    backbone: Any = None
    arguments: Mapping[str, Any] = field(default_factory=dict)
    weights: str = ""
    drop: str = "auto"
    channels: int = 3
    image_size: int = 224
    mean: tuple[float, ...] = ()
    deviation: tuple[float, ...] = ()

    @property
    def name(self) -> str:
        """How messages call it."""
        return self.backbone if isinstance(self.backbone, str) else type(self.backbone).__name__

    @property
    def has_weights(self) -> bool:
        """Whether the network knows something, as far as can be told."""
        asked = any(self.arguments.get(name) for name in _DOWNLOADS)
        return bool(self.weights) or asked or not isinstance(self.backbone, str)

    def build(self) -> Backbone:
        """The network as a backbone; weights that are drawn at random are the same each time.

        Raises:
            UserError: if there is no such class, it cannot be made, or the weights are another network's.
        """
        if isinstance(self.backbone, str):
            module = self._build_module()
        elif not isinstance(self.backbone, nn.Module):
            raise UserError(f"backbone must be a class path or an nn.Module, not a {type(self.backbone).__name__}")
        elif self.arguments or self.weights:
            raise UserError("arguments and weights belong to a backbone that is given by class path")
        else:
            module = self.backbone
        if isinstance(module, Backbone) and self.drop in ("auto", ""):
            return module
        return WrappedBackbone(module, self.channels, self.drop)

    def _build_module(self) -> nn.Module:
        # dict_kwargs: jsonargparse checks what the signature names, and hands on the rest, as timm's functions need it.
        with seeded(0):
            module = build(nn.Module, {"class_path": self.backbone, "dict_kwargs": self.arguments})
        if self.weights:
            path = Path(self.weights).expanduser()
            load_weights(module, _read_weights(path), path)
        # Made again, the network is given the weights that were saved: nothing needs to be downloaded for that.
        arguments = {name: _DOWNLOADS.get(name, value) for name, value in self.arguments.items()}
        record(module, {"class_path": self.backbone, "dict_kwargs": arguments})
        return module


class WrappedBackbone(Backbone):
    """A module that maps images [B, C, H, W] to features [B, D], or to feature maps [B, D, h, w], which are averaged.

    Args:
        module: the network; used as it is, not copied.
        channels: C, of the images it takes.
        drop: name of the layer to leave out, so that features come out and not the scores of other classes; "auto"
            finds it where torchvision or timm put it; "" leaves the network as it is.

    Raises:
        UserError: if there is no such layer.
    """

    def __init__(self, module: nn.Module, channels: int = 3, drop: str = "auto") -> None:
        super().__init__(channels)
        self.module, self.channels, self.drop = module, channels, drop
        self.dropped = _drop(module, drop)

    def features(self, images: Tensor) -> Tensor:
        """Features [B, D].

        Raises:
            UserError: if the network gives something else.
        """
        features = self.module(images)
        if isinstance(features, Tensor) and features.ndim == 4:
            features = features.mean(dim=(-2, -1))
        if not isinstance(features, Tensor) or features.ndim != 2 or features.shape[0] != images.shape[0]:
            what = list(features.shape) if isinstance(features, Tensor) else f"a {type(features).__name__}"
            raise UserError(
                f"{type(self.module).__name__} gives {what} for images {list(images.shape)}; "
                "a backbone gives features [B, D] or [B, D, h, w]"
            )
        return features

    def out_features(self, height: int, width: int) -> int:
        """Feature dimension D for images of this size, found out by trying."""
        weight = next(self.module.parameters(), torch.empty(0))
        with evaluation_mode(self.module), torch.no_grad():
            return self.features(weight.new_zeros(1, self.in_channels, height, width)).shape[1]


def _drop(module: nn.Module, name: str) -> str:
    """Put the identity in the place of a layer; its name, or "" if none was left out."""
    if name == "auto":
        if isinstance(module, Backbone):
            return ""
        name = next((name for name in _CLASSIFIERS if isinstance(getattr(module, name, None), nn.Module)), "")
    if not name:
        return ""
    parent_name, _, own = name.rpartition(".")
    try:
        parent = module.get_submodule(parent_name)
        parent.get_submodule(own)
    except AttributeError:
        children = ", ".join(child for child, _ in module.named_children())
        raise UserError(f"{type(module).__name__} has no layer {name!r} to leave out; it has {children}") from None
    setattr(parent, own, nn.Identity())
    return name


def _read_weights(path: Path) -> dict[str, Tensor]:
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    if not path.is_file():
        raise UserError(f"{path}: there is no such file of weights")
    try:
        return load_file(path)
    except (SafetensorError, OSError) as error:
        reason = " ".join(str(error).split())
        raise UserError(f"{path}: not a safetensors file ({reason}); no other kind is read") from error

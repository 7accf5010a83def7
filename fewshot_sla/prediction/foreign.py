"""Any network that turns images into features as a backbone: one of torchvision's or timm's, or one's own."""

import importlib
import inspect
import typing
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from episodes.errors import UserError
from fewshot_sla.backbones.base import Backbone
from fewshot_sla.runs.checkpoint import load_weights
from fewshot_sla.training.randomness import seeded

_CLASSIFIERS = ("fc", "classifier", "head", "heads")  # what torchvision calls the layer that maps features to classes


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
        self.module = module
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
        modes = [(module, module.training) for module in self.module.modules()]
        self.module.eval()
        with torch.no_grad():
            size = self.features(weight.new_zeros(1, self.in_channels, height, width)).shape[1]
        for module, training in modes:
            module.training = training
        return size


class BackboneByPath(WrappedBackbone):
    """The same from a class path, so that it can be written to a file and made again.

    Args:
        class_path: of an nn.Module, or of a function that is annotated to return one: ``torchvision.models.resnet18``.
        arguments: keyword arguments of the class or function.
        channels: as for WrappedBackbone.
        drop: as for WrappedBackbone.
        weights: safetensors file with the weights of the network, before a layer is left out; "" for none.

    Raises:
        UserError: if there is no such class, it cannot be made, or the weights are another network's.
    """

    def __init__(
        self,
        class_path: str,
        arguments: dict[str, Any] | None = None,
        channels: int = 3,
        drop: str = "auto",
        weights: str = "",
    ) -> None:
        make = find_module(class_path)
        arguments = dict(arguments or {})
        try:
            with seeded(0):  # weights that are drawn at random are at least the same each time
                module = make(**arguments)
        except UserError:
            raise
        except Exception as error:  # a stranger's constructor may raise anything
            raise UserError(f"cannot construct {class_path}(**{arguments}): {_line(error)}") from error
        if weights:
            load_weights(module, _read_weights(Path(weights)), Path(weights))
        super().__init__(module, channels, drop)
        self.class_path, self.drop = class_path, drop
        self.has_weights = bool(weights) or any(arguments.get(name) for name in ("weights", "pretrained"))
        # Made again, the network is given the weights that were saved: nothing needs to be downloaded for that.
        self.arguments = {
            name: {"weights": None, "pretrained": False}.get(name, value) for name, value in arguments.items()
        }
        self.channels, self.weights = channels, ""


def find_module(class_path: str) -> Callable[..., nn.Module]:
    """The nn.Module class, or the function that returns one, with this path; nothing else is ever called.

    Raises:
        UserError: if there is none.
    """
    module_name, _, name = class_path.rpartition(".")
    if not module_name:
        raise UserError(f"'{class_path}' is no dotted path: give package.module.Class")
    try:
        found = getattr(importlib.import_module(module_name), name, None)
    except Exception as error:  # a stranger's module may raise anything while it is imported
        raise UserError(f"cannot import {module_name}: {_line(error)}") from error
    if found is None:
        raise UserError(f"module {module_name} has no {name}")
    if not _makes_module(found):
        raise UserError(
            f"{class_path} is no nn.Module, nor a function annotated to return one; "
            "write such a function around it and give its path"
        )
    return found


def _makes_module(found: Any) -> bool:
    if not inspect.isfunction(found):
        made = found
    else:
        try:
            made = typing.get_type_hints(found).get("return")
        except (NameError, TypeError, AttributeError):  # annotations that cannot be resolved
            return False
    return isinstance(made, type) and issubclass(made, nn.Module)


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
        raise UserError(f"{path}: not a safetensors file ({_line(error)}); no other kind is read") from error


def _line(error: Exception) -> str:
    text = str(error).strip().splitlines()
    return f"{type(error).__name__}: {text[0]}" if text else type(error).__name__

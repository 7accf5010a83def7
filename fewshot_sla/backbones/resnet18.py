"""torchvision's ResNet-18 without its last layer, for photographs of 224 pixels and the like."""

import pickle
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from episodes.errors import UserError, first_line
from fewshot_sla.backbones.base import Backbone

OUT_FEATURES = 512
REDUCTION = 32  # smaller images would leave less than one whole entry of the last feature map
LAST_LAYER = "fc."  # its weights are for other classes


class ResNet18(Backbone):
    """The 18-layer residual network for ImageNet, up to the mean over its last feature map: D = 512.

    Weights that were trained elsewhere can be the start: those that torchvision publishes, or any file with the same
    names. Their last layer is left out. Nothing is downloaded.

    He et al., "Deep Residual Learning for Image Recognition", 2016, section 4.1.

    Args:
        in_channels: channels of the images: 3 for colour, 1 for grey.
        pretrained: file with the weights to start from, a state of torchvision's resnet18 (.safetensors, .pth or .pt);
            empty for random ones.

    Raises:
        UserError: if ``in_channels`` is less than 1, the file cannot be read or holds other weights, or torchvision is
            not installed.
    """

    def __init__(self, in_channels: int = 3, pretrained: str = "") -> None:
        super().__init__(in_channels, least_size=REDUCTION)
        self.network = _without_last_layer(in_channels)
        if pretrained:
            load_pretrained(self.network, Path(pretrained).expanduser())

    def features(
        self,
        images: Tensor,  # [B, C, H, W] float
    ) -> Tensor:  # [B, 512]
        """Mean of the last feature map over its area."""
        return self.network(images)

    def out_features(self, height: int, width: int) -> int:
        """512, for images of any size."""
        return OUT_FEATURES


def load_pretrained(network: nn.Module, path: Path) -> None:
    """Put the weights of a file into a network; those of a last layer ``fc`` are left out.

    Raises:
        UserError: if the file cannot be read, or names or shapes of its weights are others than the network's.
    """
    found = {name: value for name, value in _read(path).items() if not name.startswith(LAST_LAYER)}
    wanted = network.state_dict()
    # Files from before BatchNorm counted its batches lack the counts; the count is used by no forward pass here.
    missing = [name for name in wanted if name not in found and not name.endswith("num_batches_tracked")]
    strange = [name for name in found if name not in wanted]
    for what, names in (("lacks", missing), ("also has", strange)):
        if names:
            raise UserError(f"{path}: not the weights of torchvision's resnet18: the file {what} {names[0]!r}")
    for name, value in found.items():
        if value.shape != wanted[name].shape:
            raise UserError(
                f"{path}: {name!r} has shape {list(value.shape)}, but the network needs {list(wanted[name].shape)}"
                + (
                    "; pretrained weights need images with the channels they were trained on"
                    if name == "conv1.weight"
                    else ""
                )
            )
    network.load_state_dict(found, strict=False)  # all but the counts were checked


def _without_last_layer(in_channels: int) -> nn.Module:
    try:
        from torchvision.models import resnet18
    except ImportError as error:
        raise UserError(f"ResNet18 needs torchvision ({error}): pip install torchvision") from None
    network = resnet18(weights=None)
    network.fc = nn.Identity()
    if in_channels != network.conv1.in_channels:
        network.conv1 = nn.Conv2d(in_channels, 64, kernel_size=7, stride=2, padding=3, bias=False)
        nn.init.kaiming_normal_(network.conv1.weight, mode="fan_out", nonlinearity="relu")  # as torchvision's
    return network


def _read(path: Path) -> Mapping[str, Tensor]:
    """The tensors of a safetensors file, or of one that torch.save wrote; code in it is not run."""
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    if not path.is_file():
        raise UserError(f"{path}: there is no such file of pretrained weights")
    found: Any
    try:
        if path.suffix == ".safetensors":
            found = load_file(path)
        else:
            found = torch.load(path, map_location="cpu", weights_only=True)
    except (SafetensorError, pickle.UnpicklingError, RuntimeError, EOFError, KeyError, ValueError, OSError) as error:
        raise UserError(f"{path}: cannot be read as a file of weights ({first_line(error)})") from error
    if not isinstance(found, Mapping) or not all(
        isinstance(k, str) and isinstance(v, Tensor) for k, v in found.items()
    ):
        raise UserError(f"{path}: not a state of a network: expected names with tensors")
    return found

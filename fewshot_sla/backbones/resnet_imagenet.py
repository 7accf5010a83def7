"""torchvision's ResNet-18 to -152 without their last layer, for photographs of 224 pixels and the like."""

import pickle
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from episodes.errors import UserError, first_line
from fewshot_sla.backbones.base import Backbone

OUT_FEATURES = {18: 512, 34: 512, 50: 2048, 101: 2048, 152: 2048}  # by depth
REDUCTION = 32  # smaller images would leave less than one whole entry of the last feature map
LAST_LAYER = "fc."  # its weights are for other classes


class ResNetImageNet(Backbone):
    """A residual network for ImageNet, up to the mean over its last feature map: D = 512, from depth 50 on 2048.

    Weights that were trained elsewhere can be the start: those that torchvision publishes, or any file with the same
    names. Their last layer is left out. Nothing is downloaded.

    He et al., "Deep Residual Learning for Image Recognition", 2016, section 4.1; from depth 50 on the stride of a
    bottleneck is in its 3x3 convolution, as torchvision has it ("ResNet v1.5").

    Args:
        in_channels: channels of the images: 3 for colour, 1 for grey.
        depth: layers with weights, the last one included: 18, 34, 50, 101 or 152.
        pretrained: file with the weights to start from, a state of torchvision's network of this depth (.safetensors,
            .pth or .pt); empty for random ones.

    Raises:
        UserError: if ``in_channels`` is less than 1, there is no such depth, the file cannot be read or holds other
            weights, or torchvision is not installed.
    """

    def __init__(self, in_channels: int = 3, depth: int = 18, pretrained: str = "") -> None:
        super().__init__(in_channels, least_size=REDUCTION)
        if depth not in OUT_FEATURES:
            raise UserError(f"ResNetImageNet depth must be one of {', '.join(map(str, OUT_FEATURES))}, got {depth}")
        self.depth, self.pretrained = depth, pretrained
        self.network = _without_last_layer(in_channels, depth)
        if pretrained:
            load_pretrained(self.network, Path(pretrained).expanduser(), f"resnet{depth}")

    def features(
        self,
        images: Tensor,  # [B, C, H, W] float
    ) -> Tensor:  # [B, D]
        """Mean of the last feature map over its area."""
        return self.network(images)

    def out_features(self, height: int, width: int) -> int:
        """512 or 2048, for images of any size."""
        return OUT_FEATURES[self.depth]


def load_pretrained(
    network: nn.Module,
    path: Path,
    name: str,  # of torchvision's network
) -> None:
    """Put the weights of a file into a network; those of a last layer ``fc`` are left out.

    Raises:
        UserError: if the file cannot be read, or names or shapes of its weights are others than the network's.
    """
    found = {key: value for key, value in _read(path).items() if not key.startswith(LAST_LAYER)}
    wanted = network.state_dict()
    # Files from before BatchNorm counted its batches lack the counts; the count is used by no forward pass here.
    missing = [key for key in wanted if key not in found and not key.endswith("num_batches_tracked")]
    strange = [key for key in found if key not in wanted]
    for what, keys in (("lacks", missing), ("also has", strange)):
        if keys:
            raise UserError(f"{path}: not the weights of torchvision's {name}: the file {what} {keys[0]!r}")
    for key, value in found.items():
        if value.shape != wanted[key].shape:
            raise UserError(
                f"{path}: {key!r} has shape {list(value.shape)}, but the network needs {list(wanted[key].shape)}"
                + (
                    "; pretrained weights need images with the channels they were trained on"
                    if key == "conv1.weight"
                    else ""
                )
            )
    network.load_state_dict(found, strict=False)  # all but the counts were checked


def _without_last_layer(in_channels: int, depth: int) -> nn.Module:
    try:
        from torchvision.models import get_model
    except ImportError as error:
        raise UserError(f"ResNetImageNet needs torchvision ({error}): pip install torchvision") from None
    network = get_model(f"resnet{depth}", weights=None)
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

"""Plain convolutional networks of any number of blocks; with four it is Conv-4."""

from torch import Tensor, nn

from episodes.errors import UserError
from fewshot_sla.backbones.base import Backbone
from fewshot_sla.backbones.shape import FeatureShape


class ConvNet(Backbone):
    """Blocks of 3x3 convolution, BatchNorm, ReLU and 2x2 max-pooling, all of one width; the output is flattened.

    ``D = channels * (H // 2^blocks) * (W // 2^blocks)``: with three blocks 64 for 8x8 images, 256 for 16x16, 1024 for
    32x32. For images too small for :class:`~fewshot_sla.backbones.Conv4`, which is this network with four blocks.

    Args:
        in_channels: channels of the images: 3 for colour, 1 for grey.
        channels: width of every block.
        blocks: number of blocks; each halves height and width, rounding down.

    Raises:
        UserError: if an argument is less than 1.
    """

    def __init__(self, in_channels: int = 3, channels: int = 64, blocks: int = 3) -> None:
        for name, value in (("channels", channels), ("blocks", blocks)):
            if value < 1:
                raise UserError(f"{type(self).__name__} {name} must be at least 1, got {value}")
        super().__init__(in_channels, least_size=2**blocks)
        self.reduction = 2**blocks
        self.channels = channels
        inputs = [in_channels] + [channels] * (blocks - 1)
        self.blocks = nn.Sequential(*(_block(width, channels) for width in inputs))

    def features(
        self,
        images: Tensor,  # [B, C, H, W] float
    ) -> Tensor:  # [B, D]
        """Flattened output of the last block."""
        return self.blocks(images).flatten(1)

    def out_features(self, height: int, width: int) -> int:
        """``channels * (height // 2^blocks) * (width // 2^blocks)``."""
        return self.map_shape(height, width).numbers

    def map_shape(self, height: int, width: int) -> FeatureShape:
        """``(channels, height // 2^blocks, width // 2^blocks)``."""
        return FeatureShape(self.channels, height // self.reduction, width // self.reduction)


def _block(inputs: int, outputs: int) -> nn.Sequential:
    # The maximum commutes with the increasing ReLU, so pooling first gives the same output and the same gradient, and
    # leaves the ReLU a quarter of the work.
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, kernel_size=3, padding=1),
        nn.BatchNorm2d(outputs),
        nn.MaxPool2d(2),
        nn.ReLU(inplace=True),
    )

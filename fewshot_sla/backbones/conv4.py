"""Conv-4, the small convolutional network of the first few-shot papers."""

from torch import Tensor, nn

from episodes.errors import UserError
from fewshot_sla.backbones.base import Backbone

BLOCKS = 4
REDUCTION = 2**BLOCKS  # every block halves height and width, rounding down


class Conv4(Backbone):
    """Four blocks of 3x3 convolution, BatchNorm, ReLU and 2x2 max-pooling; the output is flattened.

    ``D = channels * (H // 16) * (W // 16)``: 64 for 28x28 images, 256 for 32x32, 1600 for 84x84.

    Vinyals et al., "Matching Networks for One Shot Learning", 2016, section 4.1; Snell et al., "Prototypical Networks
    for Few-shot Learning", 2017, section 3.1.

    Args:
        in_channels: Channels of the images: 3 for colour, 1 for grey.
        channels: Width of every block; 64 in the papers.

    Raises:
        UserError: if ``in_channels`` or ``channels`` is less than 1.
    """

    def __init__(self, in_channels: int = 3, channels: int = 64) -> None:
        super().__init__(in_channels, least_size=REDUCTION)
        if channels < 1:
            raise UserError(f"Conv4 channels must be at least 1, got {channels}")
        self.channels = channels
        inputs = [in_channels] + [channels] * (BLOCKS - 1)
        self.blocks = nn.Sequential(*(_block(width, channels) for width in inputs))

    def features(
        self,
        images: Tensor,  # [B, C, H, W] float
    ) -> Tensor:  # [B, D]
        """Flattened output of the last block."""
        return self.blocks(images).flatten(1)

    def out_features(self, height: int, width: int) -> int:
        """``channels * (height // 16) * (width // 16)``."""
        return self.channels * (height // REDUCTION) * (width // REDUCTION)


def _block(inputs: int, outputs: int) -> nn.Sequential:
    # The maximum commutes with the increasing ReLU, so pooling first gives the same output and the same gradient, and
    # leaves the ReLU a quarter of the work.
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, kernel_size=3, padding=1),
        nn.BatchNorm2d(outputs),
        nn.MaxPool2d(2),
        nn.ReLU(inplace=True),
    )

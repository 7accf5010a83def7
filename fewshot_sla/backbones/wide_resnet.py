"""Wide residual networks for images of 32x32 pixels: WRN-40-2, WRN-28-10 and others."""

import torch
from torch import Tensor, nn

from episodes.errors import UserError
from fewshot_sla.backbones.base import Backbone

STAGES = 3
BASE = 16  # channels of the stem
LEAST_SIZE = 4  # the second and third stage each halve height and width


class WideResNet(Backbone):
    """A 3x3 convolution, three stages of (depth - 4) / 6 pre-activation blocks, BatchNorm, ReLU, the mean over the map.

    The stages are 16, 32 and 64 times ``widen`` channels wide; the first block of the second and third stage halves
    height and width, rounding up. ``D = 64 * widen``. With a linear layer for 10 classes WRN-40-2 has 2,246,474
    parameters.

    Zagoruyko and Komodakis, "Wide Residual Networks", BMVC 2016, in the form of Fast AutoAugment's program (Lim et al.,
    NeurIPS 2019), which table 5 of the SLA paper is trained with: convolutions have biases, the stride is in the second
    convolution of a block, shortcuts are 1x1 convolutions of the block's input as it is, and the running statistics
    of BatchNorm move by 0.9 of the way at each step. Convolutions start as torch has them.

    Args:
        in_channels: channels of the images: 3 for colour, 1 for grey.
        depth: layers with weights: 6n + 4, so 10, 16, 22, 28, 34, 40, ...
        widen: how many times wider than a ResNet the stages are.
        dropout: rate between the two convolutions of a block.
        momentum: share of the way that BatchNorm's running statistics move at each step.

    Raises:
        UserError: if ``depth`` is not 6n + 4 with n of at least 1, or another argument is out of its range.
    """

    def __init__(
        self, in_channels: int = 3, depth: int = 40, widen: int = 2, dropout: float = 0.0, momentum: float = 0.9
    ) -> None:
        super().__init__(in_channels, least_size=LEAST_SIZE)
        blocks, rest = divmod(depth - 4, 2 * STAGES)
        if blocks < 1 or rest:
            raise UserError(f"WideResNet depth must be 6n + 4 (10, 16, 22, 28, 34, 40, ...), got {depth}")
        if widen < 1:
            raise UserError(f"WideResNet widen must be at least 1, got {widen}")
        if not 0 <= dropout < 1:
            raise UserError(f"WideResNet dropout must be at least 0 and less than 1, got {dropout}")
        if not 0 < momentum <= 1:
            raise UserError(f"WideResNet momentum must be more than 0 and at most 1, got {momentum}")
        self.depth, self.widen, self.dropout, self.momentum = depth, widen, dropout, momentum
        widths = [BASE * widen * 2**stage for stage in range(STAGES) for _ in range(blocks)]
        strides = [2 if stage and not block else 1 for stage in range(STAGES) for block in range(blocks)]
        self.stem = nn.Conv2d(in_channels, BASE, 3, padding=1)
        self.blocks = nn.Sequential(
            *(
                WideBlock(inputs, outputs, stride, dropout, momentum)
                for inputs, outputs, stride in zip([BASE, *widths], widths, strides, strict=False)
            )
        )
        self.norm = nn.BatchNorm2d(widths[-1], momentum=momentum)

    def features(
        self,
        images: Tensor,  # [B, C, H, W] float
    ) -> Tensor:  # [B, D]
        """Mean of the last feature map over its area."""
        return torch.relu(self.norm(self.blocks(self.stem(images)))).mean(dim=(2, 3))

    def out_features(self, height: int, width: int) -> int:
        """``64 * widen``, for images of any size."""
        return BASE * self.widen * 2 ** (STAGES - 1)


class WideBlock(nn.Module):
    """``conv2(relu(bn2(dropout(conv1(relu(bn1(x))))))) + shortcut(x)``; no shortcut layer where the shape stays.

    Args:
        inputs: channels of the incoming feature map.
        outputs: channels of both convolutions.
        stride: of the second convolution.
        dropout: rate behind the first convolution.
        momentum: of BatchNorm.
    """

    def __init__(self, inputs: int, outputs: int, stride: int, dropout: float, momentum: float) -> None:
        super().__init__()
        self.residual = nn.Sequential(
            nn.BatchNorm2d(inputs, momentum=momentum),
            nn.ReLU(inplace=True),
            nn.Conv2d(inputs, outputs, 3, padding=1),
            nn.Dropout(dropout),
            nn.BatchNorm2d(outputs, momentum=momentum),
            nn.ReLU(inplace=True),
            nn.Conv2d(outputs, outputs, 3, stride, padding=1),
        )
        same = inputs == outputs and stride == 1
        self.shortcut = nn.Identity() if same else nn.Conv2d(inputs, outputs, 1, stride)

    def forward(
        self,
        x: Tensor,  # [B, inputs, H, W] float
    ) -> Tensor:  # [B, outputs, ceil(H / stride), ceil(W / stride)]
        """The block's output."""
        return self.residual(x) + self.shortcut(x)

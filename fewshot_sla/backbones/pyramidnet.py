"""Pyramidal residual networks for images of 32x32 pixels, with bottlenecks: PyramidNet-200 and others."""

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from episodes.errors import UserError
from fewshot_sla.backbones.base import Backbone

STAGES = 3
STEM = 16  # channels of the first convolution
EXPANSION = 4  # a bottleneck has four times as many channels behind it as inside
LEAST_SIZE = 4  # the second and third stage each halve height and width


class PyramidNet(Backbone):
    """A 3x3 convolution, three stages of (depth - 2) / 9 bottlenecks, BatchNorm, ReLU, the mean over the last map.

    Every block is wider than the one before: block k of n in all has round(16 + k * alpha / n) channels inside and four
    times as many behind it. ``D = 4 * round(16 + alpha)``: 1024 for alpha 240. The first block of the second and third
    stage halves height and width. PyramidNet-200 with a linear layer for 100 classes has 26,844,952 parameters.

    Han, Kim and Kim, "Deep Pyramidal Residual Networks", CVPR 2017; initial weights, N(0, 2 / (k^2 outputs)), as in the
    program of CutMix (Yun et al., ICCV 2019), which table 5 of the SLA paper is trained with.

    Args:
        in_channels: channels of the images: 3 for colour, 1 for grey.
        depth: layers with weights: 9n + 2, so 11, 20, 29, ..., 200, ...
        alpha: by how many channels the blocks grow in all.

    Raises:
        UserError: if ``depth`` is not 9n + 2 with n of at least 1, or another argument is out of its range.
    """

    def __init__(self, in_channels: int = 3, depth: int = 200, alpha: float = 240.0) -> None:
        super().__init__(in_channels, least_size=LEAST_SIZE)
        per_stage, rest = divmod(depth - 2, 3 * STAGES)
        if per_stage < 1 or rest:
            raise UserError(f"PyramidNet depth must be 9n + 2 (11, 20, 29, ..., 200, ...), got {depth}")
        if not 0 <= alpha < math.inf:
            raise UserError(f"PyramidNet alpha must be a finite number of at least 0, got {alpha}")
        self.depth, self.alpha = depth, alpha
        blocks = STAGES * per_stage
        inner = [round(STEM + (k + 1) * alpha / blocks) for k in range(blocks)]
        strides = [2 if k and k % per_stage == 0 else 1 for k in range(blocks)]
        behind = [STEM, *(EXPANSION * width for width in inner)]
        self.stem = nn.Sequential(nn.Conv2d(in_channels, STEM, 3, padding=1, bias=False), nn.BatchNorm2d(STEM))
        self.blocks = nn.Sequential(*map(PyramidBlock, behind, inner, strides))
        self.norm = nn.BatchNorm2d(behind[-1])
        self.apply(_initialise)

    def features(
        self,
        images: Tensor,  # [B, C, H, W] float
    ) -> Tensor:  # [B, D]
        """Mean of the last feature map over its area."""
        return torch.relu(self.norm(self.blocks(self.stem(images)))).mean(dim=(2, 3))

    def out_features(self, height: int, width: int) -> int:
        """``4 * round(16 + alpha)``, for images of any size."""
        return self.norm.num_features


class PyramidBlock(nn.Module):
    """BN, 1x1, BN, ReLU, 3x3, BN, ReLU, 1x1, BN; and the input, its pixels averaged, with channels of zeros behind.

    Args:
        inputs: channels of the incoming feature map.
        inner: channels of the first two convolutions; ``outputs = 4 * inner``, not fewer than ``inputs``.
        stride: of the 3x3 convolution, 1 or 2.
    """

    def __init__(self, inputs: int, inner: int, stride: int) -> None:
        super().__init__()
        outputs = EXPANSION * inner
        self.stride, self.padding = stride, outputs - inputs
        self.residual = nn.Sequential(
            nn.BatchNorm2d(inputs),
            nn.Conv2d(inputs, inner, 1, bias=False),
            nn.BatchNorm2d(inner),
            nn.ReLU(inplace=True),
            nn.Conv2d(inner, inner, 3, stride, padding=1, bias=False),
            nn.BatchNorm2d(inner),
            nn.ReLU(inplace=True),
            nn.Conv2d(inner, outputs, 1, bias=False),
            nn.BatchNorm2d(outputs),
        )

    def forward(
        self,
        x: Tensor,  # [B, inputs, H, W] float
    ) -> Tensor:  # [B, outputs, ceil(H / stride), ceil(W / stride)]
        """The block's output."""
        short = x if self.stride == 1 else F.avg_pool2d(x, 2, ceil_mode=True)
        return self.residual(x) + F.pad(short, (0, 0, 0, 0, 0, self.padding))


def _initialise(module: nn.Module) -> None:
    if isinstance(module, nn.Conv2d):
        outputs = module.kernel_size[0] * module.kernel_size[1] * module.out_channels
        nn.init.normal_(module.weight, std=math.sqrt(2 / outputs))

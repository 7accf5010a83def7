"""ResNet-12 as MetaOptNet uses it: four wide residual blocks, with DropBlock in the last two."""

from torch import Tensor, nn
from torch.nn import functional as F

from episodes.errors import UserError
from fewshot_sla.backbones.base import Backbone
from fewshot_sla.backbones.dropblock import DropBlock
from fewshot_sla.backbones.shape import FeatureShape

NEGATIVE_SLOPE = 0.1
REDUCTION = 16  # each of the four blocks halves height and width, rounding down


class ResNet12(Backbone):
    """Four residual blocks of three 3x3 convolutions, each block ending in a 2x2 max-pooling.

    Flattened, ``D = widths[3] * (H // 16) * (W // 16)``: 16000 for 84x84 images, 2560 for 32x32, 640 for 28x28.
    Pooled, ``D = widths[3]``, the mean over the feature map. MetaOptNet flattens.

    The first two blocks end in plain dropout, the last two in :class:`~fewshot_sla.backbones.DropBlock`, whose rate
    grows over the training (see :func:`~fewshot_sla.backbones.set_training_progress`).

    Lee et al., "Meta-Learning with Differentiable Convex Optimization", 2019, section 4.1; without DropBlock,
    Oreshkin et al., "TADAM", 2018, with widths 64-128-256-512.

    Args:
        in_channels: channels of the images: 3 for colour, 1 for grey.
        widths: channels of the four blocks.
        pooled: True averages the last feature map over its area, False flattens it.
        drop_rate: rate of the dropout, and of DropBlock at the end of its schedule; 0 turns both off.
        block_size: side of DropBlock's blocks: 5 for 84x84 images, 2 for 32x32 and smaller.
        ramp: share of the training until DropBlock reaches ``drop_rate``, 0 to 1.

    Raises:
        UserError: if an argument is out of its range.
    """

    def __init__(
        self,
        in_channels: int = 3,
        widths: tuple[int, int, int, int] = (64, 160, 320, 640),
        pooled: bool = False,
        drop_rate: float = 0.1,
        block_size: int = 5,
        ramp: float = 1 / 3,
    ) -> None:
        super().__init__(in_channels, least_size=REDUCTION)
        if len(widths) != 4 or min(widths) < 1:
            raise UserError(f"ResNet12 widths must be four numbers of at least 1, got {list(widths)}")
        if not 0 <= drop_rate < 1:
            raise UserError(f"ResNet12 drop_rate must be at least 0 and less than 1, got {drop_rate}")
        self.widths = tuple(widths)
        self.pooled = pooled
        drops: list[nn.Module] = [
            nn.Dropout(drop_rate),
            nn.Dropout(drop_rate),
            DropBlock(drop_rate, block_size, ramp),
            DropBlock(drop_rate, block_size, ramp),
        ]
        inputs = (in_channels, *widths[:3])
        self.stages = nn.Sequential(*map(ResidualBlock, inputs, widths, drops))
        self.apply(_initialise)

    def features(
        self,
        images: Tensor,  # [B, C, H, W] float
    ) -> Tensor:  # [B, D]
        """Output of the last block, averaged over its area or flattened."""
        maps = self.stages(images)  # [B, widths[3], H // 16, W // 16]
        return maps.mean(dim=(2, 3)) if self.pooled else maps.flatten(1)

    def out_features(self, height: int, width: int) -> int:
        """``widths[3]`` if pooled, else ``widths[3] * (height // 16) * (width // 16)``."""
        return self.map_shape(height, width).numbers

    def map_shape(self, height: int, width: int) -> FeatureShape:
        """``(widths[3], height // 16, width // 16)``; a vector if pooled."""
        area = (1, 1) if self.pooled else (height // REDUCTION, width // REDUCTION)
        return FeatureShape(self.widths[3], *area)


class ResidualBlock(nn.Module):
    """``drop(pool(leaky_relu(bn3(conv3(.)) + shortcut)))``; the inner layers are convolution, BatchNorm, LeakyReLU 0.1.

    Args:
        inputs: channels of the incoming feature map.
        outputs: channels of the three convolutions.
        drop: regulariser after the pooling.
    """

    def __init__(self, inputs: int, outputs: int, drop: nn.Module) -> None:
        super().__init__()
        self.residual = nn.Sequential(
            *_conv_bn(inputs, outputs, kernel_size=3),
            nn.LeakyReLU(NEGATIVE_SLOPE, inplace=True),
            *_conv_bn(outputs, outputs, kernel_size=3),
            nn.LeakyReLU(NEGATIVE_SLOPE, inplace=True),
            *_conv_bn(outputs, outputs, kernel_size=3),
        )
        self.shortcut = nn.Sequential(*_conv_bn(inputs, outputs, kernel_size=1))
        self.drop = drop

    def forward(
        self,
        x: Tensor,  # [B, inputs, H, W] float
    ) -> Tensor:  # [B, outputs, H // 2, W // 2]
        """The block's output."""
        # The maximum commutes with the increasing LeakyReLU: pooled first, the activation has a quarter of the work.
        summed = F.max_pool2d(self.residual(x) + self.shortcut(x), 2)
        return self.drop(F.leaky_relu(summed, NEGATIVE_SLOPE, inplace=True))


def _conv_bn(inputs: int, outputs: int, kernel_size: int) -> tuple[nn.Conv2d, nn.BatchNorm2d]:
    # No bias: BatchNorm would subtract it again.
    convolution = nn.Conv2d(inputs, outputs, kernel_size, padding=kernel_size // 2, bias=False)
    return convolution, nn.BatchNorm2d(outputs)


def _initialise(module: nn.Module) -> None:
    # MetaOptNet's: gain sqrt(2), i.e. the slope is taken as 0. BatchNorm starts with weight 1 and bias 0 by itself.
    if isinstance(module, nn.Conv2d):
        nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="leaky_relu")

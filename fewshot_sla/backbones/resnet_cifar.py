"""The thin residual networks for 32x32 images: ResNet-20, -32, -44, -56, -110."""

from torch import Tensor, nn
from torch.nn import functional as F

from episodes.errors import UserError
from fewshot_sla.backbones.base import Backbone

STAGES = 3
LEAST_SIZE = 4  # the second and third stage each halve height and width


class ResNetCifar(Backbone):
    """A 3x3 convolution, three stages of (depth - 2) / 6 basic blocks, and the mean over the last feature map.

    The stages are ``width``, ``2 * width`` and ``4 * width`` channels wide; the first block of the second and of the
    third stage halves height and width, rounding up. ``D = 4 * width``: 64 for images of any size. Shortcuts have no
    parameters (option A). With depth 32 and a linear layer for 10 classes, 464,154 parameters.

    He et al., "Deep Residual Learning for Image Recognition", 2016, section 4.2.

    Convolutions start with a variance of 2 / (inputs of a unit), as in the program of LDAM-DRW. That of SLA divides by
    the outputs, which makes a difference where the width grows: from 16 to 32 channels 0.083, not 0.118.

    Args:
        in_channels: channels of the images: 3 for colour, 1 for grey.
        depth: layers with weights, a linear layer behind the features included: 6n + 2, so 8, 14, 20, 26, 32, ...
        width: channels of the first stage; 16 in the paper.

    Raises:
        UserError: if ``depth`` is not 6n + 2 with n of at least 1, or another argument is less than 1.
    """

    def __init__(self, in_channels: int = 3, depth: int = 32, width: int = 16) -> None:
        super().__init__(in_channels, least_size=LEAST_SIZE)
        blocks, rest = divmod(depth - 2, 2 * STAGES)
        if blocks < 1 or rest:
            raise UserError(f"ResNetCifar depth must be 6n + 2 (8, 14, 20, 26, 32, ...), got {depth}")
        if width < 1:
            raise UserError(f"ResNetCifar width must be at least 1, got {width}")
        self.width = width
        self.stem = nn.Sequential(*_conv_bn(in_channels, width), nn.ReLU(inplace=True))
        widths = [width * 2**stage for stage in range(STAGES) for _ in range(blocks)]
        self.blocks = nn.Sequential(*map(BasicBlock, [width, *widths], widths))
        self.apply(_initialise)

    def features(
        self,
        images: Tensor,  # [B, C, H, W] float
    ) -> Tensor:  # [B, D]
        """Mean of the last feature map over its area."""
        return self.blocks(self.stem(images)).mean(dim=(2, 3))

    def out_features(self, height: int, width: int) -> int:
        """``4 * width`` of the network, for images of any size."""
        return self.width * 2 ** (STAGES - 1)


class BasicBlock(nn.Module):
    """``relu(bn2(conv2(relu(bn1(conv1(x))))) + shortcut(x))``; where the width grows, height and width are halved.

    Args:
        inputs: channels of the incoming feature map.
        outputs: channels of both convolutions, at least as many.
    """

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.stride = 1 if inputs == outputs else 2
        self.padding = outputs - inputs
        self.residual = nn.Sequential(
            *_conv_bn(inputs, outputs, self.stride),
            nn.ReLU(inplace=True),
            *_conv_bn(outputs, outputs),
        )

    def forward(
        self,
        x: Tensor,  # [B, inputs, H, W] float
    ) -> Tensor:  # [B, outputs, ceil(H / stride), ceil(W / stride)]
        """The block's output."""
        return F.relu(self.residual(x) + zero_padded(x, self.stride, self.padding))


def zero_padded(
    x: Tensor,  # [B, C, H, W] float
    stride: int,
    padding: int,  # channels of zeros to add
) -> Tensor:  # [B, C + padding, ceil(H / stride), ceil(W / stride)]
    """Option A of He et al.: every ``stride``-th pixel, between new channels of zeros, half of them on either side.

    The paper leaves open where the zeros go. LDAM-DRW's program has them on both sides, too, that of SLA behind: the
    same network with its channels in another order, so weights of theirs do not fit as they are.
    """
    if not padding:
        return x
    before = padding // 2
    return F.pad(x[:, :, ::stride, ::stride], (0, 0, 0, 0, before, padding - before))


def _conv_bn(inputs: int, outputs: int, stride: int = 1) -> tuple[nn.Conv2d, nn.BatchNorm2d]:
    # No bias: BatchNorm would subtract it again.
    return nn.Conv2d(inputs, outputs, 3, stride, padding=1, bias=False), nn.BatchNorm2d(outputs)


def _initialise(module: nn.Module) -> None:
    # He et al., "Delving Deep into Rectifiers", 2015, equation 10: variance 2 / (inputs of a unit).
    if isinstance(module, nn.Conv2d):
        nn.init.kaiming_normal_(module.weight, mode="fan_in", nonlinearity="relu")

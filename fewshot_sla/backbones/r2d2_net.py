"""The network of R2-D2: four wider and wider blocks of convolution, and features of the last two."""

import torch
from torch import Tensor, nn

from episodes.errors import UserError
from fewshot_sla.backbones.base import Backbone

NEGATIVE_SLOPE = 0.1


class R2D2Net(Backbone):
    """Blocks of 3x3 convolution, BatchNorm, 2x2 max-pooling and LeakyReLU(0.1); features of blocks 3 and 4, flattened.

    ``D = widths[2] * (H // 8) * (W // 8) + widths[3] * (H // 16) * (W // 16)``: 51,200 for 84x84 images, 8,192 for
    32x32. The last block has no LeakyReLU: so MetaOptNet's copy of the network has it, whose authors say that the
    published accuracy could not be reproduced with it.

    Bertinetto et al., "Meta-Learning with Differentiable Closed-Form Solvers", ICLR 2019, section 4.1.

    Args:
        in_channels: channels of the images: 3 for colour, 1 for grey.
        widths: channels of the four blocks.
        drop_rate: rate of the dropout after blocks 3 and 4, 0 to 1; 0.1 on mini-ImageNet, 0.4 on CIFAR-FS in the paper.

    Raises:
        UserError: if an argument is out of its range.
    """

    def __init__(
        self,
        in_channels: int = 3,
        widths: tuple[int, int, int, int] = (96, 192, 384, 512),
        drop_rate: float = 0.1,
    ) -> None:
        super().__init__(in_channels, least_size=16)
        if len(widths) != 4 or min(widths) < 1:
            raise UserError(f"R2D2Net widths must be four numbers of at least 1, got {list(widths)}")
        if not 0 <= drop_rate < 1:
            raise UserError(f"R2D2Net drop_rate must be at least 0 and less than 1, got {drop_rate}")
        self.widths = tuple(widths)
        first, second, third, fourth = widths
        self.early = nn.Sequential(*_block(in_channels, first), *_block(first, second))
        self.third = nn.Sequential(*_block(second, third), nn.Dropout(drop_rate))
        self.fourth = nn.Sequential(*_block(third, fourth)[:-1], nn.Dropout(drop_rate))

    def features(
        self,
        images: Tensor,  # [B, C, H, W] float
    ) -> Tensor:  # [B, D]
        """Outputs of the third and of the fourth block, one behind the other."""
        third = self.third(self.early(images))
        return torch.cat([third.flatten(1), self.fourth(third).flatten(1)], dim=1)

    def out_features(self, height: int, width: int) -> int:
        """The formula of the class."""
        third, fourth = self.widths[2:]
        return third * (height // 8) * (width // 8) + fourth * (height // 16) * (width // 16)


def _block(inputs: int, outputs: int) -> list[nn.Module]:
    return [
        nn.Conv2d(inputs, outputs, kernel_size=3, padding=1),
        nn.BatchNorm2d(outputs),
        nn.MaxPool2d(2),
        nn.LeakyReLU(NEGATIVE_SLOPE),
    ]

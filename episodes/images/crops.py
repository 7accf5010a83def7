"""Crops of an image that is to be recognised: the image itself, or the ten crops of Krizhevsky et al. (NeurIPS 2012).

Krizhevsky et al. cut five patches of 224 by 224 (corners, centre) and their mirror images out of one of 256 by 256, and
average the softmax outputs. Lee et al. report ten crops (93.33, 70.54 and 64.95 % in the preprint's table 2, and for
few-shot learning in section 3.4 of the ICML paper); how they cut them is not known here. That images of the network's
own size are padded with black first is this project's choice.
"""

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional

Crops = Callable[[Tensor], Tensor]  # [B, C, H, W] -> [B, K, C, H, W]


def as_is(
    pixels: Tensor,  # [B, C, H, W]
) -> Tensor:  # [B, 1, C, H, W]
    """One crop: the image."""
    return pixels.unsqueeze(1)


def crops_of(
    padding: int,  # of the ten crops; 0 for the images as they are
) -> int:
    """How many crops there are of an image."""
    return 10 if padding else 1


def ten_crops(
    pixels: Tensor,  # [B, C, H, W] uint8 or float, not normalised: black is 0
    padding: int = 4,  # P: pixels of black on each side, as random crops have them in training
) -> Tensor:  # [B, 10, C, H, W]
    """Windows of the image's own size, H by W, in the image padded to (H + 2P) by (W + 2P), and their mirror images.

    In this order: upper left, upper right, lower left and lower right corner, centre (the image itself); then each of
    the five mirrored left to right. A corner sees the image shifted by P pixels both ways, with black at two sides.

    >>> ten_crops(torch.zeros(2, 3, 32, 32)).shape
    torch.Size([2, 10, 3, 32, 32])
    """
    height, width = pixels.shape[-2:]
    padded = functional.pad(pixels, (padding,) * 4)
    corners = [(0, 0), (0, 2 * padding), (2 * padding, 0), (2 * padding, 2 * padding), (padding, padding)]
    crops = torch.stack([padded[..., y : y + height, x : x + width] for y, x in corners], dim=1)
    return torch.cat([crops, crops.flip(-1)], dim=1)

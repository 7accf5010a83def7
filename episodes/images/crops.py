"""Crops of an image that is to be recognised: the image itself, or the ten crops of Krizhevsky et al. (NeurIPS 2012).

That they are cut from the padded image, at the network's own size, is this project's choice: Lee et al. (ICML 2020)
report ten crops, for few-shot learning in section 3.4, and how they cut them is not known here.
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


def ten_crops(
    pixels: Tensor,  # [B, C, H, W] uint8 or float, not normalised: black is 0
    padding: int = 4,  # pixels of black on each side, as random crops have them in training
) -> Tensor:  # [B, 10, C, H, W]
    """The four corners and the centre of the padded image, and the same of its mirror image.

    >>> ten_crops(torch.zeros(2, 3, 32, 32)).shape
    torch.Size([2, 10, 3, 32, 32])
    """
    height, width = pixels.shape[-2:]
    padded = functional.pad(pixels, (padding,) * 4)
    corners = [(0, 0), (0, 2 * padding), (2 * padding, 0), (2 * padding, 2 * padding), (padding, padding)]
    crops = torch.stack([padded[..., y : y + height, x : x + width] for y, x in corners], dim=1)
    return torch.cat([crops, crops.flip(-1)], dim=1)

"""Cutout: a square of each training image is blotted out."""

from collections.abc import Sequence
from copy import copy
from typing import TYPE_CHECKING, Literal, Self

import torch
from torch import Tensor

from episodes.errors import UserError
from episodes.images.augmentation.base import ImageAugmentation
from episodes.images.augmentation.boxes import box_masks, random_centres

if TYPE_CHECKING:
    from episodes.images.normalization import Normalization


class Cutout(ImageAugmentation):
    """A square of side ``size`` around a random pixel of each image gets one colour; at the edges it is cut off.

    DeVries and Taylor, "Improved Regularization of Convolutional Neural Networks with Cutout", arXiv 1708.04552. There
    and in Fast AutoAugment's program the square is zero after normalisation, which is the mean of the training images
    before; so the mean is what it is filled with, as long as nothing else is asked for.

    Args:
        size: side of the square in pixels; 16 for CIFAR-10 and 8 for CIFAR-100 in the paper, 16 for both in Fast
            AutoAugment.
        fill: value of each channel in the square, 0..1; one value for all channels, or one for each; or "mean".

    Raises:
        UserError: if a number is out of its range; later, if the images have another number of channels, or the mean is
            wanted and nobody told it (:meth:`adapted`, which training does).
    """

    def __init__(self, size: int = 16, fill: Sequence[float] | Literal["mean"] = "mean") -> None:
        if size < 2:
            raise UserError(f"Cutout size must be at least 2, got {size}")
        self.size = size
        self.fill: list[float] | None = None  # not known yet
        if fill == "mean":
            return
        if isinstance(fill, str) or not fill or not all(0 <= value <= 1 for value in fill):
            raise UserError(f"Cutout fill must be 'mean', or one value 0 to 1 or one for each channel, got {fill!r}")
        self.fill = list(fill)

    def adapted(self, normalization: "Normalization") -> Self:
        """Filled with the mean of the training images, if nothing else is."""
        if self.fill:
            return self
        filled = copy(self)
        filled.fill = normalization.mean.clamp(0, 1).tolist()
        return filled

    def change(
        self,
        images: Tensor,  # [B, C, H, W] float, 0..1; B may be 0
    ) -> Tensor:  # [B, C, H, W] float, 0..1
        """Each image with its own square."""
        count, channels, height, width = images.shape
        if self.fill is None:
            raise UserError("Cutout does not know the mean of the training images; give fill, as in fill: [0.5]")
        if len(self.fill) not in (1, channels):
            raise UserError(f"Cutout fill has {len(self.fill)} values, but the images have {channels} channels")
        rows, columns = random_centres(count, height, width, images.device)
        side = torch.full_like(rows, self.size)
        color = torch.tensor(self.fill, dtype=images.dtype, device=images.device).view(1, -1, 1, 1)
        return torch.where(box_masks(rows, columns, side, side, height, width), color, images)

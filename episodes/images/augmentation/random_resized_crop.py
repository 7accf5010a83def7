"""A random part of each image, at the size of the whole: for images in memory that are photographs."""

import torch
from torch import Tensor
from torch.nn.functional import grid_sample

from episodes.errors import UserError
from episodes.images.augmentation.base import ImageAugmentation
from episodes.images.gathering import sent
from episodes.images.random_crops import UNITS, random_crop


def enlarged(
    images: Tensor,  # [B, C, H, W] float
    parts: Tensor,  # [B, 4] float: top, left, height and width in pixels, inside of the images
    mirrored: Tensor,  # [B] bool
) -> Tensor:  # [B, C, H, W]
    """A part of each image, resized bilinearly to the size of the image, and mirrored where that is asked for.

    As if the part were cut out first: pixels beside it have no share in it.
    """
    height, width = images.shape[-2:]
    top, left, tall, wide = parts.unbind(dim=1)
    rows = _places(top, tall, height)
    columns = _places(left, wide, width)
    columns = columns.flip(1).where(mirrored[:, None], columns)
    grid = torch.stack([columns[:, None, :].expand(-1, height, -1), rows[:, :, None].expand(-1, -1, width)], dim=-1)
    return grid_sample(images, grid.to(images.dtype), mode="bilinear", padding_mode="border", align_corners=False)


def _places(first: Tensor, length: Tensor, size: int) -> Tensor:  # [B, size], -1..1 from edge to edge of the image
    share = (torch.arange(size, device=first.device) + 0.5) / size
    inside = (share * length[:, None] - 0.5).clamp(min=0).minimum(length[:, None] - 1)
    return (2 * (first[:, None] + inside) + 1) / size - 1


class RandomResizedCrop(ImageAugmentation):
    """Random parts of the images, resized to the images' size and mirrored: ImageNet's augmentation, in memory.

    Which part is drawn as where image files are read (:mod:`episodes.images.random_crops`), which crops and mirrors by
    itself; there this augmentation is not needed.

    Szegedy et al., "Going deeper with convolutions", CVPR 2015, section 6. Random numbers are drawn on the CPU.

    Args:
        smallest: smallest share of an image's area; the largest is all of it.
        flip: probability that a part is mirrored.

    Raises:
        UserError: if a number is out of its range.
    """

    def __init__(self, smallest: float = 0.08, flip: float = 0.5) -> None:
        if not 0 < smallest <= 1 or not 0 <= flip <= 1:
            raise UserError(
                f"RandomResizedCrop smallest must be above 0 and at most 1, flip 0 to 1, got {smallest} and {flip}"
            )
        self.smallest, self.flip = smallest, flip

    def change(
        self,
        images: Tensor,  # [B, C, H, W] float, 0..1; B may be 0
    ) -> Tensor:  # [B, C, H, W] float, 0..1
        """A part of each image."""
        if not len(images):
            return images
        height, width = images.shape[-2:]
        units = torch.rand(len(images), UNITS, dtype=torch.float64).numpy()
        crops = [random_crop(own, height, width, self.smallest, self.flip) for own in units]
        drawn = sent(torch.tensor(crops, dtype=torch.float32), images.device)
        return enlarged(images, drawn[:, :4], drawn[:, 4] > 0.5)

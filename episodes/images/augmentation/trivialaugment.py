"""TrivialAugment: one random operation an image, at a random level of a wide range."""

from collections.abc import Sequence

import torch
from torch import Tensor

from episodes.errors import UserError
from episodes.images.augmentation.policy import Policy
from episodes.images.augmentation.ranges import CHOICES, WIDE, at_level
from episodes.images.augmentation.steps import Step


def chosen(
    which: Tensor,  # [B] int64 on the CPU, 0..13: operations
    level: Tensor,  # [B] int64 on the CPU, 0..levels-1
    negative: Tensor,  # [B] bool on the CPU: the sign of the magnitude, where it has one
    levels: int,
    height: int,
    width: int,
) -> list[list[Step]]:  # one round of B steps
    """The operation of each image."""
    drawn = zip((CHOICES[number] for number in which.tolist()), level.tolist(), negative.tolist(), strict=True)
    return [[Step(name, at_level(WIDE, name, own, levels, height, width, turned)) for name, own, turned in drawn]]


class TrivialAugment(Policy):
    """TrivialAugment (wide) of Müller and Hutter, ICCV 2021 (arXiv 2103.10158), drawn for each image by itself.

    One of 14 operations, one of which does nothing, at a level that is drawn too; the sign of a magnitude is drawn.
    Operations, ranges and levels are those of torchvision's TrivialAugmentWide, which draws once for all images of a
    batch. There is nothing to tune.

    Args:
        levels: into how many the ranges are divided.

    Raises:
        UserError: if there are fewer than 2.
    """

    def __init__(self, levels: int = 31) -> None:
        if levels < 2:
            raise UserError(f"TrivialAugment levels must be at least 2, got {levels}")
        self.levels = levels

    def draw(self, count: int, height: int, width: int) -> Sequence[Sequence[Step | None]]:
        """:func:`chosen` with random numbers."""
        which, level = torch.randint(len(CHOICES), (count,)), torch.randint(self.levels, (count,))
        return chosen(which, level, torch.rand(count) < 0.5, self.levels, height, width)

"""RandAugment: a number of random operations an image, all at the same level."""

from collections.abc import Sequence

import torch
from torch import Tensor

from episodes.errors import UserError
from episodes.images.augmentation.policy import Policy
from episodes.images.augmentation.ranges import CHOICES, STANDARD, at_level
from episodes.images.augmentation.steps import Step


def chosen(
    which: Tensor,  # [B, N] int64 on the CPU, 0..13: operations
    negative: Tensor,  # [B, N] bool on the CPU: the sign of their magnitudes, where they have one
    level: int,
    levels: int,
    height: int,
    width: int,
) -> list[list[Step]]:  # N rounds of B steps
    """The operations of each image."""
    rounds = zip(which.T.tolist(), negative.T.tolist(), strict=True)
    return [
        [
            Step(CHOICES[number], at_level(STANDARD, CHOICES[number], level, levels, height, width, turned))
            for number, turned in zip(numbers, signs, strict=True)
        ]
        for numbers, signs in rounds
    ]


class RandAugment(Policy):
    """RandAugment (Cubuk et al., NeurIPS 2020, arXiv 1909.13719), drawn for each image by itself.

    N of 14 operations, one of which does nothing, are drawn with replacement and applied one after the other, all at
    the same level; the sign of a magnitude is drawn. Operations, ranges and levels are torchvision's, whose own class
    draws once for all images of a batch.

    Args:
        operations: N, how many an image.
        magnitude: the level, 0 (no change, where there is a magnitude) to levels - 1.
        levels: into how many the ranges are divided.

    Raises:
        UserError: if a number is out of its range.
    """

    def __init__(self, operations: int = 2, magnitude: int = 9, levels: int = 31) -> None:
        if operations < 1:
            raise UserError(f"RandAugment operations must be at least 1, got {operations}")
        if not 0 <= magnitude < levels:
            raise UserError(
                f"RandAugment magnitude must be a level, 0 to levels - 1, got {magnitude} with {levels} levels"
            )
        self.operations, self.magnitude, self.levels = operations, magnitude, levels

    def draw(self, count: int, height: int, width: int) -> Sequence[Sequence[Step | None]]:
        """:func:`chosen` with random numbers."""
        which = torch.randint(len(CHOICES), (count, self.operations))
        negative = torch.rand(count, self.operations) < 0.5
        return chosen(which, negative, self.magnitude, self.levels, height, width)

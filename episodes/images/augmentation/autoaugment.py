"""AutoAugment with the policy that was found for CIFAR-10: two operations an image, each with some probability."""

from collections.abc import Sequence

import torch
from torch import Tensor

from episodes.images.augmentation.policy import Policy
from episodes.images.augmentation.ranges import STANDARD, at_level
from episodes.images.augmentation.steps import Step

LEVELS = 10
_Entry = tuple[str, float, int | None]  # an operation, its probability, its level 0..9

# Cubuk et al., "AutoAugment: Learning Augmentation Strategies from Data", CVPR 2019, table 7.
CIFAR10: tuple[tuple[_Entry, _Entry], ...] = (
    (("Invert", 0.1, None), ("Contrast", 0.2, 6)),
    (("Rotate", 0.7, 2), ("TranslateX", 0.3, 9)),
    (("Sharpness", 0.8, 1), ("Sharpness", 0.9, 3)),
    (("ShearY", 0.5, 8), ("TranslateY", 0.7, 9)),
    (("AutoContrast", 0.5, None), ("Equalize", 0.9, None)),
    (("ShearY", 0.2, 7), ("Posterize", 0.3, 7)),
    (("Color", 0.4, 3), ("Brightness", 0.6, 7)),
    (("Sharpness", 0.3, 9), ("Brightness", 0.7, 9)),
    (("Equalize", 0.6, None), ("Equalize", 0.5, None)),
    (("Contrast", 0.6, 7), ("Sharpness", 0.6, 5)),
    (("Color", 0.7, 7), ("TranslateX", 0.5, 8)),
    (("Equalize", 0.3, None), ("AutoContrast", 0.4, None)),
    (("TranslateY", 0.4, 3), ("Sharpness", 0.2, 6)),
    (("Brightness", 0.9, 6), ("Color", 0.2, 8)),
    (("Solarize", 0.5, 2), ("Invert", 0.0, None)),
    (("Equalize", 0.2, None), ("AutoContrast", 0.6, None)),
    (("Equalize", 0.2, None), ("Equalize", 0.6, None)),
    (("Color", 0.9, 9), ("Equalize", 0.6, None)),
    (("AutoContrast", 0.8, None), ("Solarize", 0.2, 8)),
    (("Brightness", 0.1, 3), ("Color", 0.7, 0)),
    (("Solarize", 0.4, 5), ("AutoContrast", 0.9, None)),
    (("TranslateY", 0.9, 9), ("TranslateY", 0.7, 9)),
    (("AutoContrast", 0.9, None), ("Solarize", 0.8, 3)),
    (("Equalize", 0.8, None), ("Invert", 0.1, None)),
    (("TranslateY", 0.7, 9), ("AutoContrast", 0.9, None)),
)


def chosen(
    policy: Tensor,  # [B] int64 on the CPU, 0..24: which pair of operations
    chance: Tensor,  # [B, 2] float on the CPU, 0..1: an operation is applied where this is below its probability
    negative: Tensor,  # [B, 2] bool on the CPU: the sign of its magnitude, if it has one
    height: int,
    width: int,
) -> list[list[Step | None]]:  # 2 rounds of B steps
    """The pair of operations of each image."""

    def step(place: int, number: int, below: float, turned: bool) -> Step | None:
        name, probability, level = CIFAR10[number][place]
        if below >= probability:
            return None
        return Step(name, at_level(STANDARD, name, level or 0, LEVELS, height, width, turned))

    return [
        [
            step(place, *drawn)
            for drawn in zip(policy.tolist(), chance[:, place].tolist(), negative[:, place].tolist(), strict=True)
        ]
        for place in (0, 1)
    ]


class AutoAugment(Policy):
    """AutoAugment (Cubuk et al., CVPR 2019) with the CIFAR-10 policy, drawn for each image by itself.

    One of 25 pairs of operations is drawn for each image, then whether each of the two is applied, and the sign of its
    magnitude. Operations and magnitudes are torchvision's; its own AutoAugment draws one pair for all images of a
    batch, and kornia's moreover shears by other angles and draws magnitudes from intervals.
    """

    def draw(self, count: int, height: int, width: int) -> Sequence[Sequence[Step | None]]:
        """:func:`chosen` with random numbers."""
        policy = torch.randint(len(CIFAR10), (count,))
        chance, negative = torch.rand(count, 2), torch.rand(count, 2) < 0.5
        return chosen(policy, chance, negative, height, width)

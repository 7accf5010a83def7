"""Fast AutoAugment with the sub-policies that its authors found for CIFAR-10: two operations an image."""

import json
import math
from collections.abc import Sequence
from functools import cache
from pathlib import Path

import torch
from torch import Tensor

from episodes.images.augmentation.policy import Policy
from episodes.images.augmentation.ranges import Range, Ranges, height_of, width_of
from episodes.images.augmentation.steps import Step

_PUBLISHED = Path(__file__).with_name("fast_autoaugment_cifar10.json")
_Entry = tuple[str, float, float]  # an operation, its probability, its magnitude as a share of the range

_FACTOR = Range(-0.9, 0.9)
# FastAutoAugment/augmentations.py of the authors' program. Theirs of Posterize are bits that are kept, rounded down.
RANGES: Ranges = {
    "ShearX": Range(-0.3, 0.3, signed=True),
    "ShearY": Range(-0.3, 0.3, signed=True),
    "TranslateX": Range(-0.45, 0.45, signed=True, of_side=width_of),
    "TranslateY": Range(-0.45, 0.45, signed=True, of_side=height_of),
    "Rotate": Range(-30, 30, signed=True),
    "Brightness": _FACTOR,
    "Color": _FACTOR,
    "Contrast": _FACTOR,
    "Sharpness": _FACTOR,
    "Posterize": Range(4, 0, to=math.ceil),
    "Solarize": Range(0, 256),
    "Cutout": Range(0, 0.2, of_side=width_of),
    "AutoContrast": None,
    "Equalize": None,
    "Invert": None,
}


@cache
def cifar10_policies() -> tuple[tuple[_Entry, ...], ...]:
    """The 493 published sub-policies, each of two operations."""
    published = json.loads(_PUBLISHED.read_text(encoding="utf-8"))["sub_policies"]
    return tuple(tuple((name, chance, share) for name, chance, share in entries) for entries in published)


def chosen(
    policy: Tensor,  # [B] int64 on the CPU, 0..492: which pair of operations
    chance: Tensor,  # [B, 2] float on the CPU, 0..1: an operation is applied where this is below its probability
    negative: Tensor,  # [B, 2] bool on the CPU: whether the magnitude of a shear, a shift or a turn is turned around
    place: Tensor,  # [B, 2, 2] float on the CPU, 0..1: of the square, should the operation be Cutout
    height: int,
    width: int,
) -> list[list[Step | None]]:  # 2 rounds of B steps
    """The pair of operations of each image."""
    policies = cifar10_policies()

    def step(k: int, number: int, below: float, turned: bool, where: list[float]) -> Step | None:
        name, probability, share = policies[number][k]
        if below >= probability:
            return None
        limits = RANGES[name]
        magnitude = 0.0 if limits is None else limits.at_share(share, height, width, turned)
        return Step(name, magnitude, (where[0], where[1]))

    numbers = policy.tolist()
    drawn = (zip(numbers, *(part[:, k].tolist() for part in (chance, negative, place)), strict=True) for k in (0, 1))
    return [[step(k, *own) for own in of_round] for k, of_round in enumerate(drawn)]


class FastAutoAugment(Policy):
    """Fast AutoAugment (Lim et al., NeurIPS 2019) with the policy for CIFAR-10, drawn for each image by itself.

    One of 493 pairs of operations is drawn for each image, then whether each of the two is applied; magnitudes are part
    of the pair, but a coin turns shears, shifts and turns around. The pairs are the published ones, in
    ``fast_autoaugment_cifar10.json`` with their source and licence (MIT); the ranges are those of the authors' program.
    Operations are torchvision's, where that program has Pillow's: bytes may differ by one.
    """

    def draw(self, count: int, height: int, width: int) -> Sequence[Sequence[Step | None]]:
        """:func:`chosen` with random numbers."""
        policy = torch.randint(len(cifar10_policies()), (count,))
        chance, negative, place = torch.rand(count, 2), torch.rand(count, 2) < 0.5, torch.rand(count, 2, 2)
        return chosen(policy, chance, negative, place, height, width)

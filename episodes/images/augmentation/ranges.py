"""How far the operations of a policy go: from a level, or a share of the range, to the magnitude of an operation.

What a magnitude means, and its unit, says :mod:`episodes.images.augmentation.operations`.
"""

from collections.abc import Callable, Mapping
from functools import cache
from typing import NamedTuple

import torch


class Range(NamedTuple):
    """The magnitudes of one operation.

    Attributes:
        low: the magnitude at the lowest level, before it is rounded.
        high: that at the highest one.
        signed: whether a coin turns it around.
        of_side: (height, width) -> the length that low and high are shares of; 1 where they are no shares.
        to: what is made of a magnitude between low and high: rounded, or in another unit.
    """

    low: float
    high: float
    signed: bool = False
    of_side: Callable[[int, int], int] = lambda height, width: 1
    to: Callable[[float], float] = float

    def at_level(self, level: int, levels: int, height: int, width: int, negative: bool) -> float:
        """The magnitude of a level 0..levels-1, evenly spaced in float32, as torchvision has them."""
        side = self.of_side(height, width)
        return self._turned(self.to(_spaced(self.low * side, self.high * side, levels)[level]), negative)

    def at_share(self, share: float, height: int, width: int, negative: bool) -> float:
        """The magnitude at a share 0..1 of the way from low to high."""
        side = self.of_side(height, width)
        return self._turned(self.to((self.low + share * (self.high - self.low)) * side), negative)

    def _turned(self, magnitude: float, negative: bool) -> float:
        return -magnitude if self.signed and negative else magnitude


Ranges = Mapping[str, Range | None]  # by the name of the operation; None for one without magnitude


def height_of(height: int, width: int) -> int:
    """The height."""
    return height


def width_of(height: int, width: int) -> int:
    """The width."""
    return width


@cache
def _spaced(low: float, high: float, levels: int) -> tuple[float, ...]:
    return tuple(torch.linspace(low, high, levels).tolist())


def _of_bytes(share: float) -> float:
    return 255 * share


def _ranges(shear: float, right: Range, down: Range, turn: float, factor: float, bits: int) -> dict[str, Range | None]:
    """The fourteen operations of RandAugment and TrivialAugment, in torchvision's order, and AutoAugment's Invert."""
    colour = Range(0, factor, signed=True)
    return {
        "Identity": None,
        "ShearX": Range(0, shear, signed=True),
        "ShearY": Range(0, shear, signed=True),
        "TranslateX": right,
        "TranslateY": down,
        "Rotate": Range(0, turn, signed=True),
        "Brightness": colour,
        "Color": colour,
        "Contrast": colour,
        "Sharpness": colour,
        "Posterize": Range(0, bits, to=round),
        "Solarize": Range(1, 0, to=_of_bytes),
        "AutoContrast": None,
        "Equalize": None,
        "Invert": None,
    }


_SHIFT = 150 / 331  # AutoAugment's 150 pixels of an ImageNet photograph with 331
STANDARD: Ranges = _ranges(
    0.3,
    Range(0, _SHIFT, signed=True, of_side=width_of, to=int),
    Range(0, _SHIFT, signed=True, of_side=height_of, to=int),
    30,
    0.9,
    4,
)
WIDE: Ranges = _ranges(0.99, Range(0, 32, signed=True, to=int), Range(0, 32, signed=True, to=int), 135, 0.99, 6)
CHOICES = tuple(name for name in STANDARD if name != "Invert")  # what RandAugment and TrivialAugment choose from


def at_level(
    ranges: Ranges, name: str, level: int, levels: int, height: int, width: int, negative: bool
) -> float:  # 0 for an operation without magnitude
    """The magnitude of an operation at a level."""
    chosen = ranges[name]
    return 0.0 if chosen is None else chosen.at_level(level, levels, height, width, negative)

"""Operations that augmentation policies are made of, by name and level, on bytes, by torchvision.

Levels are 0 to 9, as in the policies of AutoAugment (Cubuk et al., CVPR 2019), and magnitudes are torchvision's: a
shear of up to 0.3, a shift of up to 150/331 of the side, a turn of up to 30 degrees, colour factors of 1 -+ 0.9,
thresholds from 255 down to 0, bits from 8 down to 4. What leaves the image is lost, what comes in is black.
"""

import math
from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor
from torchvision.transforms.v2 import functional

LEVELS = 10


class Operation(NamedTuple):
    """What a name stands for.

    Attributes:
        apply: (images [B, C, H, W] uint8 with C = 1 or 3, magnitude) -> [B, C, H, W] uint8, each image by itself.
        most: (height, width) -> the magnitudes at level 0 and at level 9; None if the operation has no magnitude.
        signed: whether the magnitude may as well be negative.
    """

    apply: Callable[[Tensor, float], Tensor]
    most: Callable[[int, int], tuple[float, float]] | None
    signed: bool


def operate(
    images: Tensor,  # [B, C, H, W] uint8; C is 1 or 3
    name: str,
    level: int | None,  # 0..9; None for an operation without magnitude
    negative: bool,  # whether the magnitude is turned around, if it has a sign
) -> Tensor:  # [B, C, H, W] uint8
    """Images through one operation."""
    operation = OPERATIONS[name]
    magnitude = 0.0
    if operation.most is not None and level is not None:
        magnitude = float(torch.linspace(*operation.most(*images.shape[-2:]), LEVELS)[level])
    return operation.apply(images, -magnitude if operation.signed and negative else magnitude)


def _sheared(images: Tensor, horizontally: float, vertically: float) -> Tensor:
    """x + horizontally * y, y + vertically * x, from the upper left corner."""
    degrees = [math.degrees(math.atan(factor)) for factor in (horizontally, vertically)]
    return functional.affine(images, angle=0.0, translate=[0, 0], scale=1.0, shear=degrees, center=[0, 0])


def _shifted(images: Tensor, right: float, down: float) -> Tensor:
    """By whole pixels."""
    shift = [int(right), int(down)]
    return functional.affine(images, angle=0.0, translate=shift, scale=1.0, shear=[0.0, 0.0])


def _posterized(images: Tensor, dropped: float) -> Tensor:
    """Without the last bits."""
    return functional.posterize(images, bits=8 - round(dropped))


_FACTOR = (0.0, 0.9)
OPERATIONS: dict[str, Operation] = {
    "ShearX": Operation(lambda images, m: _sheared(images, m, 0.0), lambda h, w: (0.0, 0.3), True),
    "ShearY": Operation(lambda images, m: _sheared(images, 0.0, m), lambda h, w: (0.0, 0.3), True),
    "TranslateX": Operation(lambda images, m: _shifted(images, m, 0.0), lambda h, w: (0.0, 150 / 331 * w), True),
    "TranslateY": Operation(lambda images, m: _shifted(images, 0.0, m), lambda h, w: (0.0, 150 / 331 * h), True),
    "Rotate": Operation(lambda images, m: functional.rotate(images, angle=m), lambda h, w: (0.0, 30.0), True),
    "Brightness": Operation(lambda images, m: functional.adjust_brightness(images, 1 + m), lambda h, w: _FACTOR, True),
    "Color": Operation(lambda images, m: functional.adjust_saturation(images, 1 + m), lambda h, w: _FACTOR, True),
    "Contrast": Operation(lambda images, m: functional.adjust_contrast(images, 1 + m), lambda h, w: _FACTOR, True),
    "Sharpness": Operation(lambda images, m: functional.adjust_sharpness(images, 1 + m), lambda h, w: _FACTOR, True),
    "Posterize": Operation(_posterized, lambda h, w: (0.0, 4.0), False),
    "Solarize": Operation(lambda images, m: functional.solarize(images, m), lambda h, w: (255.0, 0.0), False),
    "AutoContrast": Operation(lambda images, m: functional.autocontrast(images), None, False),
    "Equalize": Operation(lambda images, m: functional.equalize(images), None, False),
    "Invert": Operation(lambda images, m: functional.invert(images), None, False),
}

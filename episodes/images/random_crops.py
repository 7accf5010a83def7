"""Which part of a photograph a training image shows: random area, aspect and place, as a function of given numbers."""

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

TRIES = 10
UNITS = 2 * TRIES + 3  # random numbers that one crop takes
ASPECTS = (3 / 4, 4 / 3)


class Crop(NamedTuple):
    """A part of an image in pixels, and whether it is to be mirrored."""

    top: int
    left: int
    height: int
    width: int
    mirrored: bool


def random_crop(
    units: NDArray[np.float64],  # [UNITS] uniform on [0, 1)
    height: int,
    width: int,
    smallest: float = 0.08,
    flip: float = 0.5,
) -> Crop:
    """A random part of an image, as by torchvision's RandomResizedCrop and RandomHorizontalFlip.

    Its area is uniform in [smallest, 1] of the image's, the logarithm of width / height uniform in [log 3/4, log 4/3]
    (Szegedy et al., Going deeper with convolutions, CVPR 2015, section 6), its place uniform. A part that does not fit
    into the image is drawn anew; after ten of these it is the largest one in the middle that has an aspect nearest to
    the image's.

    Args:
        units: random numbers.
        height: of the image in pixels.
        width: of the image in pixels.
        smallest: smallest share of the area.
        flip: probability that the part is mirrored.
    """
    mirrored = bool(units[-1] < flip)
    low, high = (math.log(aspect) for aspect in ASPECTS)
    for for_area, for_aspect in units[: 2 * TRIES].reshape(TRIES, 2):
        area = height * width * (smallest + (1 - smallest) * for_area)
        aspect = math.exp(low + (high - low) * for_aspect)
        wide, tall = round(math.sqrt(area * aspect)), round(math.sqrt(area / aspect))
        if 0 < wide <= width and 0 < tall <= height:
            top, left = int(units[-3] * (height - tall + 1)), int(units[-2] * (width - wide + 1))
            return Crop(top, left, tall, wide, mirrored)
    wide = min(width, round(height * ASPECTS[1]))
    tall = min(height, round(width / ASPECTS[0]))
    return Crop((height - tall) // 2, (width - wide) // 2, tall, wide, mirrored)

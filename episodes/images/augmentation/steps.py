"""What policies are made of: an operation, how far it goes, and where."""

from typing import NamedTuple


class Step(NamedTuple):
    """An operation on one image.

    Attributes:
        name: one of those in :mod:`episodes.images.augmentation.operations`, or "Identity".
        magnitude: how far it goes, in the unit of the operation; 0 if it has none.
        place: where, as shares 0..1 of height and width; for Cutout.
    """

    name: str
    magnitude: float = 0.0
    place: tuple[float, float] = (0.5, 0.5)

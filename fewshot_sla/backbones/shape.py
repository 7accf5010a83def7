"""The shape of what a backbone gives for an image: a vector of D numbers, or a feature map that was flattened to it."""

from typing import NamedTuple


class FeatureShape(NamedTuple):
    """Channels, height and width of a feature map; a vector of D numbers is a map (D, 1, 1).

    A feature [D] is the map [C, h, w], flattened: number ``(c * h + y) * w + x``.

    >>> FeatureShape(640, 5, 5).numbers
    16000
    """

    channels: int
    height: int = 1
    width: int = 1

    @property
    def numbers(self) -> int:
        """D = C * h * w."""
        return self.channels * self.height * self.width

    @property
    def is_map(self) -> bool:
        """Whether there is more than one place."""
        return self.height * self.width > 1

    def __str__(self) -> str:
        """As messages call it: "640x5x5", or "64x1x1" for a vector."""
        return "x".join(map(str, self))

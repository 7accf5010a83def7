"""What a batch of ordinary training is: pixels, and what they are to be recognised as."""

from typing import NamedTuple

from torch import Tensor

from episodes.targets import Targets


class ImageBatch(NamedTuple):
    """Some images and their targets, on one device. Pixels are not normalised: see ``episodes/views.py``."""

    pixels: Tensor  # [B, C, H, W] uint8, 0..255, as they are stored; or float, 0..1, once an augmentation changed them
    targets: Targets  # [B]

    @property
    def labels(self) -> Tensor:
        """[B] int64; of mixtures the first label."""
        return self.targets.labels

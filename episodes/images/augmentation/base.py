"""The contract of random image augmentation: each image of a batch its own, all in a few operations on their device.

The random numbers come from torch's default generator; the training engine seeds it from (seed, step) for each pass.
"""

from abc import ABC, abstractmethod

from torch import Tensor


class ImageAugmentation(ABC):
    """Maps a batch of images to randomly changed ones of the same shape. One's own gives :meth:`__call__`."""

    @abstractmethod
    def __call__(
        self,
        images: Tensor,  # [B, C, H, W] float, 0..1
    ) -> Tensor:  # [B, C, H, W] float, 0..1
        """Each image changed in its own random way."""


class NoAugmentation(ImageAugmentation):
    """Leaves the images as they are."""

    def __call__(self, images: Tensor) -> Tensor:
        """The images themselves."""
        return images

"""The contract of random augmentation: a batch of images with their targets, changed in a few operations.

The random numbers come from torch's default generator of the images' device; the training engine seeds it from
(seed, step) for each pass.
"""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import TYPE_CHECKING

from torch import Tensor

from episodes.errors import UserError
from episodes.targets import Targets

if TYPE_CHECKING:
    from episodes.images.normalization import Normalization


class Augmentation(ABC):
    """Maps images and targets to randomly changed ones of the same shape.

    One's own gives :meth:`__call__` if images have to do with each other, as where two are mixed; if each is changed by
    itself, it derives from :class:`ImageAugmentation` instead.

    What an augmentation that is no ImageAugmentation is given are the images of a training batch or, in few-shot
    training, the queries of one episode: the support has labels that a head must be able to count, so its images are
    never mixed.
    """

    @abstractmethod
    def __call__(
        self,
        images: Tensor,  # [B, C, H, W] float, 0..1; B may be 0
        targets: Targets,  # [B]
    ) -> tuple[Tensor, Targets]:  # [B, C, H, W] float, 0..1; [B]
        """Changed images and what they are to be recognised as."""

    def adapted(self, normalization: "Normalization") -> "Augmentation":
        """The same for training images with this mean and deviation: itself, unless it wants to know them."""
        return self

    def steps(self) -> "Sequence[Augmentation]":
        """The augmentations that it consists of, in order: itself, unless it is made of several."""
        return (self,)


class ImageAugmentation(Augmentation):
    """Changes each image in its own random way and leaves the targets. One's own gives :meth:`change`."""

    @abstractmethod
    def change(
        self,
        images: Tensor,  # [B, C, H, W] float, 0..1; B may be 0
    ) -> Tensor:  # [B, C, H, W] float, 0..1
        """Each image changed in its own random way."""

    def __call__(self, images: Tensor, targets: Targets) -> tuple[Tensor, Targets]:
        """Changed images, the same targets."""
        return self.change(images), targets


class NoAugmentation(ImageAugmentation):
    """Leaves the images as they are."""

    def change(self, images: Tensor) -> Tensor:
        """The images themselves."""
        return images


def check_partners(
    images: Tensor,  # [B, C, H, W]
    name: str,  # of the augmentation
) -> None:
    """Raise UserError if there is one image only, which has no other to be mixed with."""
    if len(images) == 1:
        raise UserError(
            f"{name} mixes the images of a batch with one another, and was given a single one; let a pass have two or "
            "more (batch_size, images_per_forward)"
        )

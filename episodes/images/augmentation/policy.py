"""What policies have in common: operations are drawn for each image by itself, and applied to many at once."""

from abc import abstractmethod
from collections.abc import Sequence

import torch
from torch import Tensor

from episodes.errors import UserError
from episodes.images.augmentation.base import ImageAugmentation
from episodes.images.augmentation.steps import Step
from episodes.images.normalization import as_floats


class Policy(ImageAugmentation):
    """Draws operations for each image by itself. One's own gives :meth:`draw`.

    Images are rounded to bytes first, as the operations are defined on them; a policy that comes before crops and flips
    (:class:`~episodes.images.augmentation.Compose`), as the authors have it, loses nothing by that. Grey images go
    through the same operations; one that needs colours leaves them as they are.

    Random numbers are drawn on the CPU, so images on a GPU get the same ones.
    """

    @abstractmethod
    def draw(
        self,
        count: int,  # B
        height: int,
        width: int,
    ) -> Sequence[Sequence[Step | None]]:  # rounds of B: what the images go through first, second, ...; None: nothing
        """Random steps for each image, from torch's default generator."""

    def change(
        self,
        images: Tensor,  # [B, C, H, W] float, 0..1; B may be 0
    ) -> Tensor:  # [B, C, H, W] float, 0..1
        """Each image through its own operations.

        Raises:
            UserError: if images have neither 1 nor 3 channels.
        """
        from episodes.images.augmentation.operations import operate  # torchvision takes seconds to import

        count, channels, height, width = images.shape
        if channels not in (1, 3):
            raise UserError(f"{type(self).__name__} is for images with 1 or 3 channels, these have {channels}")
        pixels = images.mul(255).round_().to(torch.uint8)
        for steps in self.draw(count, height, width):
            pixels = operate(pixels, steps)
        return as_floats(pixels).to(images.dtype)

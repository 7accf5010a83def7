"""The contract of a backbone: it turns each image into one feature vector."""

from abc import ABC, abstractmethod

import torch
from torch import Tensor, nn

from episodes.errors import UserError
from fewshot_sla.backbones.shape import FeatureShape


class Backbone(nn.Module, ABC):
    """Maps images [B, C, H, W] to features [B, D], each image by itself when in evaluation mode.

    A backbone of one's own derives from this class, calls ``super().__init__(in_channels, least_size)``, and gives
    :meth:`features` and :meth:`out_features`. It runs in whatever precision and memory format it is given.

    Args:
        in_channels: channels C of the images: 3 for colour, 1 for grey.
        least_size: the smallest height and width in pixels that the network can take.
    """

    def __init__(self, in_channels: int, least_size: int = 1) -> None:
        super().__init__()
        if in_channels < 1:
            raise UserError(f"backbone in_channels must be at least 1, got {in_channels}")
        self.in_channels = in_channels
        self.least_size = least_size

    def forward(
        self,
        images: Tensor,  # [B, C, H, W] float, normalised
    ) -> Tensor:  # [B, D] float; under autocast in autocast's precision
        """Features of every image.

        Raises:
            UserError: if the images are not a float tensor [B, C, H, W] with C = ``in_channels``, or are too small.
        """
        check_images(images, self.in_channels, self.least_size)
        return self.features(images)

    @abstractmethod
    def features(self, images: Tensor) -> Tensor:
        """The backbone itself; shapes as in :meth:`forward`, already checked."""

    @abstractmethod
    def out_features(self, height: int, width: int) -> int:
        """Feature dimension D for images of this size."""

    def feature_shape(
        self,
        image_shape: tuple[int, int, int],  # (C, H, W)
    ) -> FeatureShape:
        """Shape of the features of such images, before they were flattened.

        Raises:
            UserError: if the backbone cannot take such images.
        """
        check_image_shape(image_shape, self.in_channels, self.least_size)
        return self.map_shape(*image_shape[1:])

    def map_shape(self, height: int, width: int) -> FeatureShape:
        """The same for images that fit; a vector, unless overridden by a backbone that flattens a map."""
        return FeatureShape(self.out_features(height, width))

    def __call__(self, images: Tensor) -> Tensor:
        """Same as :meth:`forward` (written out so that type checkers know the signature)."""
        return super().__call__(images)


def check_images(
    images: Tensor,  # [B, C, H, W] float
    in_channels: int,
    least_size: int,
) -> None:
    """Raise UserError unless ``images`` are floats [B, in_channels, H, W] with H and W of at least ``least_size``."""
    if images.ndim != 4:
        raise UserError(f"a backbone takes images [B, C, H, W], not a tensor of shape {list(images.shape)}")
    if not torch.is_floating_point(images):
        raise UserError(f"a backbone takes normalised float images, got {images.dtype}: normalise them first")
    channels, height, width = images.shape[1:]
    check_image_shape((channels, height, width), in_channels, least_size)


def check_image_shape(image_shape: tuple[int, int, int], in_channels: int, least_size: int) -> None:
    """Raise UserError unless images (C, H, W) have C = in_channels, and H and W of at least ``least_size``."""
    channels, height, width = image_shape
    if channels != in_channels:
        raise UserError(
            f"the images have {_counted(channels, 'channel')} but the backbone takes {in_channels}: "
            f"set backbone in_channels to {channels}"
        )
    if min(height, width) < least_size:
        raise UserError(
            f"the backbone needs images of at least {least_size}x{least_size} pixels, got {height}x{width}: "
            "resize the images or take another backbone"
        )


def _counted(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"

"""Random changes of training images, one kind a file."""

from episodes.images.augmentation.base import ImageAugmentation, NoAugmentation
from episodes.images.augmentation.crop_flip_jitter import CropFlipJitter

__all__ = ["CropFlipJitter", "ImageAugmentation", "NoAugmentation"]

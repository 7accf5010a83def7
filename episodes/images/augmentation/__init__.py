"""Random changes of training images and their targets, one kind a file."""

from episodes.images.augmentation.autoaugment import AutoAugment
from episodes.images.augmentation.base import Augmentation, ImageAugmentation, NoAugmentation
from episodes.images.augmentation.compose import Compose
from episodes.images.augmentation.crop_flip_jitter import CropFlipJitter
from episodes.images.augmentation.cutmix import CutMix
from episodes.images.augmentation.cutout import Cutout
from episodes.images.augmentation.mixup import Mixup

__all__ = [
    "Augmentation",
    "AutoAugment",
    "Compose",
    "CropFlipJitter",
    "CutMix",
    "Cutout",
    "ImageAugmentation",
    "Mixup",
    "NoAugmentation",
]

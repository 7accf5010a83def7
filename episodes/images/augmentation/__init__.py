"""Random changes of training images and their targets, one kind a file."""

from episodes.images.augmentation.autoaugment import AutoAugment
from episodes.images.augmentation.base import Augmentation, ImageAugmentation, NoAugmentation
from episodes.images.augmentation.compose import Compose
from episodes.images.augmentation.crop_flip_jitter import CropFlipJitter
from episodes.images.augmentation.cutmix import CutMix
from episodes.images.augmentation.cutout import Cutout
from episodes.images.augmentation.fast_autoaugment import FastAutoAugment
from episodes.images.augmentation.mixup import Mixup
from episodes.images.augmentation.policy import Policy
from episodes.images.augmentation.randaugment import RandAugment
from episodes.images.augmentation.random_resized_crop import RandomResizedCrop
from episodes.images.augmentation.steps import Step
from episodes.images.augmentation.trivialaugment import TrivialAugment

__all__ = [
    "Augmentation",
    "AutoAugment",
    "Compose",
    "CropFlipJitter",
    "CutMix",
    "Cutout",
    "FastAutoAugment",
    "ImageAugmentation",
    "Mixup",
    "NoAugmentation",
    "Policy",
    "RandAugment",
    "RandomResizedCrop",
    "Step",
    "TrivialAugment",
]

"""Images by number, as a network wants them: augmented and normalised, on their device."""

from typing import TYPE_CHECKING

import torch
from torch import Tensor

from episodes.images.augmentation import ImageAugmentation, NoAugmentation
from episodes.images.normalization import Normalization

if TYPE_CHECKING:  # images make their batches
    from episodes.images.labelled import LabelledImages


def gather_normalized(
    images: "LabelledImages",
    numbers: Tensor,  # [...] int64, 0..n-1
    normalization: Normalization,
    augmentation: ImageAugmentation,
) -> Tensor:  # [..., C, H, W] float32, on the images' target device
    """The images with these numbers, augmented and normalised."""
    return normalized_bytes(images.gather_bytes(numbers), normalization, augmentation)


def normalized_bytes(
    pixels: Tensor,  # [..., C, H, W] uint8
    normalization: Normalization,
    augmentation: ImageAugmentation,
) -> Tensor:  # [..., C, H, W] float32
    """Images from bytes, augmented and normalised; without augmentation in one multiply-add a pixel."""
    if isinstance(augmentation, NoAugmentation):
        return normalization.of_bytes(pixels)
    images = pixels.float().div_(255.0)
    return normalization(augmentation(images.flatten(0, -4)).view_as(images))


def sent(
    tensor: Tensor,  # any shape and type
    device: torch.device,
) -> Tensor:  # the same, there
    """The tensor on a device, without waiting for what the device is busy with."""
    if tensor.device == device:
        return tensor
    if device.type == "cuda" and tensor.device.type == "cpu":
        tensor = tensor.pin_memory()  # a copy from elsewhere waits for the device
    return tensor.to(device, non_blocking=device.type == "cuda")

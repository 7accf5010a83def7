"""Normalisation by the mean and deviation of the training images; part of a trained model, saved with it."""

from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

if TYPE_CHECKING:
    from episodes.images.labelled import LabelledImages

IMAGENET_MEAN, IMAGENET_DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # of red, green and blue
_CHUNK = 4096  # images converted to float64 at a time


class Normalization(nn.Module):
    """(x - mean) / deviation, channel by channel, of pixels between 0 and 1 or of bytes.

    Args:
        mean: [C] float32, of pixels between 0 and 1.
        deviation: [C] float32, positive.
    """

    mean: Tensor
    deviation: Tensor

    def __init__(self, mean: Tensor, deviation: Tensor) -> None:
        super().__init__()
        self.register_buffer("mean", mean)
        self.register_buffer("deviation", deviation)

    @classmethod
    def of(cls, images: "LabelledImages") -> "Normalization":
        """Mean and (population) standard deviation of every channel, over all pixels of all images.

        A channel without variation gets deviation 1, so that it becomes zero and not NaN.

        Of the training images themselves, also where the authors' programs have constants; docs/data.md lists those.
        """
        channels = images.image_shape[0]
        total = torch.zeros(channels, dtype=torch.float64)
        squares = torch.zeros(channels, dtype=torch.float64)
        for chunk in images.images.split(_CHUNK):
            pixels = chunk.to(torch.float64) / 255.0
            total += pixels.sum(dim=(0, 2, 3)).cpu()
            squares += pixels.square().sum(dim=(0, 2, 3)).cpu()
        pixels_per_channel = images.images.numel() / channels
        mean = total / pixels_per_channel
        deviation = (squares / pixels_per_channel - mean.square()).clamp_min(0).sqrt()
        return cls(mean.float(), torch.where(deviation > 1e-6, deviation, torch.ones_like(deviation)).float())

    def forward(
        self,
        images: Tensor,  # [..., C, H, W] float, 0..1, or uint8, 0..255
    ) -> Tensor:  # [..., C, H, W] float, from bytes of the type of mean and deviation
        """Normalised images; bytes in one multiply-add a pixel: ``x / (255 deviation) - mean / deviation``."""
        if images.dtype != torch.uint8:
            return (images - self.mean[:, None, None]).div_(self.deviation[:, None, None])
        scale, shift = 1 / (255 * self.deviation), -self.mean / self.deviation
        return images.to(scale.dtype).mul_(scale[:, None, None]).add_(shift[:, None, None])


def as_floats(
    pixels: Tensor,  # [...] uint8, 0..255, or float, 0..1
) -> Tensor:  # [...] float, 0..1
    """Bytes as float32 between 0 and 1; floats as they are."""
    return pixels.float().div_(255.0) if pixels.dtype == torch.uint8 else pixels

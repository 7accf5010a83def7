"""Images of another data set in the shape that a network takes: channels and size."""

import torch
from torch import Tensor
from torch.nn import functional

from episodes.errors import UserError

GREY, COLOUR = 1, 3
_BRIGHTNESS = (0.299, 0.587, 0.114)  # of red, green and blue, as in ITU-R BT.601 and in Pillow


def fitted(
    pixels: Tensor,  # [n, C, H, W] uint8, 0..255
    image_shape: tuple[int, int, int],  # (C', H', W')
) -> Tensor:  # [n, C', H', W'] uint8
    """Images with so many channels, of this size; what has the shape already keeps its pixels.

    Grey becomes three equal channels; colour becomes grey by ``0.299 R + 0.587 G + 0.114 B``. The whole image is
    resized (bilinear, antialiased), so that one of other proportions is squeezed. Values are rounded to bytes once, at
    the end.

    Raises:
        UserError: if channels differ, and are not 1 and 3.
    """
    channels, *size = image_shape
    check_channels(pixels.shape[1], channels)
    if tuple(pixels.shape[1:]) == tuple(image_shape):
        return pixels
    images = pixels.float()
    if pixels.shape[1] == COLOUR and channels == GREY:
        weights = torch.tensor(_BRIGHTNESS, device=pixels.device)
        images = torch.einsum("c,nchw->nhw", weights, images).unsqueeze(1)
    if list(pixels.shape[2:]) != size:
        images = functional.interpolate(images, size=size, mode="bilinear", antialias=True)
    return images.round().clamp(0, 255).to(torch.uint8).expand(-1, channels, -1, -1)


def check_channels(given: int, wanted: int) -> None:
    """Raise UserError unless images with so many channels can be given so many others."""
    if given != wanted and {given, wanted} != {GREY, COLOUR}:
        raise UserError(
            f"images with {given} channels cannot be shown to a network for {wanted}; only grey (1) and colour (3) are "
            "made into one another"
        )


def fitting_in_words(
    given: tuple[int, int, int],  # (C, H, W) of the images
    wanted: tuple[int, int, int],  # of the network
) -> str:
    """What :func:`fitted` does to the images; empty if they have the shape already.

    >>> fitting_in_words((1, 28, 28), (3, 32, 32))
    'grey made colour, 28 x 28 resized to 32 x 32 (bilinear, antialiased)'
    """
    changes = []
    if given[0] != wanted[0]:
        changes.append("grey made colour" if given[0] == GREY else "colour made grey")
    if given[1:] != wanted[1:]:
        sizes = [" x ".join(map(str, shape[1:])) for shape in (given, wanted)]
        changes.append(f"{sizes[0]} resized to {sizes[1]} (bilinear, antialiased)")
    return ", ".join(changes)

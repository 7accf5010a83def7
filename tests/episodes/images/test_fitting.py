"""Images in the shape of a network, against Pillow and torchvision."""

import numpy as np
import pytest
import torch
from PIL import Image
from torchvision.transforms.v2 import functional

from episodes.errors import UserError
from episodes.images.fitting import fitted


def _pixels(channels: int, height: int, width: int) -> torch.Tensor:
    generator = torch.Generator().manual_seed(height)
    return torch.randint(0, 256, (5, channels, height, width), generator=generator, dtype=torch.uint8)


def test_what_has_the_shape_already_keeps_its_pixels() -> None:
    pixels = _pixels(3, 8, 8)
    assert fitted(pixels, (3, 8, 8)) is pixels


@pytest.mark.parametrize(("height", "width"), [(28, 28), (7, 9), (40, 20)])
def test_sizes_change_as_pillow_changes_them(height: int, width: int) -> None:
    pixels = _pixels(3, height, width)
    ours = fitted(pixels, (3, 16, 16))
    for image, there in zip(ours, pixels, strict=True):
        resized = Image.fromarray(there.permute(1, 2, 0).numpy()).resize((16, 16), Image.Resampling.BILINEAR)
        assert np.abs(image.permute(1, 2, 0).numpy().astype(int) - np.asarray(resized).astype(int)).max() <= 1


def test_grey_becomes_three_equal_channels_of_what_it_would_be_in_grey() -> None:
    pixels = _pixels(1, 28, 28)
    ours = fitted(pixels, (3, 32, 32))
    assert ours.shape == (5, 3, 32, 32)
    assert ours[:, :1].equal(fitted(pixels, (1, 32, 32)))
    assert ours[:, 1].equal(ours[:, 0])
    assert ours[:, 2].equal(ours[:, 0])
    expected = functional.resize(pixels, [32, 32], antialias=True)
    assert (ours[:, :1].int() - expected.int()).abs().max() <= 1


def test_colour_becomes_grey_as_pillow_makes_it() -> None:
    pixels = _pixels(3, 6, 6)
    for image, there in zip(fitted(pixels, (1, 6, 6)), pixels, strict=True):
        grey = np.asarray(Image.fromarray(there.permute(1, 2, 0).numpy()).convert("L"))
        assert np.abs(image[0].numpy().astype(int) - grey.astype(int)).max() <= 1


def test_other_channels_are_refused() -> None:
    with pytest.raises(UserError, match="images with 2 channels cannot be shown to a network for 3"):
        fitted(_pixels(2, 4, 4), (3, 4, 4))

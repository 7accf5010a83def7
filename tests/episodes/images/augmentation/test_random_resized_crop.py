"""Random parts of images in memory against torchvision's resized_crop, and against the reader of image files."""

import pytest
import torch
from torchvision.transforms.v2 import functional

from episodes.errors import UserError
from episodes.images.augmentation import RandomResizedCrop
from episodes.images.random_crops import UNITS, random_crop


def images(count: int, height: int = 14, width: int = 18) -> torch.Tensor:
    return torch.rand(count, 3, height, width, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("size", [(14, 18), (32, 32)])
def test_each_image_shows_the_part_that_a_file_would_resized_as_by_torchvision(size: tuple[int, int]) -> None:
    batch = images(40, *size)
    with torch.random.fork_rng():
        torch.manual_seed(3)
        found = RandomResizedCrop(0.2).change(batch)
        torch.manual_seed(3)
        units = torch.rand(40, UNITS, dtype=torch.float64).numpy()
    parts = set()
    for image, own, drawn in zip(batch, units, found, strict=True):
        top, left, tall, wide, mirrored = random_crop(own, *size, 0.2)
        expected = functional.resized_crop(image, top, left, tall, wide, list(size), antialias=True)
        torch.testing.assert_close(drawn, expected.flip(-1) if mirrored else expected, rtol=0, atol=2e-5)
        parts.add((tall, wide, mirrored))
    assert len(parts) > 20


def test_all_of_an_image_is_the_image() -> None:
    batch = images(5, 12, 12)
    torch.testing.assert_close(RandomResizedCrop(1.0, 0).change(batch), batch, rtol=0, atol=1e-5)
    assert RandomResizedCrop().change(batch[:0]).shape == (0, 3, 12, 12)


@pytest.mark.parametrize("arguments", [(0.0, 0.5), (1.2, 0.5), (0.5, -0.1)])
def test_shares_out_of_range_are_refused(arguments: tuple[float, float]) -> None:
    with pytest.raises(UserError, match="smallest must be above 0 and at most 1, flip 0 to 1"):
        RandomResizedCrop(*arguments)

"""Ten crops: torchvision's of the padded image, and the padding is black."""

import torch
from torchvision.transforms.v2 import functional

from episodes.images.crops import as_is, ten_crops


def test_the_crops_are_torchvisions_of_the_padded_image() -> None:
    images = torch.rand(2, 3, 9, 12, generator=torch.Generator().manual_seed(0))
    found = ten_crops(images, padding=2)
    assert found.shape == (2, 10, 3, 9, 12)
    for image, crops in zip(images, found, strict=True):
        expected = functional.ten_crop(functional.pad(image, [2]), [9, 12])  # mirrored ones are in another order there
        assert {tuple(crop.flatten().tolist()) for crop in crops} == {tuple(c.flatten().tolist()) for c in expected}
        assert len(expected) == 10
        assert crops[4].equal(image)
        assert crops[9].equal(image.flip(-1))


def test_around_bytes_there_is_black() -> None:
    pixels = torch.randint(1, 256, (3, 2, 8, 8), dtype=torch.uint8, generator=torch.Generator().manual_seed(1))
    crops = ten_crops(pixels, padding=4)
    assert crops.dtype == torch.uint8
    assert (crops[:, 0, :, :4] == 0).all()
    assert (crops[:, 0, :, :, :4] == 0).all()
    assert torch.equal(crops[:, 0, :, 4:, 4:], pixels[:, :, :4, :4])


def test_one_crop_is_the_image() -> None:
    images = torch.rand(2, 1, 4, 4, generator=torch.Generator().manual_seed(2))
    assert as_is(images).shape == (2, 1, 1, 4, 4)
    assert as_is(images)[:, 0].equal(images)

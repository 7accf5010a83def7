"""Ten crops: torchvision's of the padded image, and the padding is black as the network sees it."""

import torch
from torchvision.transforms.v2 import functional

from episodes.images.normalization import Normalization
from fewshot_sla.classification.crops import as_is, ten_crops


def test_the_crops_are_torchvisions_of_the_padded_image() -> None:
    images = torch.rand(2, 3, 9, 12, generator=torch.Generator().manual_seed(0))
    found = ten_crops(images, torch.zeros(3), padding=2)
    assert found.shape == (2, 10, 3, 9, 12)
    for image, crops in zip(images, found, strict=True):
        expected = functional.ten_crop(functional.pad(image, [2]), [9, 12])  # mirrored ones are in another order there
        assert {tuple(crop.flatten().tolist()) for crop in crops} == {tuple(c.flatten().tolist()) for c in expected}
        assert len(expected) == 10
        assert crops[4].equal(image)
        assert crops[9].equal(image.flip(-1))


def test_around_normalised_images_there_is_black() -> None:
    normalization = Normalization(torch.tensor([0.5, 0.2]), torch.tensor([0.25, 0.1]))
    pixels = torch.rand(3, 2, 8, 8, generator=torch.Generator().manual_seed(1))
    black = normalization(torch.zeros(2, 1, 1)).flatten()
    expected = normalization(ten_crops(pixels, torch.zeros(2), padding=4).flatten(0, 1)).unflatten(0, (3, 10))
    torch.testing.assert_close(ten_crops(normalization(pixels), black, padding=4), expected)


def test_one_crop_is_the_image() -> None:
    images = torch.rand(2, 1, 4, 4, generator=torch.Generator().manual_seed(2))
    assert as_is(images).shape == (2, 1, 1, 4, 4)
    assert as_is(images)[:, 0].equal(images)

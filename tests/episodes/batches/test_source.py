"""BatchSource: the images that the sampler names, with their labels; against indexing by hand."""

from dataclasses import replace

import pytest
import torch

from episodes.batches.sampler import BatchSampler
from episodes.batches.source import BatchSource
from episodes.errors import UserError
from episodes.images.augmentation import CropFlipJitter, ImageAugmentation
from episodes.images.labelled import LabelledImages
from episodes.images.normalization import Normalization
from tests.tiny import TinyImages

DEVICES = [
    "cpu",
    pytest.param(
        "cuda",
        marks=[pytest.mark.cuda, pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no CUDA device")],
    ),
]


class Darker(ImageAugmentation):
    def change(self, images: torch.Tensor) -> torch.Tensor:
        assert images.ndim == 4
        return images / 2


def by_hand(images: LabelledImages, numbers: torch.Tensor, factor: float = 1.0) -> torch.Tensor:
    pixels = images.images.double() / 255
    mean, deviation = pixels.mean(dim=(0, 2, 3)), pixels.std(dim=(0, 2, 3), correction=0)
    return ((factor * pixels[numbers] - mean[:, None, None]) / deviation[:, None, None]).float()


@pytest.mark.parametrize("augmentation", [None, Darker()], ids=["plain", "augmented"])
def test_batches_are_the_images_that_the_sampler_names(augmentation: ImageAugmentation | None) -> None:
    images = TinyImages(channels=3).open("train")
    source = BatchSource(images, 32, 7, augmentation)
    for number in (3, 0):
        chosen = BatchSampler(len(images), 32, 7)[number]
        batch = source.batch(number)
        assert batch.pixels.dtype == (torch.float32 if augmentation else torch.uint8)
        assert batch.labels.dtype == torch.int64
        assert not batch.targets.is_mixed
        seen, expected = Normalization.of(images)(batch.pixels), by_hand(images, chosen, 0.5 if augmentation else 1.0)
        torch.testing.assert_close(seen, expected, rtol=1e-5, atol=1e-5)
        assert torch.equal(batch.labels, images.labels[chosen])


def test_in_order_is_every_image_once_and_never_augmented() -> None:
    images = TinyImages(channels=3).open("train")
    source = BatchSource(images, 32, 7, Darker())
    batches = list(source.in_order())
    assert [len(batch.labels) for batch in batches] == [32, 32, 16]
    assert torch.equal(torch.cat([batch.pixels for batch in batches]), images.images)
    assert torch.equal(torch.cat([batch.labels for batch in batches]), images.labels)
    some = torch.tensor([5, 79, 5])
    (batch,) = source.in_order(some, batch_size=3)
    assert torch.equal(batch.pixels, images.images[some])
    assert torch.equal(batch.labels, images.labels[some])
    (empty,) = source.in_order(some[:0])
    assert empty.pixels.shape == (0, 3, 16, 16)
    assert empty.labels.shape == (0,)


def test_the_default_generator_decides_the_augmentation_and_nothing_else() -> None:
    images = TinyImages(channels=3).open("train")
    source = BatchSource(images, 8, 0, CropFlipJitter(padding=2))
    results = []
    for seed in (0, 0, 1):
        torch.manual_seed(seed)
        results.append(source.batch(2))
    assert torch.equal(results[0].pixels, results[1].pixels)
    assert not torch.equal(results[0].pixels, results[2].pixels)
    assert torch.equal(results[0].labels, results[2].labels)


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("resident", [True, False], ids=["on the device", "in memory"])
def test_batches_are_on_the_target_device(device: str, resident: bool) -> None:
    there = torch.device(device, 0) if device == "cuda" else torch.device(device)
    images = TinyImages(channels=3).open("train")
    moved = replace(images, images=images.images.to(there) if resident else images.images, device=there)
    expected = BatchSource(images, 16, 3).batch(9)
    batch = BatchSource(moved, 16, 3).batch(9)
    assert batch.pixels.device == batch.labels.device == there
    assert torch.equal(batch.pixels.cpu(), expected.pixels)
    assert torch.equal(batch.labels.cpu(), expected.labels)


def test_no_images_are_refused_by_name() -> None:
    images = LabelledImages(torch.zeros(0, 1, 4, 4, dtype=torch.uint8), torch.zeros(0).long(), ("a",), "pets/train")
    with pytest.raises(UserError, match=r"^pets/train: there are no images to draw batches from$"):
        BatchSource(images, 4, 0)

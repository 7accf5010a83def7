"""LabelledImages and Normalization: what they refuse, what they give, against NumPy."""

import dataclasses
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from episodes import LabelledImages, Normalization, UserError
from episodes.images import normalization


def some_images(n: int = 12, channels: int = 3) -> LabelledImages:
    generator = torch.Generator().manual_seed(0)
    pixels = torch.randint(0, 256, (n, channels, 4, 5), dtype=torch.uint8, generator=generator)
    return LabelledImages(pixels, torch.arange(n) % 3, ("cat", "dog", "owl"), "pets/test")


PIXELS, LABELS, NAMES = some_images().images, some_images().labels, some_images().class_names


@pytest.mark.parametrize(
    ("pixels", "labels", "names", "message"),
    [
        (
            PIXELS.float(),
            LABELS,
            NAMES,
            r"pets: images must be uint8 \[n, C, H, W\], not torch.float32 \[12, 3, 4, 5\]",
        ),
        (PIXELS[:, 0], LABELS, NAMES, r"pets: images must be .* not torch.uint8 \[12, 4, 5\]"),
        (PIXELS, LABELS[:5], NAMES, r"pets: labels must be int64 \[12\], not torch.int64 \[5\]"),
        (PIXELS, LABELS[:, None], NAMES, r"not torch.int64 \[12, 1\]"),
        (PIXELS, LABELS.int(), NAMES, "not torch.int32"),
        (PIXELS, LABELS, NAMES[:2], "pets: labels reach from 0 to 2, but there are 2 class names"),
        (PIXELS, LABELS - 1, NAMES, "pets: labels reach from -1 to 1"),
    ],
)
def test_what_does_not_fit_together_is_named(pixels, labels, names, message: str) -> None:
    with pytest.raises(UserError, match=message):
        LabelledImages(pixels, labels, names, "pets")


def test_what_it_tells_of_itself() -> None:
    images = LabelledImages(PIXELS, torch.tensor([0] * 5 + [2] * 7), NAMES, "pets")
    assert len(images) == 12
    assert images.image_shape == (3, 4, 5)
    assert images.class_counts.tolist() == [5, 0, 7]  # a class without images counts


def test_no_images_at_all_is_no_crash() -> None:
    empty = LabelledImages(PIXELS[:0], LABELS[:0], NAMES, "pets")
    assert len(empty) == 0
    assert empty.class_counts.tolist() == [0, 0, 0]


@pytest.mark.parametrize("shape", [(), (0,), (4,), (2, 3)])
def test_gather_gives_the_images_asked_for_between_0_and_1(shape: tuple[int, ...]) -> None:
    images = some_images()
    index = torch.randint(0, 12, shape)
    gathered = images.gather(index)
    assert gathered.shape == (*shape, 3, 4, 5)
    assert gathered.dtype == torch.float32
    expected = (images.images.numpy()[index.numpy()] / 255).astype(np.float32)
    assert np.array_equal(gathered.numpy(), expected)


def test_gathering_does_not_change_the_images() -> None:
    images = some_images()
    before = images.images.clone()
    images.gather(torch.tensor([0, 0])).zero_()
    assert torch.equal(images.images, before)


def changed(tensor: torch.Tensor, value: int) -> torch.Tensor:
    tensor = tensor.clone()
    tensor.view(-1)[7] = value
    return tensor


CHANGES: dict[str, Callable[[LabelledImages], LabelledImages]] = {
    "pixel": lambda i: replace(i, images=changed(i.images, int(i.images.view(-1)[7]) ^ 1)),
    "label": lambda i: replace(i, labels=changed(i.labels, 2)),
    "class name": lambda i: replace(i, class_names=("cat", "dog", "elk")),
    "class order": lambda i: replace(i, class_names=("dog", "cat", "owl")),
    "one class more": lambda i: replace(i, class_names=(*i.class_names, "emu")),
    "shape": lambda i: replace(i, images=i.images.reshape(12, 3, 5, 4)),
    "order": lambda i: replace(i, images=i.images.flip(0), labels=i.labels.flip(0)),
    "fewer": lambda i: replace(i, images=i.images[:-1], labels=i.labels[:-1]),
}


@pytest.mark.parametrize("what", CHANGES)
def test_the_fingerprint_tells_of_every_change(what: str) -> None:
    images = some_images()
    assert CHANGES[what](images).fingerprint != images.fingerprint


def test_the_fingerprint_is_of_the_content_alone() -> None:
    images = some_images()
    other_memory = images.images.permute(2, 3, 0, 1).contiguous().permute(2, 3, 0, 1)
    assert not other_memory.is_contiguous()
    strided_labels = torch.stack([images.labels, images.labels + 9], dim=1)[:, 0]
    assert not strided_labels.is_contiguous()
    for same in (
        replace(images, images=other_memory),
        replace(images, labels=strided_labels),
        replace(images, name="another name"),
        replace(images, class_names=list(images.class_names)),
    ):
        assert same.fingerprint == images.fingerprint
    assert images.fingerprint == some_images().fingerprint
    assert len(images.fingerprint) == 64


@pytest.mark.cuda
@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no CUDA device")
def test_the_fingerprint_and_the_images_are_the_same_on_a_gpu() -> None:
    images = some_images()
    there = replace(images, images=images.images.cuda())
    assert there.gather(torch.tensor([3])).is_cuda
    assert there.fingerprint == images.fingerprint
    assert torch.equal(there.gather(torch.tensor([3])).cpu(), images.gather(torch.tensor([3])))


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("chunk", [1, 5, 4096])
def test_mean_and_deviation_are_numpys(channels: int, chunk: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(normalization, "_CHUNK", chunk)
    images = some_images(channels=channels)
    pixels = images.images.numpy() / 255
    computed = Normalization.of(images)
    np.testing.assert_allclose(computed.mean.numpy(), pixels.mean(axis=(0, 2, 3)), rtol=1e-6)
    np.testing.assert_allclose(computed.deviation.numpy(), pixels.std(axis=(0, 2, 3)), rtol=1e-6)
    assert computed.mean.dtype == computed.deviation.dtype == torch.float32


def test_normalised_training_images_have_mean_0_and_deviation_1_whatever_their_leading_axes() -> None:
    images = some_images()
    normalised = Normalization.of(images)(images.gather(torch.arange(12).reshape(3, 4)))
    assert normalised.shape == (3, 4, 3, 4, 5)
    torch.testing.assert_close(normalised.mean((0, 1, 3, 4)), torch.zeros(3), atol=1e-6, rtol=0)
    torch.testing.assert_close(normalised.std((0, 1, 3, 4), correction=0), torch.ones(3))


@pytest.mark.parametrize("value", [0, 1, 77, 255])
def test_a_constant_channel_becomes_zero(value: int) -> None:
    images = some_images()
    images.images[:, 1] = value
    computed = Normalization.of(images)
    assert computed.deviation[1] == 1
    torch.testing.assert_close(computed(images.gather(torch.arange(12)))[:, 1], torch.zeros(12, 4, 5))


def test_one_bit_of_variation_is_variation() -> None:
    pixels = torch.zeros(1000, 1, 8, 8, dtype=torch.uint8)
    pixels[0, 0, 0, 0] = 1
    computed = Normalization.of(LabelledImages(pixels, torch.zeros(1000, dtype=torch.int64), ("only",), "one bit"))
    np.testing.assert_allclose(computed.deviation.item(), (pixels.numpy() / 255).std(), rtol=1e-5)


def test_it_is_saved_with_the_model() -> None:
    computed = Normalization.of(some_images())
    loaded = Normalization(torch.zeros(3), torch.ones(3))
    loaded.load_state_dict(computed.state_dict())
    assert torch.equal(loaded.mean, computed.mean)
    assert torch.equal(loaded.deviation, computed.deviation)
    assert list(computed.parameters()) == []


@pytest.mark.real_data
def test_mnist_has_the_mean_and_deviation_that_everybody_knows(real_data: Path) -> None:
    with np.load(real_data / "mnist.npz") as mnist:
        pixels = torch.from_numpy(mnist["images"][~mnist["is_test"].astype(bool)]).movedim(3, 1)
    assert len(pixels) == 60_000
    labels = torch.zeros(len(pixels), dtype=torch.int64)
    computed = Normalization.of(LabelledImages(pixels, labels, ("digit",), "mnist/train"))
    assert computed.mean.item() == pytest.approx(0.1307, abs=5e-5)
    assert computed.deviation.item() == pytest.approx(0.3081, abs=5e-5)


def test_a_known_fingerprint_is_believed_and_does_not_go_over_to_other_content() -> None:
    pixels = torch.zeros(4, 1, 2, 2, dtype=torch.uint8)
    images = LabelledImages(pixels, torch.arange(4), ("a", "b", "c", "d"), "x", known_fingerprint="known")
    assert images.fingerprint == "known"
    other = dataclasses.replace(images, labels=torch.tensor([0, 0, 1, 1]))
    assert other.fingerprint not in ("known", "")
    assert other.fingerprint != dataclasses.replace(images).fingerprint

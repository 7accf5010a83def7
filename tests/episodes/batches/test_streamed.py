"""Batches from files: against torchvision by hand, whatever the workers, the order and the start."""

import gc
import multiprocessing
import os
import signal
import subprocess
import sys
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor
from torchvision.transforms import v2

from episodes.batches.batch import ImageBatch
from episodes.batches.streamed import StreamedBatches, files_normalization
from episodes.datasets.readers.streamed_folders import StreamedFolders
from episodes.errors import UserError
from episodes.images.augmentation import ImageAugmentation
from episodes.images.files import ImageFiles
from episodes.images.normalization import IMAGENET_DEVIATION, IMAGENET_MEAN, Normalization
from episodes.images.random_crops import UNITS, random_crop
from episodes.randomness import derive_seed, random_units
from tests.episodes.images.photographs import write_photographs

ROOT = Path(__file__).parents[3]
SIZE = 24
SEED = 5
IMAGENET = Normalization(torch.tensor(IMAGENET_MEAN), torch.tensor(IMAGENET_DEVIATION))


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_photographs(tmp_path_factory.mktemp("photographs") / "zoo")


def files(root: Path, workers: int = 0, **options: float) -> ImageFiles:
    return StreamedFolders(str(root), image_size=SIZE, workers=workers, **options).open("train")  # type: ignore[arg-type]


def batches(root: Path, workers: int = 0, stride: int = 1, seed: int = SEED) -> StreamedBatches:
    images = files(root, workers)
    return StreamedBatches(images, 4, seed, stride=stride)


def seen(*found: ImageBatch) -> Tensor:
    """Pixels as the network sees them."""
    return torch.cat([IMAGENET(batch.pixels) for batch in found])


@pytest.fixture(autouse=True)
def two_processors(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two workers are two, however many processors there are."""
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: {0, 1}, raising=False)


def decoded(path: str) -> Tensor:  # [3, H, W] uint8
    """The pixels, transparent parts on white."""
    with Image.open(path) as image:
        if image.mode == "RGBA":
            image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
        return torch.from_numpy(np.asarray(image.convert("RGB")).transpose(2, 0, 1).copy())


def normalized(image: Tensor) -> Tensor:
    return v2.functional.normalize(image.float() / 255, list(IMAGENET_MEAN), list(IMAGENET_DEVIATION))


def seen_in_training(images: ImageFiles, number: int, position: int) -> Tensor:
    """An image at a place of the sequence of training images, by torchvision."""
    image = decoded(images.paths[number])
    units = random_units(derive_seed(SEED, 1), np.asarray([position]), UNITS)[:, 0]
    top, left, height, width, mirrored = random_crop(units, *image.shape[1:])
    image = v2.functional.resized_crop(image, top, left, height, width, [SIZE, SIZE])
    return normalized(image.flip(-1) if mirrored else image)


def children() -> set[int]:
    return {child.pid or 0 for child in multiprocessing.active_children()}


@pytest.mark.parametrize("workers", [0, 2])
def test_training_images_are_those_of_torchvision(root: Path, workers: int) -> None:
    source = batches(root, workers)
    with closing(source):
        for number in (0, 1, 2, 3, 4, 60):
            chosen = source.sampler[number].tolist()
            batch = source.batch(number)
            assert batch.labels.tolist() == [source.images.labels[k] for k in chosen]
            expected = [seen_in_training(source.images, k, 4 * number + place) for place, k in enumerate(chosen)]
            torch.testing.assert_close(seen(batch), torch.stack(expected), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("workers", [0, 2])
def test_in_order_are_the_centres_by_torchvision(root: Path, workers: int) -> None:
    source = batches(root, workers)
    by_hand = v2.Compose([v2.Resize(SIZE * 256 // 224), v2.CenterCrop(SIZE)])
    expected = torch.stack([normalized(by_hand(decoded(path))) for path in source.images.paths])
    found = list(source.in_order(batch_size=6))
    assert [len(batch.labels) for batch in found] == [6, 6, 3]
    torch.testing.assert_close(seen(*found), expected, rtol=1e-5, atol=1e-5)
    assert torch.equal(torch.cat([batch.labels for batch in found]), source.images.labels)
    some = torch.tensor([14, 3, 3])
    (batch,) = source.in_order(some)
    torch.testing.assert_close(seen(batch), expected[some], rtol=1e-5, atol=1e-5)
    (empty,) = source.in_order(some[:0])
    assert (empty.pixels.shape, empty.labels.shape) == ((0, 3, SIZE, SIZE), (0,))
    assert not children()


@pytest.mark.parametrize("workers", [0, 2])
def test_a_batch_is_the_same_whatever_was_read_before(root: Path, workers: int) -> None:
    straight = batches(root)
    expected = [straight.batch(number) for number in range(9)]
    with closing(batches(root, workers)) as source:
        for number in (7, 8, 2, 3, 4, 3, 3, 0):
            batch = source.batch(number)
            assert torch.equal(batch.pixels, expected[number].pixels)
            assert torch.equal(batch.labels, expected[number].labels)
    with closing(batches(root, workers, stride=3)) as second_of_three:
        for number in (1, 4, 7):
            assert torch.equal(second_of_three.batch(number).pixels, expected[number].pixels)
    assert not torch.equal(batches(root, seed=6).batch(0).pixels, expected[0].pixels)


def test_an_image_looks_different_in_every_epoch(root: Path) -> None:
    source = batches(root)
    seen: dict[int, list[Tensor]] = {}
    for number in range(15):  # four epochs
        for image, pixels in zip(source.sampler[number].tolist(), source.batch(number).pixels, strict=True):
            seen.setdefault(image, []).append(pixels)
    assert {len(images) for images in seen.values()} == {4}
    assert all(not torch.equal(images[0], later) for images in seen.values() for later in images[1:])


def test_workers_go_on_with_the_next_number_and_start_again_with_another(root: Path) -> None:
    with closing(batches(root, 2, stride=2)) as source:
        source.batch(1)
        first = children()
        assert len(first) == 2
        for number in (3, 5, 7, 9, 11, 13, 15, 17):
            source.batch(number)
        assert children() == first
        next(iter(source.in_order(batch_size=2)))  # a validation in between has workers of its own
        assert children() == first
        source.batch(18)
        assert len(children()) == 2
        assert not children() & first
        source.close()
        assert not children()
        source.batch(0)
        assert len(children()) == 2
    assert not children()


def test_no_more_workers_than_processors(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: {3}, raising=False)
    with closing(batches(root, 2)) as source:
        source.batch(0)
        assert len(children()) == 1


def test_reading_leaves_the_default_generator_alone(root: Path) -> None:
    torch.manual_seed(3)
    state = torch.get_rng_state()
    for workers in (0, 2):
        with closing(batches(root, workers)) as source:
            source.batch(4)
            list(source.in_order(batch_size=4))
    assert torch.equal(torch.get_rng_state(), state)


def test_more_augmentation_sees_pixels_between_0_and_1(root: Path) -> None:
    class Half(ImageAugmentation):
        def change(self, images: Tensor) -> Tensor:
            assert 0 <= images.min() <= images.max() <= 1
            return images / 2

    images = files(root)
    plain, half = (StreamedBatches(images, 4, SEED, extra) for extra in (None, Half()))
    torch.testing.assert_close(half.batch(2).pixels, plain.batch(2).pixels / 255 / 2)
    assert torch.equal(next(half.in_order()).pixels, next(plain.in_order()).pixels)


def test_smallest_crop_and_flip_may_be_turned_off(root: Path) -> None:
    """What is then left of a square image is the image."""
    images = files(root, smallest_crop=1.0, flip=0.0)
    square = next(k for k, path in enumerate(images.paths) if path.endswith(".gif"))
    one = replace(images, paths=(images.paths[square],), labels=images.labels[:1])
    source = StreamedBatches(one, 40, SEED)
    whole = normalized(v2.functional.resize(decoded(one.paths[0]), [SIZE, SIZE]))
    images = seen(source.batch(0))
    assert any(torch.allclose(image, whole, atol=1e-5) for image in images)
    mirrored = whole.flip(-1)
    assert not any(torch.allclose(image, mirrored, atol=1e-5) for image in images)


def broken_copy(folder: Path) -> tuple[Path, Path]:
    """The photographs, one of them cut off."""
    copy = write_photographs(folder / "zoo")
    path = copy / "train" / "bee" / "1.jpg"
    path.write_bytes(path.read_bytes()[:200])
    return copy, path


@pytest.mark.parametrize("workers", [0, 2])
def test_a_broken_file_is_named_in_one_line(tmp_path: Path, workers: int) -> None:
    copy, path = broken_copy(tmp_path)
    source = batches(copy, workers)
    with pytest.raises(UserError) as caught:
        list(map(source.batch, range(4)))  # an epoch is 3.75 batches
    assert str(caught.value).startswith(f"{path}: ")
    assert str(caught.value).endswith("; mend the file or remove it")
    assert "\n" not in str(caught.value)
    assert not children()
    with pytest.raises(UserError, match=f"{path}: "):
        list(source.in_order(batch_size=2))
    assert not children()


def test_a_file_that_is_gone_is_named(tmp_path: Path) -> None:
    copy = write_photographs(tmp_path / "zoo")
    source = batches(copy)
    (copy / "train" / "ant" / "0.png").unlink()
    with pytest.raises(UserError, match=r"ant/0\.png: No such file or directory; mend the file or remove it"):
        list(source.in_order())


def test_workers_leave_signals_to_the_parent(root: Path) -> None:
    with closing(batches(root, 2)) as source:
        expected = [batches(root).batch(number).pixels for number in range(14)]
        for number in (0, 1):  # one of each worker: both are well under way
            assert torch.equal(source.batch(number).pixels, expected[number])
        for pid in children():
            os.kill(pid, signal.SIGINT)
            os.kill(pid, signal.SIGTERM)
        for number in range(2, 14):
            assert torch.equal(source.batch(number).pixels, expected[number])


def test_workers_end_with_batches_that_are_garbage(root: Path) -> None:
    """In a cycle, too, and without having to be killed: that is said by the exit status."""
    source = batches(root, 2)
    source.batch(0)
    workers = multiprocessing.active_children()
    assert len(workers) == 2
    source.itself = source  # type: ignore[attr-defined]
    del source
    gc.collect()
    assert not children()
    assert [worker.exitcode for worker in workers] == [0, 0]


def test_a_program_ends_even_if_nobody_closes_its_batches(root: Path) -> None:
    program = (
        "from episodes.images import decoding\n"
        "from episodes.datasets.readers.streamed_folders import StreamedFolders\n"
        "from episodes.batches.streamed import StreamedBatches\n"
        "decoding._GRACE = 10**6\n"
        f"images = StreamedFolders({str(root)!r}, image_size=8, workers=2).open('train')\n"
        "source = StreamedBatches(images, 4, 0)\n"
        "source.batch(0)\n"
        "validation = source.in_order(batch_size=2)\n"
        "next(validation)\n"
    )
    ended = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, timeout=300, check=False
    )
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "", "")


def test_a_worker_that_is_killed_is_no_mystery(root: Path) -> None:
    source = batches(root, 2)
    source.batch(0)
    for pid in children():
        os.kill(pid, signal.SIGKILL)
    with pytest.raises(UserError, match=r"^a process that reads images was ended from outside, .*; use fewer workers$"):
        list(map(source.batch, range(1, 50)))
    assert not children()


def test_normalization_is_that_of_imagenet_or_of_a_sample(root: Path) -> None:
    usual = files_normalization(files(root))
    assert usual.mean.tolist() == pytest.approx([0.485, 0.456, 0.406])
    assert usual.deviation.tolist() == pytest.approx([0.229, 0.224, 0.225])
    by_hand = v2.Compose([v2.Resize(SIZE * 256 // 224), v2.CenterCrop(SIZE)])
    pixels = torch.stack([by_hand(decoded(path)) for path in files(root).paths]).double() / 255
    for sample in (15, 1000):
        of_all = files_normalization(files(root, normalization_sample=sample))
        torch.testing.assert_close(of_all.mean.double(), pixels.mean(dim=(0, 2, 3)), rtol=1e-5, atol=1e-6)
        deviation = pixels.std(dim=(0, 2, 3), correction=0)
        torch.testing.assert_close(of_all.deviation.double(), deviation, rtol=1e-5, atol=1e-6)
    of_some = files_normalization(files(root, normalization_sample=4))
    assert not torch.equal(of_some.mean, of_all.mean)
    assert torch.equal(of_some.mean, files_normalization(files(root, workers=2, normalization_sample=4)).mean)


def test_what_cannot_be_is_refused(root: Path) -> None:
    images = files(root)
    with pytest.raises(UserError, match=r"^stride must be at least 1, got 0$"):
        batches(root, stride=0)
    nothing = replace(images, paths=(), labels=images.labels[:0])
    with pytest.raises(UserError, match=r"^zoo/train: there are no images to draw batches from$"):
        StreamedBatches(nothing, 4, 0)


@pytest.mark.cuda
@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no CUDA device")
@pytest.mark.parametrize("workers", [0, 2])
def test_batches_go_to_the_gpu(root: Path, workers: int) -> None:
    device = torch.device("cuda", 0)
    expected = batches(root)
    images = files(root, workers).on(device)
    with closing(StreamedBatches(images, 4, SEED)) as source:
        for number in range(6):
            batch = source.batch(number)
            assert batch.pixels.device == batch.labels.device == device
            assert torch.equal(batch.pixels.cpu(), expected.batch(number).pixels)

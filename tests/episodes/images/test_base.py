"""Images in memory and images in files answer the same calls."""

from contextlib import closing
from pathlib import Path

import pytest
import torch

from episodes.batches.source import BatchSource
from episodes.batches.streamed import StreamedBatches
from episodes.datasets.base import DataSource, load_split, open_split
from episodes.datasets.readers.streamed_folders import StreamedFolders
from episodes.errors import UserError
from episodes.images.augmentation import CropFlipJitter
from episodes.images.base import Images
from tests.episodes.images.photographs import write_photographs
from tests.tiny import TinyImages

CPU = torch.device("cpu")


@pytest.mark.parametrize("streamed", [False, True])
def test_from_a_source_to_batches(streamed: bool, tmp_path: Path) -> None:
    source: DataSource = TinyImages(channels=3, height=20, width=20)
    if streamed:
        source = StreamedFolders(str(write_photographs(tmp_path / "zoo")), image_size=20, workers=0)
    images = open_split(source, "train")
    assert images.name == f"{source.name}/train"
    assert images.image_shape == (3, 20, 20)
    assert images.class_counts.sum() == len(images)
    assert images.fingerprint_is_of_content is not streamed
    there = images.on(CPU)
    assert there.target == CPU
    assert there.fingerprint == images.fingerprint
    augmentation = CropFlipJitter(padding=1)
    with closing(there.batches(7, 3, augmentation, stride=2)) as batches:
        assert isinstance(batches, StreamedBatches if streamed else BatchSource)
        assert batches.images.image_shape == images.image_shape
        assert batches.augmentation is augmentation
        assert batches.sampler.seed == 3
        for number in (1, 3):
            batch = batches.batch(number)
            assert batch.pixels.shape == (7, 3, 20, 20)
            assert torch.equal(batch.labels, images.labels[batches.sampler[number]])
        if isinstance(batches, StreamedBatches):
            assert batches.stride == 2


@pytest.mark.parametrize("streamed", [False, True])
def test_the_parts_of_a_batch_are_the_batch(streamed: bool, tmp_path: Path) -> None:
    source: DataSource = TinyImages(channels=3, height=20, width=20)
    if streamed:
        source = StreamedFolders(str(write_photographs(tmp_path / "zoo")), image_size=20, workers=0)
    images = open_split(source, "train").on(CPU)
    whole, parts = images.batches(7, 3), [images.batches(7, 3, part=part) for part in (slice(0, 3), slice(3, 7))]
    for number in (0, 1):
        batch, found = whole.batch(number), [part.batch(number) for part in parts]
        assert [len(one.pixels) for one in found] == [3, 4]
        assert torch.equal(torch.cat([one.pixels for one in found]), batch.pixels)
        assert torch.equal(torch.cat([one.labels for one in found]), batch.labels)
    assert whole.draws_alike is not streamed
    for batches in (whole, *parts):
        batches.close()


def test_results_go_by_the_name_of_the_source() -> None:
    class Misnamed(TinyImages):
        name = "pets"

    source, own = Misnamed(), TinyImages().open("val")
    assert own.name == "tiny/val"
    for images in (open_split(source, "val"), load_split(source, "val")):
        assert images.name == "pets/val"
        assert images.fingerprint == own.fingerprint


def test_what_is_no_images_is_refused() -> None:
    class Odd(TinyImages):
        def open(self, split: str) -> Images:  # type: ignore[override]
            return super().open(split).images  # type: ignore[return-value]

    with pytest.raises(UserError, match=r"^Odd.open must give LabelledImages or ImageFiles, not Tensor$"):
        open_split(Odd(), "val")


def test_a_known_fingerprint_is_not_computed_again(tmp_path: Path) -> None:
    root = write_photographs(tmp_path / "zoo")
    images = StreamedFolders(str(root)).open("val")
    fingerprint = images.fingerprint
    (root / "val" / "ant" / "0.png").unlink()
    there = images.on(torch.device("meta")).named("zoo/test")
    assert there.fingerprint == fingerprint
    assert there.target == torch.device("meta")
    assert (images.name, there.name) == ("zoo/val", "zoo/test")

"""The same three calls lead from a split to its batches, whether it is in memory or in files."""

from pathlib import Path

import pytest
import torch

from episodes.batches.opening import normalization_of, open_batches, placed
from episodes.batches.source import BatchSource
from episodes.batches.streamed import StreamedBatches
from episodes.datasets.base import DataSource
from episodes.datasets.readers.streamed_folders import StreamedFolders
from episodes.images.augmentation import CropFlipJitter
from episodes.images.labelled import LabelledImages
from tests.episodes.images.photographs import write_photographs
from tests.tiny import TinyImages

CPU = torch.device("cpu")


@pytest.mark.parametrize("streamed", [False, True])
def test_from_a_source_to_batches(streamed: bool, tmp_path: Path) -> None:
    source: DataSource = TinyImages(channels=3, height=20, width=20)
    if streamed:
        source = StreamedFolders(str(write_photographs(tmp_path / "zoo")), image_size=20, workers=0)
    images = source.open("train")
    assert images.name == f"{source.name}/train"
    assert images.image_shape == (3, 20, 20)
    assert images.class_counts.sum() == len(images)
    there = placed(images, CPU)
    assert there.fingerprint == images.fingerprint
    augmentation = CropFlipJitter(padding=1)
    with open_batches(there, 7, 3, normalization_of(images), augmentation, stride=2) as batches:
        assert isinstance(batches, StreamedBatches if streamed else BatchSource)
        assert batches.images.image_shape == images.image_shape
        assert batches.augmentation is augmentation
        assert batches.sampler.seed == 3
        assert batches.batches_per_epoch == len(images) / 7
        for number in (1, 3):
            batch = batches.batch(number)
            assert batch.pixels.shape == (7, 3, 20, 20)
            assert torch.equal(batch.labels, images.labels[batches.sampler[number]])
    if streamed:
        assert batches.stride == 2


def test_a_source_in_memory_opens_what_it_loads_under_its_own_name() -> None:
    class Misnamed(TinyImages):
        name = "pets"

    images = Misnamed().open("val")
    assert isinstance(images, LabelledImages)
    assert images.name == "pets/val"
    assert images.fingerprint == TinyImages().load("val").fingerprint


def test_a_known_fingerprint_is_not_computed_again(tmp_path: Path) -> None:
    root = write_photographs(tmp_path / "zoo")
    images = StreamedFolders(str(root)).open("val")
    fingerprint = images.fingerprint
    (root / "val" / "ant" / "0.png").unlink()
    assert placed(images, torch.device("meta")).fingerprint == fingerprint
    assert placed(images, torch.device("meta")).target == torch.device("meta")

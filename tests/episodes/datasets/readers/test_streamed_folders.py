"""Folders of photographs with the same classes in every split: what is found, and what is refused."""

import os
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from episodes import datasets
from episodes.datasets.base import load_split
from episodes.datasets.readers.streamed_folders import StreamedFolders
from episodes.errors import UserError
from episodes.images.files import ImageFiles
from tests.episodes.images.photographs import CLASSES, write_photographs


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return write_photographs(tmp_path / "zoo")


def test_splits_hold_the_same_classes_in_the_same_order(root: Path) -> None:
    (root / "train" / "bee" / "notes.txt").write_text("no image")
    source = StreamedFolders(str(root), image_size=96)
    for split in ("train", "val", "test"):
        images = source.open(split)
        assert images.name == f"zoo/{split}"
        assert images.class_names == CLASSES
        assert images.image_shape == (3, 96, 96)
        assert images.class_counts.tolist() == [5, 5, 5]
        assert len(images) == 15
        for path, label in zip(images.paths, images.labels.tolist(), strict=True):
            assert Path(path).parent == root / split / CLASSES[label]
            assert Path(path).suffix != ".txt"


@pytest.mark.parametrize("alias", ["valid", "Validation", "VAL"])
def test_val_may_be_called_otherwise(root: Path, alias: str) -> None:
    (root / "val").rename(root / alias)
    images = StreamedFolders(str(root)).open("val")
    assert images.name == "zoo/val"
    assert Path(images.paths[0]).parent == root / alias / "ant"


def test_a_split_that_is_not_asked_for_may_be_missing(root: Path) -> None:
    shutil.rmtree(root / "test")
    source = StreamedFolders(str(root))
    assert len(source.open("val")) == 15
    with pytest.raises(UserError) as caught:
        source.open("test")
    assert str(caught.value) == (
        f"{root} has no folder test/; put the images into train/CLASS/, val/CLASS/ and test/CLASS/, or set val_is_test "
        "if val/ is to be tested on"
    )


def _fails(root: Path, split: str, message: str) -> None:
    with pytest.raises(UserError) as caught:
        StreamedFolders(str(root)).open(split)
    assert str(caught.value) == message


def test_what_does_not_fit_is_named(root: Path, tmp_path: Path) -> None:
    _fails(
        tmp_path / "none",
        "train",
        f"there is no folder {tmp_path / 'none'}; give the one that holds train/CLASS/, val/CLASS/ and test/CLASS/",
    )
    (tmp_path / "bare" / "train").mkdir(parents=True)
    _fails(
        tmp_path / "bare",
        "val",
        f"{tmp_path / 'bare' / 'train'} has no folders of classes; put the images into train/CLASS/, val/CLASS/ and "
        "test/CLASS/",
    )
    shutil.rmtree(root / "val" / "bee")
    _fails(root, "val", f"{root / 'val'}: there is no folder for 'bee'; all splits need all classes")
    (root / "test" / "dog").mkdir()
    _fails(root, "test", f"{root / 'train'}: there is no folder for 'dog'; all splits need all classes")
    for path in (root / "train" / "cat").iterdir():
        path.unlink()
    _fails(root, "train", "zoo/train: class 'cat' has no image; put some there, or remove its folders")


def test_many_missing_classes_are_not_all_named(root: Path) -> None:
    for number in range(7):
        (root / "val" / f"extra{number}").mkdir()
    _fails(
        root,
        "val",
        f"{root / 'train'}: there is no folder for 'extra0', 'extra1', 'extra2', 'extra3', 'extra4' and 2 more; "
        "all splits need all classes",
    )


def test_they_are_offered_beside_the_other_data_sets() -> None:
    assert datasets.StreamedFolders is StreamedFolders
    assert "StreamedFolders" in datasets.__all__


def test_they_are_never_loaded_at_once(root: Path) -> None:
    message = r"^zoo: .* never all in memory; .* use ClassificationFolders, or EpisodeFolders for episodes$"
    with pytest.raises(UserError, match=message):
        load_split(StreamedFolders(str(root)), "train")


def test_the_fingerprint_is_of_files_classes_and_size(root: Path, tmp_path: Path) -> None:
    def fingerprint(folder: Path = root, split: str = "train", size: int = 224, workers: int = 4) -> str:
        return StreamedFolders(str(folder), image_size=size, workers=workers).open(split).fingerprint

    first = fingerprint()
    assert first == fingerprint(workers=0)
    assert len(first) == 64
    shutil.copytree(root, tmp_path / "copy" / "zoo")  # keeps the times of the files
    assert fingerprint(tmp_path / "copy" / "zoo") == first
    others = {first, fingerprint(split="val"), fingerprint(size=100)}
    path = root / "train" / "ant" / "0.png"
    os.utime(path, ns=(0, path.stat().st_mtime_ns + 1))
    others.add(fingerprint())
    path.rename(path.with_name("9.png"))
    others.add(fingerprint())
    (root / "train" / "ant").rename(root / "train" / "ape")
    (root / "val" / "ant").rename(root / "val" / "ape")
    others.add(fingerprint())
    assert len(others) == 6


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"image_size": 0}, "image_size must be at least 1, got 0"),
        ({"smallest_crop": 0.0}, "smallest_crop must be above 0 and at most 1, flip 0 to 1, got 0.0 and 0.5"),
        ({"smallest_crop": 1.5}, "smallest_crop must be above 0 and at most 1, flip 0 to 1, got 1.5 and 0.5"),
        ({"flip": -0.1}, "smallest_crop must be above 0 and at most 1, flip 0 to 1, got 0.08 and -0.1"),
        ({"workers": -1}, "workers and normalization_sample must not be negative, got -1 and 0"),
        ({"normalization_sample": -1}, "workers and normalization_sample must not be negative, got 4 and -1"),
    ],
)
def test_numbers_out_of_range_are_refused(arguments: dict, message: str) -> None:
    with pytest.raises(UserError) as caught:
        StreamedFolders("nowhere", **arguments)
    assert str(caught.value) == message


def test_paths_and_labels_must_fit_together(root: Path) -> None:
    images = StreamedFolders(str(root)).open("val")
    for labels, message in (
        (images.labels[:3], r"zoo/val: labels must be int64 \[15\], not torch.int64 \[3\]"),
        (images.labels.int(), r"zoo/val: labels must be int64 \[15\], not torch.int32 \[15\]"),
        (images.labels + 1, "zoo/val: labels reach from 1 to 3, but there are 3 class names"),
        (images.labels - 1, "zoo/val: labels reach from -1 to 1, but there are 3 class names"),
    ):
        with pytest.raises(UserError, match=f"^{message}$"):
            replace(images, labels=labels)
    assert len(ImageFiles((), torch.zeros(0).long(), CLASSES, "none", root)) == 0


def test_val_may_be_the_test_as_imagenets_is(root: Path) -> None:
    shutil.rmtree(root / "test")
    (root / "test").mkdir()
    (root / "test" / "ILSVRC2012_test_00000001.JPEG").write_bytes(b"")  # nobody has its label
    (root / "val").rename(root / "validation")
    source = StreamedFolders(str(root), val_is_test=True, val_per_class=2)
    train, val, test = (source.open(split) for split in ("train", "val", "test"))
    assert {Path(path).parent.parent.name for path in test.paths} == {"validation"}
    assert test.name == "zoo/test"
    assert [len(train), len(val), len(test)] == [9, 6, 15]
    by_hand = [str(root / "train" / name / file) for name in CLASSES for file in ("3.gif", "4.png")]
    assert list(val.paths) == by_hand
    assert not set(train.paths) & set(val.paths)
    assert torch.equal(train.class_counts, torch.tensor([3, 3, 3]))
    with pytest.raises(UserError, match=r"^zoo: there is no split val; hold images out of train with val_per_class"):
        StreamedFolders(str(root), val_is_test=True).open("val")
    with pytest.raises(UserError, match="validation is the split val, and val_per_class would hold another out of tr"):
        StreamedFolders(str(root), val_per_class=2).open("train")
    with pytest.raises(UserError, match=r"^zoo/val: class 'ant' has 5 images in train; val_per_class must be less, no"):
        StreamedFolders(str(root), val_is_test=True, val_per_class=5).open("val")
    with pytest.raises(UserError, match=r"^val_per_class must be 0 or more, not -1$"):
        StreamedFolders(str(root), val_per_class=-1)

"""One's own images: both ways to divide them, and everything that can be wrong with folders."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from episodes.datasets import EpisodeFolders
from episodes.datasets.layouts.split_file import read_split_file
from episodes.errors import UserError

CLASSES = {"train": ("cat", "dog", "äpfel"), "val": ("cow", "fox"), "test": ("owl", "pig")}
DIVISION = [(name, split) for split, names in CLASSES.items() for name in names]


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FEWSHOT_SLA_CACHE", str(tmp_path / "cache"))


def fill(folder: Path, seed: int, count: int = 3, kind: str = "png") -> None:
    folder.mkdir(parents=True)
    rng = np.random.default_rng(seed)
    for number in range(count):
        height, width = rng.integers(10, 40, 2)
        pixels = rng.integers(0, 256, (height, width, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(folder / f"{seed}_{number}.{kind}")


@pytest.fixture
def divided(tmp_path: Path) -> Path:
    for seed, (name, split) in enumerate(DIVISION):
        fill(tmp_path / "birds" / split / name, seed)
    return tmp_path / "birds"


@pytest.fixture
def flat(tmp_path: Path) -> Path:
    for seed, (name, _) in enumerate(DIVISION):
        fill(tmp_path / "flat" / name, seed)
    return tmp_path / "flat"


@pytest.mark.parametrize(("grey", "channels"), [(False, 3), (True, 1)])
def test_divided_folders(divided: Path, grey: bool, channels: int) -> None:
    source = EpisodeFolders(str(divided), image_size=16, grey=grey)
    assert source.layout() == f"a folder a class in test/, train/, val/ of {divided}"
    for split, names in CLASSES.items():
        images = source.open(split)
        assert images.name == f"birds/{split}"
        assert images.class_names == names
        assert images.class_counts.tolist() == [3] * len(names)
        assert images.image_shape == (channels, 16, 16)


SPLIT_FILES = {
    "splits.csv": "class,split\n" + "".join(f"{name},{split}\n" for name, split in DIVISION),
    "split.csv": "".join(f"{name} ; {split}\r\n" for name, split in DIVISION),
    "splits.txt": "\n".join(f"{name}\t{split}" for name, split in DIVISION),
    "split.txt": "\ufeff" + "\n\n".join(f"{name} {split}" for name, split in DIVISION),
    "splits.json": json.dumps(CLASSES),
    "split.json": json.dumps(dict(DIVISION)).replace('"val"', '"validation"'),
}


@pytest.mark.parametrize("name", SPLIT_FILES)
def test_a_split_file_gives_the_same_as_divided_folders(divided: Path, flat: Path, name: str) -> None:
    (flat / name).write_text(SPLIT_FILES[name], encoding="utf-8")
    for split in CLASSES:
        one = EpisodeFolders(str(flat), image_size=16).open(split)
        assert one.fingerprint == EpisodeFolders(str(divided), image_size=16).open(split).fingerprint


def test_a_split_file_elsewhere_wins(flat: Path, tmp_path: Path) -> None:
    (flat / "splits.csv").write_text("rubbish")
    (tmp_path / "mine.csv").write_text("cat,test\n")
    source = EpisodeFolders(str(flat), image_size=16, split_file=str(tmp_path / "mine.csv"))
    assert source.open("test").class_names == ("cat",)
    assert source.available_splits() == ("test",)
    assert "left out folders that mine.csv does not name: cow, dog" in source.stored("test").notes[0]
    with pytest.raises(UserError, match="has no class for train"):
        source.open("train")


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("splits.csv", "", "no class"),
        ("splits.csv", "class,split\n", "no class"),
        ("splits.csv", "cat,train\ncat,test\n", "class 'cat' is both in train and in test"),
        ("splits.csv", "cat,tset\n", "class 'cat' is put into 'tset'"),
        ("splits.csv", "cat,train,3\n", "line 1 is not CLASS,SPLIT"),
        ("splits.txt", "cat\n", "line 1 is not CLASS,SPLIT"),
        ("splits.csv", "cat,train\nyeti,train\n", "no folder in .*: yeti"),
        ("splits.json", "[1]", "neither"),
        ("splits.json", '{"train": 1}', "neither the name"),
        ("splits.json", "{", "cannot read the split file"),
        ("splits.csv", "c\xe9,train", "cannot read the split file"),
    ],
)
def test_split_files_that_are_wrong(flat: Path, name: str, content: str, message: str) -> None:
    (flat / name).write_text(content, encoding="latin-1")
    with pytest.raises(UserError, match=message) as caught:
        EpisodeFolders(str(flat)).open("train")
    assert "\n" not in str(caught.value)


def test_spaces_in_names_of_classes(tmp_path: Path) -> None:
    path = tmp_path / "splits.txt"
    path.write_text("polar bear train\nred fox test\n")
    assert read_split_file(path) == {"polar bear": "train", "red fox": "test"}


def test_a_change_is_noticed(divided: Path) -> None:
    before = EpisodeFolders(str(divided), image_size=16).open("train")
    fill(divided / "train" / "newt", 99, kind="jpg")
    after = EpisodeFolders(str(divided), image_size=16).open("train")
    assert (len(before), len(after)) == (9, 12)
    assert EpisodeFolders(str(divided), image_size=8).open("train").image_shape == (3, 8, 8)


def test_broken_files_are_left_out_counted_and_named(divided: Path, caplog: pytest.LogCaptureFixture) -> None:
    for number in range(5):
        (divided / "train" / "cat" / f"x{number}.jpg").write_bytes(b"<html>")
    (divided / "train" / "cat" / "photo.heic").write_bytes(b"")
    (divided / "train" / "cat" / ".DS_Store").write_bytes(b"")
    source = EpisodeFolders(str(divided), image_size=16)
    assert source.open("train").class_counts.tolist() == [3, 3, 3]
    assert "birds/train: 6 remark(s), first: left out" in caplog.text
    assert f"{divided / 'train' / 'cat' / 'x0.jpg'}: not an image that Pillow can read" in caplog.text
    assert any("photo.heic: not a format" in note for note in source.stored("train").notes)


def test_a_class_without_an_image(divided: Path) -> None:
    (divided / "test" / "unicorn").mkdir()
    with pytest.raises(UserError, match=r"birds: no image that can be read directly in .*test/unicorn"):
        EpisodeFolders(str(divided)).open("test")
    (divided / "test" / "unicorn" / "a.heic").write_bytes(b"")
    with pytest.raises(UserError, match=r"there is only a\.heic"):
        EpisodeFolders(str(divided)).open("test")
    (divided / "test" / "unicorn" / "a.jpg").write_bytes(b"")
    with pytest.raises(UserError, match=r"a\.jpg: not an image"):
        EpisodeFolders(str(divided)).open("test")
    assert len(EpisodeFolders(str(divided)).open("val")) == 6


def test_a_class_in_two_splits(divided: Path) -> None:
    fill(divided / "test" / "cat", 98)
    with pytest.raises(UserError, match="class 'cat' is both in test/ and in train/"):
        EpisodeFolders(str(divided)).open("train")


def test_a_split_that_is_not_there(tmp_path: Path) -> None:
    fill(tmp_path / "birds" / "train" / "cat", 0)
    source = EpisodeFolders(str(tmp_path / "birds"))
    assert source.available_splits() == ("train",)
    with pytest.raises(UserError, match=r"has no class for test\. Put your images"):
        source.open("test")


@pytest.mark.parametrize("content", ["nothing", "file", "empty", "flat"])
def test_a_root_that_is_wrong(flat: Path, content: str, tmp_path: Path) -> None:
    root = {"nothing": tmp_path / "gone", "file": tmp_path / "file", "empty": tmp_path / "empty", "flat": flat}[content]
    (tmp_path / "file").write_text("")
    (tmp_path / "empty").mkdir()
    with pytest.raises(UserError, match=r"Put your images into train/CLASS/"):
        EpisodeFolders(str(root)).open("train")


def test_sizes_are_checked() -> None:
    with pytest.raises(UserError, match="image_size must be 1 or more, not 0"):
        EpisodeFolders(".", image_size=0)


def test_links_in_a_circle_are_not_followed(divided: Path) -> None:
    (divided / "train" / "cat" / "up").symlink_to(divided)
    assert len(EpisodeFolders(str(divided), image_size=16).open("train")) == 9


def test_images_are_those_of_the_files(tmp_path: Path) -> None:
    (tmp_path / "a" / "train" / "x").mkdir(parents=True)
    pixels = np.random.default_rng(0).integers(0, 256, (16, 16, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(tmp_path / "a" / "train" / "x" / "1.bmp")
    images = EpisodeFolders(str(tmp_path / "a"), image_size=16).open("train").images
    assert torch.equal(images[0], torch.from_numpy(pixels).permute(2, 0, 1))


@pytest.mark.real_data
def test_photographs_of_several_classes(real_data: Path, tmp_path: Path) -> None:
    photographs = sorted((real_data / "mini_imagenet_sample" / "images").glob("*.jpg"))
    by_class: dict[str, list[Path]] = {}
    for path in photographs:
        by_class.setdefault(path.name[:9], []).append(path)
    for number, (name, paths) in enumerate(sorted(by_class.items())[:6]):
        folder = tmp_path / "photos" / ("train", "val", "test")[number % 3] / name
        folder.mkdir(parents=True)
        for path in paths:
            (folder / path.name).symlink_to(path)
    images = EpisodeFolders(str(tmp_path / "photos"), image_size=42).open("train")
    assert images.images.shape == (12, 3, 42, 42)
    assert images.images.float().std() > 30

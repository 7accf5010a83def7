import csv
import pickle
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from episodes.datasets.layouts.class_lists import class_list
from episodes.datasets.readers.mini_imagenet import MiniImageNet
from episodes.errors import UserError
from tests.episodes.datasets.layouts import MINI_IMAGENET_LAYOUTS, Sample, csv_layout, ilsvrc, learn2learn, metaoptnet

SPLITS = ("train", "val", "test")


@pytest.fixture(scope="module")
def sample(tmp_path_factory: pytest.TempPathFactory) -> Sample:
    """Two images of 84 x 84 for each of the 100 classes."""
    root = tmp_path_factory.mktemp("sample")
    random = np.random.default_rng(0)
    files: Sample = {}
    for split, names in class_list("mini_imagenet").items():
        for name in names:
            for number in (3, 12):
                pixels = random.integers(0, 256, (7, 7, 3), dtype=np.uint8).repeat(12, 0).repeat(12, 1)
                path = root / f"{name}{number:08d}.jpg"
                Image.fromarray(pixels).save(path)
                files.setdefault(split, {}).setdefault(name, []).append(path)
    return files


@pytest.fixture(scope="module")
def fingerprints(sample: Sample, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    root = tmp_path_factory.mktemp("csv")
    csv_layout(sample, root)
    return {split: MiniImageNet(str(root)).open(split).fingerprint for split in SPLITS}


def test_the_lists_have_64_16_and_20_classes_and_share_none() -> None:
    lists = class_list("mini_imagenet")
    assert {split: len(names) for split, names in lists.items()} == {"train": 64, "val": 16, "test": 20}
    assert len({name for names in lists.values() for name in names}) == 100


@pytest.mark.parametrize("layout", MINI_IMAGENET_LAYOUTS)
def test_every_layout_of_the_same_images_has_the_same_fingerprint(
    layout: str, sample: Sample, fingerprints: dict[str, str], tmp_path: Path
) -> None:
    MINI_IMAGENET_LAYOUTS[layout](sample, tmp_path)
    source = MiniImageNet(str(tmp_path))
    assert str(tmp_path) in source.layout()
    for split, names in class_list("mini_imagenet").items():
        images = source.open(split)
        assert images.image_shape == (3, 84, 84)
        assert images.class_names == names
        assert images.class_counts.tolist() == [2] * len(names)
        assert images.fingerprint == fingerprints[split]


def test_lists_may_be_elsewhere(sample: Sample, fingerprints: dict[str, str], tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "lists").mkdir()
    csv_layout(sample, tmp_path / "data")
    for split in SPLITS:
        (tmp_path / "data" / f"{split}.csv").rename(tmp_path / "lists" / f"{split}.csv")
    source = MiniImageNet(str(tmp_path / "data"), lists=str(tmp_path / "lists"))
    assert source.open("val").fingerprint == fingerprints["val"]


@pytest.mark.real_data
def test_the_real_images_are_read(real_data: Path, tmp_path: Path) -> None:
    source = MiniImageNet(str(real_data / "mini_imagenet_sample"))
    loaded = {split: source.open(split) for split in SPLITS}
    assert {split: len(images) for split, images in loaded.items()} == {"train": 384, "val": 96, "test": 120}
    real: Sample = {}
    for split in SPLITS:
        with open(real_data / "mini_imagenet_sample" / f"{split}.csv") as file:
            for row in csv.DictReader(file):
                path = real_data / "mini_imagenet_sample" / "images" / row["filename"]
                real.setdefault(split, {}).setdefault(row["label"], []).append(path)
    metaoptnet(real, tmp_path)
    assert MiniImageNet(str(tmp_path)).open("test").fingerprint == loaded["test"].fingerprint


def test_larger_images_are_stretched(sample: Sample, tmp_path: Path) -> None:
    csv_layout(sample, tmp_path)
    name, files = next(iter(sample["val"].items()))
    large = Image.fromarray(np.random.default_rng(1).integers(0, 256, (100, 200, 3), dtype=np.uint8))
    large.save(tmp_path / "images" / files[0].name, quality=95)
    with Image.open(tmp_path / "images" / files[0].name) as image:
        expected = np.asarray(image.resize((84, 84), Image.Resampling.BILINEAR)).transpose(2, 0, 1)
    images = MiniImageNet(str(tmp_path)).open("val")
    found = images.images[images.labels == images.class_names.index(name)].numpy()
    assert any((image == expected).all() for image in found)


def _fails(root: Path, match: str, split: str = "val", **arguments: str) -> None:
    with pytest.raises(UserError, match=match) as caught:
        MiniImageNet(str(root), **arguments).open(split)
    assert "\n" not in str(caught.value)


def test_nothing_there_says_what_to_put_there(tmp_path: Path) -> None:
    _fails(tmp_path / "none", r"there is no .*none\. Give the folder that holds images/.*zenodo")
    _fails(tmp_path, "has no images/ with train.csv")


def test_ilsvrc_without_lists_says_where_they_are(sample: Sample, tmp_path: Path) -> None:
    ilsvrc(sample, tmp_path)
    for split in SPLITS:
        (tmp_path / f"{split}.csv").unlink()
    _fails(tmp_path, "looks like ILSVRC-2012.*meta-learning-lstm.*lists")


def test_incomplete_ilsvrc_is_named(sample: Sample, tmp_path: Path) -> None:
    ilsvrc(sample, tmp_path)
    name = next(iter(sample["val"]))
    folder = tmp_path / "ILSVRC" / "Data" / "CLS-LOC" / "train" / name
    for file in sorted(folder.iterdir())[1:]:
        file.unlink()
    _fails(tmp_path, f"{name} has 1 images, but image 2 of the class is listed")
    shutil.rmtree(folder)
    _fails(tmp_path, "1 of the 16 folders that .*val.csv lists are not there")


@pytest.mark.parametrize(
    ("change", "match"),
    [
        (lambda rows: [["a", "b"], *rows[1:]], r"val.csv: the first line must be filename,label"),
        (lambda rows: [*rows, ["x.jpg"]], r"val.csv, line 34: not a file name and a label"),
        (lambda rows: [*rows, ["../x.jpg", "n01855672"]], r"val.csv, line 34"),
        (lambda rows: [*rows, ["none.jpg", "n01855672"]], r"1 of the 33 images that .* are not there.*none.jpg"),
        (lambda rows: rows[:-2], "has no image of 1 of the 16 val classes: n09256479"),
        (lambda rows: [*rows[:-1], [rows[-1][0], "n01930112"]], "'n01930112' in val, but it belongs to test"),
        (lambda rows: [*rows[:-1], [rows[-1][0], "n99999999"]], "'n99999999' in val, but it is in no split"),
    ],
)
def test_wrong_lists_are_named(
    change: Callable[[list[list[str]]], list[list[str]]], match: str, sample: Sample, tmp_path: Path
) -> None:
    csv_layout(sample, tmp_path)
    with open(tmp_path / "val.csv", newline="") as file:
        rows = list(csv.reader(file))
    with open(tmp_path / "val.csv", "w", newline="") as file:
        csv.writer(file).writerows(change(rows))
    _fails(tmp_path, match)


def test_a_missing_list_and_a_missing_pickle_are_named(sample: Sample, tmp_path: Path) -> None:
    for layout, lost in (
        ("csv", "val.csv"),
        ("metaoptnet", "miniImageNet_category_split_val.pickle"),
        ("learn2learn", "mini-imagenet-cache-validation.pkl"),
    ):
        (tmp_path / layout).mkdir()
        MINI_IMAGENET_LAYOUTS[layout](sample, tmp_path / layout)
        (tmp_path / layout / lost).unlink()
        _fails(tmp_path / layout, f"no .*{lost}")


def test_a_broken_image_is_named(sample: Sample, tmp_path: Path) -> None:
    csv_layout(sample, tmp_path)
    path = tmp_path / "images" / sample["val"]["n01855672"][0].name
    path.write_bytes(path.read_bytes()[:200])
    _fails(tmp_path, path.name)


@pytest.mark.parametrize(
    ("change", "match"),
    [
        ({"data": np.zeros((32, 84, 84, 3), np.float32)}, "the images are float32"),
        ({"data": np.zeros((32, 3, 84, 84), np.uint8)}, r"the images are uint8 \[32, 3, 84, 84\]"),
        ({"labels": [64 + i // 2 for i in range(31)] + [99]}, "label 99 is not among the 16 classes"),
        ({"catname2label": {}}, "is not among the 0 classes"),
        (None, "there is no 'labels' in it"),
    ],
)
def test_wrong_pickles_are_named(change: dict[str, object] | None, match: str, sample: Sample, tmp_path: Path) -> None:
    metaoptnet(sample, tmp_path)
    path = tmp_path / "miniImageNet_category_split_val.pickle"
    content = {**pickle.loads(path.read_bytes()), **change} if change else {"data": 1}
    path.write_bytes(pickle.dumps(content))
    _fails(tmp_path, match)
    path.write_bytes(path.read_bytes()[:-5])
    _fails(tmp_path, r"val.pickle is cut off")


def test_wrong_numbers_of_images_are_named(sample: Sample, tmp_path: Path) -> None:
    learn2learn(sample, tmp_path)
    path = tmp_path / "mini-imagenet-cache-validation.pkl"
    content = pickle.loads(path.read_bytes())
    content["class_dict"]["n01855672"] = [0, 32]
    path.write_bytes(pickle.dumps(content))
    _fails(tmp_path, "class 'n01855672' has images that are not among the 32")
    path.write_bytes(pickle.dumps([1]))
    _fails(tmp_path, "holds a list, not a dictionary")

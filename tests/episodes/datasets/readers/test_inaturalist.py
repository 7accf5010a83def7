"""iNaturalist: lists in COCO's form against a loop by hand, and what is wrong with a list in one line."""

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from episodes.datasets import INaturalist
from episodes.errors import UserError

SPECIES = {30: "wren", 4: "oak", 17: "newt"}  # as in the list: not in the order of the ids


def _write(root: Path, name: str, counts: dict[int, int]) -> dict[str, Any]:
    """A list with so many photographs of each species, in an order that is not that of the species."""
    content: dict[str, Any] = {"info": {"year": 2018}, "images": [], "annotations": []}
    content["categories"] = [{"id": k, "name": name, "supercategory": "life"} for k, name in SPECIES.items()]
    left = dict(counts)
    while any(left.values()):
        for species in [one for one in left if left[one]]:
            left[species] -= 1
            number = 100 + len(content["images"])
            file = f"photos_{name}/{species % 2}/{species}/{number}.jpg"
            (root / file).parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(np.full((40, 50, 3), number, np.uint8)).save(root / file)
            content["images"].append({"id": number, "file_name": file, "width": 50})
            content["annotations"].insert(0, {"id": 1, "image_id": number, "category_id": species})
    (root / f"{name}2018.json").write_text(json.dumps(content))
    return content


@pytest.fixture
def root(tmp_path: Path) -> Path:
    _write(tmp_path, "train", {30: 4, 4: 2, 17: 3})
    _write(tmp_path, "val", {4: 1, 30: 1})
    return tmp_path


def _source(root: Path, **options: Any) -> INaturalist:
    return INaturalist(str(root), image_size=16, workers=0, **options)


def test_files_and_labels_are_those_of_the_list(root: Path) -> None:
    for split, name in (("train", "train"), ("test", "val")):
        images = _source(root).open(split)
        content = json.loads((root / f"{name}2018.json").read_text())
        of = {one["image_id"]: one["category_id"] for one in content["annotations"]}
        expected = [  # by hand: class by class, in the order of the list
            (str(root / image["file_name"]), SPECIES[species])
            for species in sorted(SPECIES)
            for image in content["images"]
            if of[image["id"]] == species
        ]
        labels = images.labels.tolist()
        assert [(path, images.class_names[label]) for path, label in zip(images.paths, labels, strict=True)] == expected
        assert images.class_names == ("oak", "newt", "wren")
        assert images.name == f"inaturalist2018/{split}"
    (batch,) = images.batches(2, 0).in_order()
    assert batch.pixels[:, 0, 0, 0].tolist() == [100, 101]


def test_the_last_of_each_species_are_held_out(root: Path) -> None:
    whole = _source(root).open("train")
    train, val = (_source(root, val_per_class=1).open(split) for split in ("train", "val"))
    assert train.class_counts.tolist() == [1, 2, 3]
    assert val.class_counts.tolist() == [1, 1, 1]
    by_label = [[path for path, own in zip(whole.paths, whole.labels, strict=True) if own == k] for k in range(3)]
    assert val.paths == tuple(paths[-1] for paths in by_label)
    assert train.paths == tuple(path for paths in by_label for path in paths[:-1])
    assert torch.equal(val.labels, torch.arange(3))
    assert len({train.fingerprint, val.fingerprint, whole.fingerprint}) == 3
    for source, message in (
        (_source(root), "inaturalist2018: there is no split val; hold images out of train with val_per_class (1, say)"),
        (
            _source(root, val_per_class=2),
            "inaturalist2018/val: class 'oak' has 2 images in train; val_per_class must be less, not 2",
        ),
    ):
        with pytest.raises(UserError) as caught:
            source.open("val")
        assert str(caught.value) == message


def test_names_may_lie_beside_the_lists(root: Path) -> None:
    names = [{"id": 4, "name": "Quercus"}, {"id": 17, "name": "Aotus"}, {"id": 30, "name": "Aotus"}]
    (root / "categories.json").write_text(json.dumps(names))
    assert _source(root).open("test").class_names == ("Quercus", "Aotus (17)", "Aotus (30)")
    (root / "categories.json").write_text(json.dumps(names[:2]))
    with pytest.raises(UserError, match=r"categories.json: its categories are not those .* \(1 differ, first: id 30\)"):
        _source(root).open("test")


def test_the_fingerprint_does_not_look_at_every_file(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []
    stat = os.stat
    monkeypatch.setattr(os, "stat", lambda path, **options: (asked.append(str(path)), stat(path, **options))[1])
    images = _source(root).open("train")
    first = images.fingerprint
    monkeypatch.undo()
    assert not set(asked) & set(images.paths)
    assert _source(root).open("train").fingerprint == first
    (root / "photos_train/0/4" / "more.jpg").write_bytes(b"")  # not in the list, but the folder has changed
    assert _source(root).open("train").fingerprint != first


Change = Callable[[dict[str, Any]], Any]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            lambda c: c["annotations"].pop(0),
            "2 of 9 images have no annotation, first: photos_train/1/17/107.jpg",
        ),
        (lambda c: c.pop("annotations"), "there is no list 'annotations' in it; a list in COCO's form has images, "),
        (lambda c: c.update(images={"a": 1}), "there is no list 'images' in it"),
        (lambda c: c["images"][3].update(file_name=7), "images[3] has no 'file_name' that is a text"),
        (lambda c: c["images"][2].pop("id"), "images[2] has no 'id' that is a whole number or text"),
        (lambda c: c["images"].__setitem__(1, "x"), "images[1] has no 'file_name' that is a text"),
        (lambda c: c["annotations"][1].update(category_id=None), "annotations[1] has no 'category_id' that is a whole"),
        (lambda c: c["annotations"][1].update(category_id=5), "annotations[1] is of id 5, which is not in categories"),
        (lambda c: c["annotations"][0].update(image_id=5), "annotations[0] is of id 5, which is not in images"),
        (
            lambda c: c["annotations"].append({**c["annotations"][0], "category_id": 4}),
            "the image with id 108 has annotations of two categories; it needs one class",
        ),
        (lambda c: c["images"][1].update(id=100), "the image id 100 is in it 2 times"),
        (lambda c: c["categories"].append({"id": 4, "name": "x"}), "the category id 4 is in it 2 times"),
        (
            lambda c: c["categories"].append({"id": 5, "name": "yak"}),
            "1 of 4 categories have no image to train on, first: 'yak'",
        ),
    ],
)
def test_what_is_wrong_with_a_list_is_said_in_one_line(root: Path, change: Change, message: str) -> None:
    path = root / "train2018.json"
    content = json.loads(path.read_text())
    if "no annotation" in message:
        change(content)  # two of them
    change(content)
    path.write_text(json.dumps(content))
    with pytest.raises(UserError) as caught:
        _source(root).open("train")
    assert str(caught.value).startswith(f"{path}: {message}")
    assert "\n" not in str(caught.value)


def test_files_that_are_missing_are_counted(root: Path) -> None:
    path = root / "train2018.json"
    first = root / _source(root).open("train").paths[0]
    first.unlink()
    (root / "photos_train/1/17").rename(root / "elsewhere")
    with pytest.raises(UserError) as caught:
        _source(root).open("train")
    assert str(caught.value) == (
        f"{path}: 4 of 9 files are not there, first: {first}; give the folder that their archive was unpacked in, or "
        "unpack it again"
    )
    text = path.read_text()
    for damaged in (text[:-9], "[" * 100_000, "\xff"):
        path.write_text(damaged, encoding="latin-1")
        with pytest.raises(UserError, match=r"train2018.json is cut off or damaged \(.*\); get it again$"):
            _source(root).open("train")
    path.unlink()
    with pytest.raises(UserError, match=r"^there is no file .*train2018.json; root is the folder with the lists"):
        _source(root).open("train")


def test_other_years_are_read_by_the_names_of_their_lists(root: Path) -> None:
    (root / "val2018.json").rename(root / "val.json")
    images = _source(root, test_list="val.json", train_list="train_mini.json").open("test")
    assert (images.name, len(images)) == ("inaturalist/test", 2)

"""Real images through the doors: two steps and an evaluation, on every data set, in every form that people have it in.

The shipped configurations see one form of all images; every form of a few images is trained on with a small network.
Networks are narrow and episodes few, for this is about the way of the data, not about accuracy.
"""

import csv
import json
import math
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from PIL import Image

from episodes.datasets import CIFARFS, FC100, MiniImageNet, Omniglot, StoredSource
from fewshot_sla.cli.door import run_door
from fewshot_sla.runs.metrics import read_metrics
from tests.episodes.datasets.layouts import (
    CIFAR_LAYOUTS,
    MINI_IMAGENET_LAYOUTS,
    OMNIGLOT_LAYOUTS,
    OMNIGLOT_PARTS,
    Images,
    Sample,
    drawing,
    official_folder,
    omniglot_archive,
    omniglot_unpacked,
)
from tests.integration import doors

pytestmark = pytest.mark.real_data

DRAWINGS = 3  # of the 20 of each Omniglot character: what the episodes need
FEW = 3  # of the 600 images of each class of CIFAR-100
SMALL = (
    "--train.k_shot=1",
    "--train.n_query=2",
    "--validation.k_shot=1",
    "--validation.n_query=2",
    "--validation_episodes=4",
    "--episodes_per_step=2",
    "--episodes_per_forward=1",
    "--loop.steps=2",
    "--loop.log_every=1",
    "--accelerator=cpu",
)
NARROW = "--learner.backbone.widths=[4,8,8,8]"


@pytest.fixture(scope="module")
def scratch(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Some 500 MB of files, which are not left to pytest: it keeps its folders for three runs."""
    folder = tmp_path_factory.mktemp("real")
    yield folder
    shutil.rmtree(folder)


@pytest.fixture(scope="module")
def cifar100_images(real_data: Path) -> Images:
    """600 images of each class, from mosaics of 30 rows and 20 columns."""
    images = {}
    for path in sorted((real_data / "cifar100").glob("*.webp")):
        with Image.open(path) as image:
            mosaic = np.asarray(image.convert("RGB"))
        images[path.stem] = mosaic.reshape(30, 32, 20, 32, 3).swapaxes(1, 2).reshape(600, 32, 32, 3)
    return images


@pytest.fixture(scope="module")
def cifar100(cifar100_images: Images, scratch: Path) -> Path:
    """The official files (python version), which is also what torchvision leaves behind."""
    return official_folder(scratch / "cifar100", cifar100_images)


@pytest.fixture(scope="module")
def mini_imagenet(real_data: Path) -> Path:
    """All classes, six images of each."""
    return real_data / "mini_imagenet_sample"


@pytest.fixture(scope="module")
def mini_imagenet_files(mini_imagenet: Path) -> Sample:
    """The same by split and class."""
    files: Sample = {}
    for split in ("train", "val", "test"):
        with open(mini_imagenet / f"{split}.csv", newline="") as listed:
            for row in csv.DictReader(listed):
                files.setdefault(split, {}).setdefault(row["label"], []).append(
                    mini_imagenet / "images" / row["filename"]
                )
    return files


@pytest.fixture(scope="module")
def omniglot(real_data: Path, scratch: Path) -> Path:
    """The author's two archives, with a few drawings of every character."""
    with np.load(real_data / "omniglot.npz") as file:
        images, labels, names = file["images"][..., 0], file["labels"], file["class_names"]
    folder = scratch / "omniglot"
    folder.mkdir()
    for part in OMNIGLOT_PARTS:
        drawings = [
            (f"{name}/{number:04d}_{k:02d}.png", drawing(image))
            for number, name in enumerate(names)
            if name.startswith(part)
            for k, image in enumerate(images[labels == number][:DRAWINGS], 1)
        ]
        omniglot_archive(folder / f"{part}.zip", drawings)
    return folder


@pytest.fixture(scope="module")
def own_images(mini_imagenet: Path, scratch: Path) -> Path:
    """``train/CLASS/``, ``val/CLASS/``, ``test/CLASS/``: photographs of several formats, sizes and colour modes."""
    by_class: dict[str, list[Path]] = {}
    for path in sorted((mini_imagenet / "images").glob("*.jpg")):
        by_class.setdefault(path.name[:9], []).append(path)
    for number, (name, photographs) in enumerate(list(by_class.items())[:18]):
        folder = scratch / "own" / ("train", "val", "test")[number % 3] / name
        folder.mkdir(parents=True)
        os.symlink(photographs[0], folder / "as_it_is.jpg")
        for path, size, mode, ending in (
            (photographs[1], (40, 60), "RGB", "png"),
            (photographs[2], (90, 33), "L", "bmp"),
            (photographs[3], (64, 64), "P", "gif"),
        ):
            Image.open(path).resize(size).convert(mode).save(folder / f"{path.stem}.{ending}")
        (folder / "cut_off.jpg").write_bytes(photographs[4].read_bytes()[:500])
    return scratch / "own"


def train_and_test(folder: Path, *arguments: str) -> dict[str, Any]:
    """Two steps and ten test episodes through the doors; what results.json then says."""
    assert run_door(doors.meta_train.main, [*arguments, *SMALL, f"--run_folder={folder}"]) == 0
    small = ("--k_shot=[1]", "--n_query=2", "--episodes=10", "--accelerator=cpu")
    assert run_door(doors.meta_test.main, [str(folder), *small]) == 0
    rows = read_metrics(folder / "metrics.csv")
    assert [row["step"] for row in rows] == [1, 2]
    assert all(math.isfinite(row["loss"]) for row in rows)
    return json.loads((folder / "results.json").read_text())


def check(document: dict[str, Any], dataset: str, classes: dict[str, int], per_class: int) -> None:
    """The figures are of these splits, whole ones."""
    for split, count in classes.items():
        data = document["data"][split]
        assert (data["name"], data["classes"], data["images"]) == (f"{dataset}/{split}", count, count * per_class)
        entries = [entry for entry in document["results"] if entry["split"] == split]
        assert entries
        assert all(entry["dataset"] == dataset and 0 <= entry["accuracy"] <= 1 for entry in entries)


@pytest.mark.parametrize(
    ("recipe", "fixture", "dataset", "classes", "per_class"),
    [
        ("cifarfs+protonet+sla", "cifar100", "cifar-fs", {"val": 16, "test": 20}, 600),
        ("fc100+ridge+sla", "cifar100", "fc100", {"val": 20, "test": 20}, 600),
        ("miniimagenet+svm+sla", "mini_imagenet", "mini_imagenet", {"val": 16, "test": 20}, 6),
        ("omniglot+protonet+sla", "omniglot", "omniglot", {"val": 172, "test": 423}, DRAWINGS),
    ],
    ids=lambda value: value if isinstance(value, str) and "+" in value else "",
)
def test_shipped_recipe_on_real_files(
    recipe: str,
    fixture: str,
    dataset: str,
    classes: dict[str, int],
    per_class: int,
    request: pytest.FixtureRequest,
    scratch: Path,
    tmp_path: Path,
) -> None:
    root = request.getfixturevalue(fixture)
    colour = fixture != "omniglot"
    options = [f"--data.root={root}", f"--data.cache_dir={scratch / 'cache'}", *([NARROW] if colour else [])]
    document = train_and_test(tmp_path / "run", "--recipe", recipe, *options)
    check(document, dataset, classes, per_class)
    used = yaml.safe_load((tmp_path / "run" / "config.yaml").read_text())["augmentation"]["class_path"]
    assert used.endswith("CropFlipJitter" if colour else "NoAugmentation")


def test_a_folder_of_ones_own_images(own_images: Path, scratch: Path, tmp_path: Path) -> None:
    document = train_and_test(
        tmp_path / "run",
        "--data=episodes.datasets.EpisodeFolders",
        f"--data.root={own_images}",
        "--data.image_size=32",
        f"--data.cache_dir={scratch / 'cache'}",
        "--augmentation=episodes.images.augmentation.CropFlipJitter",
        "--learner.backbone.in_channels=3",
        "--learner.backbone.channels=8",
    )
    check(document, "own", {"val": 6, "test": 6}, per_class=4)  # the file that is cut off is left out


SOURCES: dict[str, type[StoredSource]] = {
    "cifar-fs": CIFARFS,
    "fc100": FC100,
    "mini_imagenet": MiniImageNet,
    "omniglot": Omniglot,
}
# Data set, form, test classes, images a class.
FORMS = [
    *(("cifar-fs", form, 20, FEW) for form in CIFAR_LAYOUTS),
    *(("fc100", form, 20, FEW) for form in CIFAR_LAYOUTS),
    *(("mini_imagenet", form, 20, 6) for form in MINI_IMAGENET_LAYOUTS),
    *(("omniglot", form, 423, DRAWINGS) for form in OMNIGLOT_LAYOUTS),
]


LAST_FORMS = {form for dataset, form, *_ in FORMS if form == [f for d, f, *_ in FORMS if d == dataset][-1]}


@pytest.fixture(scope="module")
def few(cifar100_images: Images) -> Images:
    return {name: images[:FEW] for name, images in cifar100_images.items()}


@pytest.fixture(scope="module")
def whole(few: Images, mini_imagenet: Path, omniglot: Path, scratch: Path) -> dict[str, str]:
    """Fingerprints of the test images, each read from one form of the data set."""
    roots = dict.fromkeys(("cifar-fs", "fc100"), official_folder(scratch / "few", few))
    roots |= {"mini_imagenet": mini_imagenet, "omniglot": omniglot}
    cache = str(scratch / "cache")
    return {name: SOURCES[name](str(root), cache_dir=cache).open("test").fingerprint for name, root in roots.items()}


Build = Callable[[str, str, Path], object]


@pytest.fixture(scope="module")
def build(few: Images, mini_imagenet_files: Sample, omniglot: Path, scratch: Path) -> Build:
    """Writes a data set in a form to a folder."""
    unpacked = omniglot_unpacked(omniglot, scratch / "unpacked")

    def write(dataset: str, form: str, root: Path) -> object:
        if form in CIFAR_LAYOUTS:
            return CIFAR_LAYOUTS[form](root, few)
        root.mkdir()
        if dataset == "omniglot":
            return OMNIGLOT_LAYOUTS[form](omniglot, unpacked, root)
        return MINI_IMAGENET_LAYOUTS[form](mini_imagenet_files, root)

    return write


@pytest.mark.parametrize(
    ("dataset", "form", "classes", "per_class"), FORMS, ids=lambda v: v if isinstance(v, str) else ""
)
def test_every_form_of_a_data_set_is_read_alike(
    dataset: str, form: str, classes: int, per_class: int, build: Build, whole: dict[str, str], tmp_path: Path
) -> None:
    """The last form of each data set goes through the doors, too."""
    build(dataset, form, tmp_path / "root")
    try:
        if form not in LAST_FORMS:
            source = SOURCES[dataset](str(tmp_path / "root"), cache_dir=str(tmp_path / "cache"))
            assert source.open("test").fingerprint == whole[dataset]
            return
        document = train_and_test(
            tmp_path / "run",
            f"--data={SOURCES[dataset].__module__}.{SOURCES[dataset].__name__}",
            f"--data.root={tmp_path / 'root'}",
            f"--data.cache_dir={tmp_path / 'cache'}",
            f"--learner.backbone.in_channels={1 if dataset == 'omniglot' else 3}",
            "--learner.backbone.channels=8",
        )
    finally:
        shutil.rmtree(tmp_path / "root")  # pytest keeps its folders for three runs
        shutil.rmtree(tmp_path / "cache", ignore_errors=True)
    check(document, dataset, {"test": classes}, per_class)
    assert document["data"]["test"]["fingerprint"] == whole[dataset]

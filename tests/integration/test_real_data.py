"""The shipped configurations on real images: two steps and an evaluation through the doors, on every data set.

That every form of a data set gives the same images is tested beside the readers; here each comes in one form. Networks
are narrow and episodes few, for this is about the way of the data, not about accuracy.
"""

import json
import math
import os
import pickle
import shutil
import zipfile
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from PIL import Image

from fewshot_sla.engine.door import run_door
from fewshot_sla.engine.metrics import read_metrics
from tests.integration import doors

pytestmark = pytest.mark.real_data

DRAWINGS = 3  # of the 20 of each Omniglot character: what the episodes need
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
def cifar100(real_data: Path, scratch: Path) -> Path:
    """The official files (python version), which is also what torchvision leaves behind."""
    names = sorted(path.stem for path in (real_data / "cifar100").glob("*.webp"))
    pixels = np.stack([mosaic(real_data / "cifar100" / f"{name}.webp") for name in names])  # [100, 600, 3072]
    folder = scratch / "cifar100" / "cifar-100-python"
    folder.mkdir(parents=True)
    for part, rows in (("train", slice(0, 500)), ("test", slice(500, 600))):
        chosen = pixels[:, rows]
        labels = np.arange(100).repeat(chosen.shape[1]).tolist()
        write_pickle(folder / part, {b"data": chosen.reshape(-1, 3072), b"fine_labels": labels})
    write_pickle(folder / "meta", {b"fine_label_names": [name.encode() for name in names]})
    return folder.parent


@pytest.fixture(scope="module")
def mini_imagenet(real_data: Path) -> Path:
    """All classes, six images of each."""
    return real_data / "mini_imagenet_sample"


@pytest.fixture(scope="module")
def omniglot(real_data: Path, scratch: Path) -> Path:
    """The author's two archives, with a few drawings of every character."""
    with np.load(real_data / "omniglot.npz") as file:
        images, labels, names = file["images"][..., 0], file["labels"], file["class_names"]
    folder = scratch / "omniglot"
    folder.mkdir()
    for part in ("images_background", "images_evaluation"):
        with zipfile.ZipFile(folder / f"{part}.zip", "w") as archive:
            for number in (number for number, name in enumerate(names) if name.startswith(part)):
                for k, image in enumerate(images[labels == number][:DRAWINGS]):
                    png = BytesIO()
                    Image.fromarray(image).convert("1").save(png, "png", compress_level=1)
                    archive.writestr(f"{names[number]}/{number:04d}_{k + 1:02d}.png", png.getvalue())
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


def mosaic(path: Path) -> np.ndarray:  # [600, 3072] uint8
    """Images of a class, flattened channel by channel, from 30 rows and 20 columns of them."""
    with Image.open(path) as image:
        pixels = np.asarray(image.convert("RGB"))
    return pixels.reshape(30, 32, 20, 32, 3).transpose(0, 2, 4, 1, 3).reshape(600, 3072)


def write_pickle(path: Path, content: dict[bytes, Any]) -> None:
    path.write_bytes(pickle.dumps(content, protocol=2))


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
    ("config", "fixture", "dataset", "classes", "per_class"),
    [
        ("cifarfs/protonet_sla_quick", "cifar100", "cifar-fs", {"val": 16, "test": 20}, 600),
        ("cifarfs/svm_plain", "cifar100", "cifar-fs", {"val": 16, "test": 20}, 600),
        ("fc100/ridge_sla", "cifar100", "fc100", {"val": 20, "test": 20}, 600),
        ("miniimagenet/svm_sla_quick", "mini_imagenet", "mini_imagenet", {"val": 16, "test": 20}, 6),
        ("miniimagenet/protonet_plain", "mini_imagenet", "mini_imagenet", {"val": 16, "test": 20}, 6),
        ("omniglot/protonet_sla", "omniglot", "omniglot", {"val": 172, "test": 423}, DRAWINGS),
    ],
    ids=lambda value: value if isinstance(value, str) and "/" in value else "",
)
def test_shipped_configuration_on_real_files(
    config: str,
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
    path = doors.ROOT / "configs" / f"{config}.yaml"
    options = [f"--data.root={root}", f"--data.cache_dir={scratch / 'cache'}", *([NARROW] if colour else [])]
    document = train_and_test(tmp_path / "run", "--config", str(path), *options)
    check(document, dataset, classes, per_class)
    used = yaml.safe_load((tmp_path / "run" / "config.yaml").read_text())["augmentation"]["class_path"]
    assert used.endswith("CropFlipJitter" if colour else "NoAugmentation")


def test_a_folder_of_ones_own_images(own_images: Path, scratch: Path, tmp_path: Path) -> None:
    document = train_and_test(
        tmp_path / "run",
        "--data=episodes.datasets.ImageFolders",
        f"--data.root={own_images}",
        "--data.image_size=32",
        f"--data.cache_dir={scratch / 'cache'}",
        "--augmentation=episodes.image_augmentation.CropFlipJitter",
        "--learner.backbone.in_channels=3",
        "--learner.backbone.channels=8",
    )
    check(document, "own", {"val": 6, "test": 6}, per_class=4)  # the file that is cut off is left out

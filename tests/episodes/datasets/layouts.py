"""Builders of the forms in which people have the few-shot data sets, out of whatever images a test gives."""

import csv
import io
import os
import pickle
import shutil
import tarfile
import zipfile
from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from episodes.datasets.layouts.cifar import CLASSES
from episodes.datasets.layouts.class_lists import class_list

Images = dict[str, NDArray[np.uint8]]  # class of CIFAR-100 -> [n, 32, 32, 3]
Sample = dict[str, dict[str, list[Path]]]  # split of mini-ImageNet -> WordNet number -> files of 84 x 84

OMNIGLOT_PARTS = ("images_background", "images_evaluation")


# CIFAR-100 ------------------------------------------------------------------------------------------------------------


def write_files(folder: Path, images: NDArray[np.uint8], first: int = 0) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for number, image in enumerate(images):
        Image.fromarray(image).save(folder / f"{first + number:03d}.png")


def write_pickles(folder: Path, images: Images, keys: Callable[[str], object] = str.encode) -> Path:
    """As the official ones: mixed, five of six images in train, written so that Python 2 could read them."""
    folder.mkdir(parents=True, exist_ok=True)
    pixels = np.concatenate([images[name] for name in CLASSES]).transpose(0, 3, 1, 2).reshape(-1, 3072)
    labels = np.repeat(np.arange(len(CLASSES)), [len(images[name]) for name in CLASSES])
    mixed = np.random.default_rng(0).permutation(len(labels))
    cut = len(mixed) * 5 // 6
    for part, chosen in (("train", mixed[:cut]), ("test", mixed[cut:])):
        content = {
            keys("filenames"): [f"{number}.png".encode() for number in chosen],
            keys("batch_label"): b"training batch 1 of 1",
            keys("fine_labels"): labels[chosen].tolist(),
            keys("coarse_labels"): [0] * len(chosen),
            keys("data"): pixels[chosen],
        }
        (folder / part).write_bytes(pickle.dumps(content, protocol=2))
    meta = {keys("fine_label_names"): [name.encode() for name in CLASSES], keys("coarse_label_names"): []}
    (folder / "meta").write_bytes(pickle.dumps(meta, protocol=2))
    return folder


def official_folder(root: Path, images: Images) -> Path:
    write_pickles(root / "cifar-100-python", images)
    return root


def official_archive(root: Path, images: Images) -> Path:
    folder = write_pickles(root.with_name("unpacked") / "cifar-100-python", images, keys=str)
    root.mkdir()
    with tarfile.open(root / "cifar-100-python.tar.gz", "w:gz", compresslevel=1) as archive:
        archive.add(folder, "cifar-100-python")
    return root


def cifar_fs_archive(root: Path, images: Images) -> Path:
    for name, pixels in images.items():
        write_files(root / "cifar100" / "data" / name, pixels)
    lists = root / "cifar100" / "splits" / "bertinetto"
    lists.mkdir(parents=True)
    for split, names in class_list("cifar_fs").items():
        (lists / f"{split}.txt").write_text("\n".join(names))
    return root


def class_folders(root: Path, images: Images) -> Path:
    for name, pixels in images.items():
        write_files(root / name.replace("_", " "), pixels)
    return root


def original_parts(root: Path, images: Images) -> Path:
    for name, pixels in images.items():
        write_files(root / "train" / name, pixels[:-1])
        write_files(root / "test" / name, pixels[-1:])
    return root


def few_shot_parts(root: Path, images: Images) -> Path:
    for split, names in class_list("cifar_fs").items():
        for name in names:
            write_files(root / split / name, images[name])
    return root


CIFAR_LAYOUTS: dict[str, Callable[[Path, Images], Path]] = {
    make.__name__: make
    for make in (official_folder, official_archive, cifar_fs_archive, class_folders, original_parts, few_shot_parts)
}


# mini-ImageNet --------------------------------------------------------------------------------------------------------


def write_csv(path: Path, rows: list[tuple[str, str]], head: tuple[str, str] = ("filename", "label")) -> None:
    with open(path, "w", newline="") as file:
        csv.writer(file).writerows([head, *rows])


def csv_layout(sample: Sample, root: Path) -> None:
    (root / "images").mkdir()
    for split, classes in sample.items():
        for files in classes.values():
            for file in files:
                shutil.copy(file, root / "images")
        write_csv(root / f"{split}.csv", [(file.name, name) for name, files in classes.items() for file in files])


def pixels_of(file: Path) -> NDArray[np.uint8]:
    with Image.open(file) as image:
        return np.asarray(image)


def metaoptnet(sample: Sample, root: Path) -> None:
    for split, classes in sample.items():
        name = "train_phase_train" if split == "train" else split
        first = {"train": 0, "val": 64, "test": 80}[split]
        content = {
            "data": np.stack([pixels_of(file) for files in classes.values() for file in files]),
            "labels": [first + label for label, files in enumerate(classes.values()) for _ in files],
            "catname2label": {wordnet: first + label for label, wordnet in enumerate(classes)},
        }
        path = root / f"miniImageNet_category_split_{name}.pickle"
        path.write_bytes(pickle.dumps(content, 2))


def learn2learn(sample: Sample, root: Path, val: str = "validation") -> None:
    for split, classes in sample.items():
        rows: dict[str, list[int]] = {}
        stacked: list[NDArray[np.uint8]] = []
        for name in reversed(classes):
            rows[name] = list(range(len(stacked), len(stacked) + len(classes[name])))
            stacked += [pixels_of(file) for file in classes[name]]
        path = root / f"mini-imagenet-cache-{val if split == 'val' else split}.pkl"
        path.write_bytes(pickle.dumps({"image_data": np.stack(stacked), "class_dict": rows}))


def ilsvrc(sample: Sample, root: Path) -> None:
    """Images under their numbers in ILSVRC-2012, listed by their rank in the class, with others around them."""
    for split, classes in sample.items():
        rows = []
        for name, files in classes.items():
            folder = root / "ILSVRC" / "Data" / "CLS-LOC" / "train" / name
            folder.mkdir(parents=True)
            for number in (7, 1000):
                (folder / f"{name}_{number}.JPEG").write_bytes(b"not looked at")
            for rank, file in enumerate(files, 2):
                shutil.copy(file, folder / f"{name}_{15 * rank}.JPEG")
                rows.append((f"{name}{rank:08d}.jpg", name))
        write_csv(root / f"{split}.csv", rows)
    (root / "ILSVRC" / "Data" / "CLS-LOC" / "train" / "n00000000").mkdir()


def split_folders(sample: Sample, root: Path) -> None:
    for split, classes in sample.items():
        for name, files in classes.items():
            (root / split / name).mkdir(parents=True)
            for file in files:
                shutil.copy(file, root / split / name)


def easyfsl_lists(sample: Sample, root: Path) -> None:
    csv_layout(sample, root)
    for split, classes in sample.items():
        rows = [(name, file.name) for name, files in classes.items() for file in files]
        write_csv(root / f"{split}.csv", rows, ("class_name", "image_name"))


MINI_IMAGENET_LAYOUTS: dict[str, Callable[[Sample, Path], None]] = {
    "csv": csv_layout,
    "metaoptnet": metaoptnet,
    "learn2learn": learn2learn,
    "torchmeta": lambda sample, root: learn2learn(sample, root, "val"),
    "ilsvrc": ilsvrc,
    "folders": split_folders,
    "easyfsl": easyfsl_lists,
}


# Omniglot -------------------------------------------------------------------------------------------------------------


def drawing(pixels: NDArray[np.uint8]) -> bytes:
    """As in the archives: PNG, one bit a pixel, ink 0."""
    file = io.BytesIO()
    Image.fromarray(pixels).convert("1", dither=Image.Dither.NONE).save(file, "PNG", compress_level=1)
    return file.getvalue()


def omniglot_archive(path: Path, files: Iterable[tuple[str, bytes]]) -> None:
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(f"{path.stem}/", b"")
        for name, content in files:
            archive.writestr(name, content)


def omniglot_unpacked(archives: Path, root: Path) -> Path:
    for part in OMNIGLOT_PARTS:
        with zipfile.ZipFile(archives / f"{part}.zip") as archive:
            archive.extractall(root)
    return root


def _linked(root: Path, *files: Path) -> None:
    root.mkdir(parents=True, exist_ok=True)
    for file in files:
        os.symlink(file, root / file.name)


def _packed(archives: Path, folders: Path, root: Path) -> None:
    """As the author gives them away."""
    _linked(root, *(archives / f"{part}.zip" for part in OMNIGLOT_PARTS))


def _unpacked(archives: Path, folders: Path, root: Path) -> None:
    _linked(root, *(folders / part for part in OMNIGLOT_PARTS))


def _torchvision(archives: Path, folders: Path, root: Path) -> None:
    _unpacked(archives, folders, root / "omniglot-py")


def _repository(archives: Path, folders: Path, root: Path) -> None:
    """A copy of the author's repository: both packed, and one unpacked beside its archive."""
    _packed(archives, folders, root / "omniglot" / "python")
    _linked(root / "omniglot" / "python", folders / "images_evaluation")


OMNIGLOT_LAYOUTS: dict[str, Callable[[Path, Path, Path], None]] = {  # archives, the same unpacked, new root
    "archives": _packed,
    "unpacked": _unpacked,
    "torchvision": _torchvision,
    "repository": _repository,
}

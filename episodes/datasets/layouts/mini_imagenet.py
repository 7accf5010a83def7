"""The forms in which people have mini-ImageNet: csv lists with images, pickles of two kinds, ILSVRC-2012, folders."""

import csv
import re
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from episodes.datasets.layouts.base import Layout, Opened
from episodes.datasets.layouts.class_lists import class_list
from episodes.datasets.layouts.imagenet import SIDE, SplitFolders, entry, mapping, opened_files
from episodes.datasets.store.restricted_pickle import load_pickle
from episodes.datasets.store.source import SPLITS
from episodes.errors import UserError

# "n0153282900000005.jpg" of the lists of Ravi and Larochelle: the fifth image of the class in ILSVRC-2012.
_RANKED = re.compile(r"(n\d{8})(\d{8})\.jpe?g", re.IGNORECASE)
_ILSVRC_NUMBER = re.compile(r"n\d{8}_(\d+)\.jpe?g", re.IGNORECASE)
_HEADS = (["filename", "label"], ["class_name", "image_name"])  # of Ravi and Larochelle, and of easyfsl
_ILSVRC_PLACES = ("train", "ILSVRC/Data/CLS-LOC/train", "Data/CLS-LOC/train", ".")


class CsvLists(Layout[str]):
    """``train.csv``, ``val.csv``, ``test.csv`` with ``filename,label``, and a way to find an image by its name."""

    def __init__(self, lists: Path, find: Callable[[str, str], Path], folders: Callable[[str], Path] | None) -> None:
        self.lists = lists
        self.find = find  # label, file name -> path
        self.folders = folders  # label -> folder, whose time of change stands for its many files
        self.description = ""

    def files(self, split: str) -> list[Path]:
        """The list, and the images or the folders that they are in."""
        by_class = self._names(split)
        if self.folders:
            images = [self.folders(label) for label in by_class]
        else:
            images = [self.find(label, name) for label, names in by_class.items() for name in names]
        missing = [path for path in images if not path.exists()]
        if missing:
            raise UserError(
                f"{len(missing)} of the {len(images)} {'folders' if self.folders else 'images'} that "
                f"{self.lists / split}.csv lists are not there, the first is {missing[0]}"
            )
        return [self.lists / f"{split}.csv", *images]

    def open(self, split: str) -> Opened:
        """Files are opened when their class is read."""
        by_class = self._names(split)
        return opened_files({label: [self.find(label, name) for name in names] for label, names in by_class.items()})

    def _names(self, split: str) -> dict[str, list[str]]:
        """File names by label."""
        path = self.lists / f"{split}.csv"
        rows = _csv_rows(path)
        if not rows or rows[0] not in _HEADS:
            raise UserError(f"{path}: the first line must be filename,label")
        file, label = (1, 0) if rows[0] == _HEADS[-1] else (0, 1)
        by_class: dict[str, list[str]] = {}
        for number, row in enumerate(rows[1:], 2):
            if len(row) != 2 or not all(row) or ".." in Path(row[file]).parts or Path(row[file]).is_absolute():
                raise UserError(f"{path}, line {number}: not a file name and a label: {','.join(row)!r}")
            by_class.setdefault(row[label], []).append(row[file])
        return by_class


class MetaOptNetPickles(Layout[str]):
    """``miniImageNet_category_split_*.pickle`` of Gidaris and Komodakis, which MetaOptNet and many others use."""

    names: ClassVar = {"train": "train_phase_train", "val": "val", "test": "test"}

    def __init__(self, root: Path) -> None:
        self.root = root
        self.description = f"the pickles of MetaOptNet in {root}"

    def files(self, split: str) -> list[Path]:
        """One pickle a split."""
        return [_there(self.root / f"miniImageNet_category_split_{self.names[split]}.pickle")]

    def open(self, split: str) -> Opened:
        """Everything is read at once: ``data`` uint8 [n, 84, 84, 3], ``labels`` [n], ``catname2label``."""
        (path,) = self.files(split)
        content = mapping(load_pickle(path), path)
        labels = np.asarray(entry(content, "labels", path))
        names = {int(label): str(name) for name, label in entry(content, "catname2label", path).items()}
        unknown = sorted(set(labels.tolist()) - set(names))
        if unknown:
            raise UserError(f"{path}: label {unknown[0]} is not among the {len(names)} classes of its catname2label")
        where = {names[label]: np.flatnonzero(labels == label) for label in np.unique(labels).tolist()}
        return _opened_array(entry(content, "data", path), where, len(labels), path)


class Learn2LearnPickles(Layout[str]):
    """``mini-imagenet-cache-*.pkl`` of Ren et al., which learn2learn and torchmeta use."""

    names: ClassVar = {"train": ("train",), "val": ("validation", "val"), "test": ("test",)}

    def __init__(self, root: Path) -> None:
        self.root = root
        self.description = f"the pickles of learn2learn in {root}"

    def files(self, split: str) -> list[Path]:
        """One pickle a split."""
        paths = [self.root / f"mini-imagenet-cache-{name}.pkl" for name in self.names[split]]
        return [_there(next((path for path in paths if path.is_file()), paths[0]))]

    def open(self, split: str) -> Opened:
        """Everything is read at once: ``image_data`` uint8 [n, 84, 84, 3], ``class_dict`` name -> numbers of images."""
        (path,) = self.files(split)
        content = mapping(load_pickle(path), path)
        images = entry(content, "image_data", path)
        where = {str(name): np.asarray(rows) for name, rows in entry(content, "class_dict", path).items()}
        for name, rows in where.items():
            if rows.dtype.kind not in "iu" or (rows.size and not 0 <= rows.min() <= rows.max() < len(images)):
                raise UserError(f"{path}: class {name!r} has images that are not among the {len(images)}")
        return _opened_array(images, where, sum(map(len, where.values())), path)


def find_layout(root: Path, lists: Path | None) -> Layout[str] | None:
    """The form that mini-ImageNet has under a root; None if there is none that is known.

    Args:
        root: the folder.
        lists: folder of csv lists, if they are elsewhere.

    Raises:
        UserError: if there is ILSVRC-2012 without csv lists.
    """
    if any(root.glob("miniImageNet_category_split_*.pickle")):
        return MetaOptNetPickles(root)
    if any(root.glob("mini-imagenet-cache-*.pkl")):
        return Learn2LearnPickles(root)
    listed = lists or root
    has_lists = any((listed / f"{split}.csv").is_file() for split in SPLITS)
    if has_lists and (root / "images").is_dir():
        found = CsvLists(listed, lambda label, name: root / "images" / name, None)
        found.description = f"images/ and csv lists in {root}"
        return found
    if all(_class_folders(root / split) for split in SPLITS) and not has_lists:
        return SplitFolders(root)
    train = next((root / place for place in _ILSVRC_PLACES if _class_folders(root / place)), None)
    if train is None:
        return None
    if not has_lists:
        raise UserError(
            f"{train} looks like ILSVRC-2012; which of its images are in mini-ImageNet is said by train.csv, val.csv "
            "and test.csv of github.com/twitter-research/meta-learning-lstm (data/miniImagenet/): put them into "
            f"{listed}, or name their folder with lists"
        )
    by_number = cache(_by_number)
    found = CsvLists(
        listed, lambda label, name: _ilsvrc_file(train / label, name, by_number), lambda label: train / label
    )
    found.description = f"ILSVRC-2012 in {train}, csv lists in {listed}"
    return found


def _class_folders(folder: Path) -> bool:
    """Whether there is a folder of at least one class of mini-ImageNet."""
    if not folder.is_dir():
        return False
    return any((folder / name).is_dir() for names in class_list("mini_imagenet").values() for name in names)


def _ilsvrc_file(folder: Path, name: str, by_number: Callable[[Path], Sequence[Path]]) -> Path:
    """The image of ILSVRC-2012 that a list means: its own name, or the rank among the images of its class."""
    ranked = _RANKED.fullmatch(name)
    if not ranked:
        return folder / Path(name).name
    files = by_number(folder)
    rank = int(ranked[2])
    if not 1 <= rank <= len(files):
        raise UserError(
            f"{folder} has {len(files)} images, but image {rank} of the class is listed ({name}); is it complete?"
        )
    return files[rank - 1]


def _by_number(folder: Path) -> Sequence[Path]:
    """The files ``nXXXXXXXX_NUMBER.JPEG`` of a folder, by number."""
    if not folder.is_dir():
        return ()
    numbered = [(match, path) for path in folder.iterdir() if (match := _ILSVRC_NUMBER.fullmatch(path.name))]
    return tuple(path for _, path in sorted((int(match[1]), path) for match, path in numbered))


def _there(path: Path) -> Path:
    if not path.is_file():
        raise UserError(f"{path.parent} has no {path.name}, though it has another of its kind; all splits are needed")
    return path


def _csv_rows(path: Path) -> list[list[str]]:
    try:
        with open(path, newline="", encoding="utf-8-sig") as file:
            return [[cell.strip() for cell in row] for row in csv.reader(file) if row]
    except FileNotFoundError:
        raise UserError(f"there is no {path}; train.csv, val.csv and test.csv are needed") from None
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise UserError(f"{path} cannot be read ({error})") from None


def _opened_array(images: Any, where: Mapping[str, NDArray[Any]], labels: int, path: Path) -> Opened:
    """A split that is one array [n, 84, 84, 3] in memory."""
    images = np.asarray(images)
    if images.dtype != np.uint8 or images.shape != (labels, SIDE, SIDE, 3):
        raise UserError(
            f"{path}: the images are {images.dtype} {list(images.shape)}; expected are uint8 {[labels, SIDE, SIDE, 3]}"
        )
    counts = {name: len(rows) for name, rows in where.items() if len(rows)}
    return Opened(counts, lambda name: images[where[name]].transpose(0, 3, 1, 2))

"""Tiny-ImageNet: 200 classes of ImageNet at 64 x 64, in the layout of its own archive."""

from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import ClassVar, NamedTuple

import numpy as np
from numpy.typing import NDArray

from episodes.datasets.readers.held_out import TrainTestSource
from episodes.datasets.store.source import SplitContents, files_key
from episodes.errors import UserError
from episodes.images.reading import list_class_folders, list_folder, read_images

ANNOTATIONS = "val_annotations.txt"
IMAGES = {"train": 100_000, "test": 10_000}


class _Found(NamedTuple):
    """The folder, its classes (WordNet numbers, sorted), and their files in each part."""

    folder: Path
    files: Mapping[str, Mapping[str, list[Path]]]
    notes: list[str]


class TinyImageNet(TrainTestSource):
    """Tiny-ImageNet: 200 classes, 500 images of 64 x 64 to train on and 50 to test on in each.

    Its published validation part is the test split here, as the labels of its test part were never published. What we
    call val is held out of train, with ``val_per_class``. Le and Yang, Tiny ImageNet visual recognition challenge,
    Stanford CS 231N, 2015.

    Args:
        root: the folder ``tiny-imagenet-200`` that the archive unpacks to, or the folder it is in.
        val_per_class: images a class, the last ones of train by name of file, that are held out for validation; with 0
            there is no split val.
        image_size: side of the images in pixels; 64 as in the files.
        cache_dir: folder for the decoded images; by default the user's cache folder, or what the environment variable
            FEWSHOT_SLA_CACHE says.

    Raises:
        UserError: if ``val_per_class`` is negative or the size is not positive.
    """

    name = "tiny-imagenet"
    how_to_get: ClassVar[str] = (
        "Give the folder tiny-imagenet-200 that http://cs231n.stanford.edu/tiny-imagenet-200.zip unpacks to, with "
        "train/WNID/images/*.JPEG, val/images/*.JPEG and val/val_annotations.txt"
    )

    def __init__(self, root: str, val_per_class: int = 0, image_size: int = 64, cache_dir: str | None = None) -> None:
        super().__init__(root, val_per_class, cache_dir)
        if image_size < 1:
            raise UserError(f"{self.name}: image_size must be 1 or more, not {image_size}")
        self.image_size = image_size

    @cached_property
    def _found(self) -> _Found:
        for folder in (self.root, self.root / "tiny-imagenet-200"):
            if (folder / "train").is_dir() and (folder / "val" / ANNOTATIONS).is_file():
                return _look(folder)
        raise self.missing(f"train/WNID/images/ and val/{ANNOTATIONS}")

    def layout(self) -> str:
        """Where it was found.

        Raises:
            UserError: if it was not, or if train and val have different classes.
        """
        return f"train/ and val/ of {self._found.folder}; val/ is for testing"

    def part_key(self, part: str) -> str:
        """Names, sizes and times of all files.

        Raises:
            UserError: if there are none, or one that is listed is not there.
        """
        files = [file for of_class in self._found.files[part].values() for file in of_class]
        beside = [path for path in (self._words, self._found.folder / "val" / ANNOTATIONS) if path.is_file()]
        return files_key(self._found.folder, [*files, *beside], image_size=self.image_size)

    def part(self, part: str) -> SplitContents:
        """The classes by WordNet number, called by their words where ``words.txt`` has them.

        Raises:
            UserError: if a class has no image that can be read.
        """
        of_class, size = self._found.files[part], self.image_size
        numbers, count = tuple(of_class), sum(map(len, of_class.values()))
        notes = list(self._found.notes)
        if count != IMAGES[part]:
            notes.append(f"{count} images in {part}; Tiny-ImageNet has {IMAGES[part]}")

        def read(number: int) -> NDArray[np.uint8]:
            images, broken = read_images(of_class[numbers[number]], size)
            notes.extend(f"left out {error}" for error in broken)
            return images

        return SplitContents(read_words(self._words, numbers), (3, size, size), count, read, notes)

    @property
    def _words(self) -> Path:
        return self._found.folder / "words.txt"


def _look(folder: Path) -> _Found:
    """The files of every class in both parts."""
    train = {number: list_folder(path / "images").images for number, path in _classes(folder / "train").items()}
    test = read_annotations(folder / "val" / ANNOTATIONS)
    for number in sorted(set(train) ^ set(test)):
        there, lacking = ("train/", f"val/{ANNOTATIONS}") if number in train else (f"val/{ANNOTATIONS}", "train/")
        raise UserError(f"{folder}: class {number} is in {there} and not in {lacking}; unpack the archive again")
    listed = {path.name for paths in test.values() for path in paths}
    others = [path.name for path in list_folder(folder / "val" / "images").images if path.name not in listed]
    notes = [f"left out {len(others)} images of val/ without a label, first: {others[0]}"] if others else []
    return _Found(folder, {"train": train, "test": {number: test[number] for number in train}}, notes)


def _classes(folder: Path) -> Mapping[str, Path]:
    """Folders of the classes; each must have its folder of images."""
    found = list_class_folders(folder)
    for path in found.values():
        if not (path / "images").is_dir():
            raise UserError(f"{path} has no folder images/; Tiny-ImageNet has train/WNID/images/*.JPEG")
    if not found:
        raise UserError(f"{folder} has no folder of a class; Tiny-ImageNet has train/WNID/images/*.JPEG")
    return found


def read_annotations(path: Path) -> Mapping[str, list[Path]]:
    """The images of each class: lines of FILE, WNID and a box, with tabs between them.

    Raises:
        UserError: if a line is something else, or a file is named twice.
    """
    found: dict[str, list[Path]] = {}
    named: set[str] = set()
    for number, line in enumerate(path.read_text(encoding="utf-8", errors="replace").splitlines(), 1):
        cells = line.split("\t")
        if len(cells) < 2 or not cells[0] or cells[0] in named:
            why = "names a file again" if cells[0] in named else "is not FILE, WNID and a box, with tabs between them"
            raise UserError(f"{path}: line {number} {why}: {line[:60]!r}")
        named.add(cells[0])
        found.setdefault(cells[1].strip(), []).append(path.parent / "images" / cells[0])
    return found


def read_words(
    path: Path,
    numbers: tuple[str, ...],  # of WordNet
) -> tuple[str, ...]:
    """What the classes are called in ``words.txt`` (lines of WNID, a tab, words); by number if it does not say.

    Two classes with the same words get their numbers behind them.

    Args:
        path: the file, which need not be there.
        numbers: of WordNet, one a class.
    """
    lines = path.read_text(encoding="utf-8", errors="replace").splitlines() if path.is_file() else []
    words = dict(line.split("\t", 1) for line in lines if "\t" in line)
    names = [words.get(number, number).strip() for number in numbers]
    return tuple(
        f"{name} ({number})" if names.count(name) > 1 else name for name, number in zip(names, numbers, strict=True)
    )

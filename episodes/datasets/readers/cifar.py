"""CIFAR-10 and CIFAR-100 as they were published: the same classes in train and test."""

from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import ClassVar

from episodes.datasets.layouts.base import Layout
from episodes.datasets.layouts.cifar import CifarFolders, OfficialFiles, find_official, has_classes
from episodes.datasets.layouts.cifar_editions import CIFAR_10, CIFAR_100, PARTS, SIDE, Edition
from episodes.datasets.readers.cifar_fs import PUBLISHED as PUBLISHED_100
from episodes.datasets.readers.held_out import TrainTestSource
from episodes.datasets.store.download import Published, fetch
from episodes.datasets.store.source import SplitContents, files_key

IMAGES = {"train": 50_000, "test": 10_000}
_VAL = "val"  # a folder of this name is passed over
_PAGE = "https://www.cs.toronto.edu/~kriz/"
PUBLISHED_10 = Published(
    f"{_PAGE}{CIFAR_10.archive}",
    CIFAR_10.archive,
    170_498_071,
    "sha256:6d958be074577803d12ecdefd02955f39262c83c16fe9348329d7fe0b5c001ce",
)


class _Cifar(TrainTestSource):
    """The official train and test part of either."""

    edition: ClassVar[Edition]
    published: ClassVar[Published]

    def __init__(self, root: str, val_per_class: int, download: bool, cache_dir: str | None) -> None:
        super().__init__(root, val_per_class, cache_dir)
        self.download = download

    @cached_property
    def _parts(self) -> Mapping[str, Layout[Sequence[str]]]:
        found = find_parts(self.root, self.edition)
        if found is None and self.download:
            fetch(self.published.url, self.root / self.published.name, self.published.size, self.published.digest)
            found = find_parts(self.root, self.edition)
        if found is None:
            edition = self.edition
            forms = f"{edition.archive}, {edition.folder}/, or train/CLASS/ and test/CLASS/"
            raise self.missing(f"{forms} with the names of {edition.title}")
        return found

    def layout(self) -> str:
        """Which form was found.

        Raises:
            UserError: if none was.
        """
        descriptions = dict.fromkeys(part.description for part in self._parts.values())
        return ", ".join(descriptions)

    def part_key(self, part: str) -> str:
        """Names, sizes and times of the files.

        Raises:
            UserError: if there are none.
        """
        classes = self.edition.classes
        return files_key(self.root, self._parts[part].files(classes), classes=classes)

    def part(self, part: str) -> SplitContents:
        """The classes in the order of their official labels.

        Raises:
            UserError: if a class is missing or a file is broken.
        """
        classes, opened = self.edition.classes, self._parts[part].open(self.edition.classes)
        count, notes = opened.count, list(opened.notes)
        if count != IMAGES[part]:
            notes.append(f"{count} images in the part {part}; {self.edition.title} has {IMAGES[part]}")
        if isinstance(self._parts[part], CifarFolders) and has_classes(self.root / _VAL, self.edition):
            notes.append(f"left out {self.root / _VAL}; what is held out of train is said by val_per_class")
        return SplitContents(classes, (3, SIDE, SIDE), count, lambda number: opened.read(classes[number]), notes)


def _how_to_get(edition: Edition) -> str:
    return (
        f"Give the folder that holds {edition.archive} ({_PAGE}cifar.html), packed or unpacked ({edition.folder}/); "
        "or train/CLASS/*.png and test/CLASS/*.png; or download it with download=true"
    )


class CIFAR10(_Cifar):
    """CIFAR-10 for classification: 10 classes, 5,000 images of 32 x 32 to train on and 1,000 to test on in each.

    Krizhevsky, Learning multiple layers of features from tiny images, 2009. The images of a class keep the order of
    the files. See ``docs/data.md`` for the forms in which they may be.

    Args:
        root: folder with the official archive (packed or unpacked), or with train/CLASS/ and test/CLASS/.
        val_per_class: images a class, the last ones of train, that are held out for validation; with 0 there is no
            split val.
        download: fetch the official archive (170 MB) into the root if there is nothing of all that.
        cache_dir: folder for the decoded images; by default the user's cache folder, or what the environment variable
            FEWSHOT_SLA_CACHE says.
    """

    name = "cifar10"
    edition = CIFAR_10
    published = PUBLISHED_10
    how_to_get = _how_to_get(CIFAR_10)

    def __init__(self, root: str, val_per_class: int = 0, download: bool = False, cache_dir: str | None = None) -> None:
        super().__init__(root, val_per_class, download, cache_dir)


class CIFAR100(_Cifar):
    """CIFAR-100 for classification: 100 classes, 500 images of 32 x 32 to train on and 100 to test on in each.

    Krizhevsky, Learning multiple layers of features from tiny images, 2009. The images of a class keep the order of
    the files. See ``docs/data.md`` for the forms in which they may be.

    Args:
        root: folder with the official archive (packed or unpacked), or with train/CLASS/ and test/CLASS/.
        val_per_class: images a class, the last ones of train, that are held out for validation; with 0 there is no
            split val.
        download: fetch the official archive (169 MB) into the root if there is nothing of all that.
        cache_dir: folder for the decoded images; by default the user's cache folder, or what the environment variable
            FEWSHOT_SLA_CACHE says.
    """

    name = "cifar100"
    edition = CIFAR_100
    published = PUBLISHED_100
    how_to_get = _how_to_get(CIFAR_100)
    published_overlap = 26  # all pairs of equal images there are; how many lie across splits depends on val_per_class

    def __init__(self, root: str, val_per_class: int = 0, download: bool = False, cache_dir: str | None = None) -> None:
        super().__init__(root, val_per_class, download, cache_dir)


def find_parts(root: Path, edition: Edition) -> Mapping[str, Layout[Sequence[str]]] | None:
    """The form that train and test have under a root; None if there is none that is known.

    Raises:
        UserError: if there are images under a name that is not a class.
    """
    official = find_official(root, edition)
    if official:
        return {part: OfficialFiles(official, edition, [part]) for part in PARTS}
    if all(has_classes(root / part, edition) for part in PARTS):
        words = f"a folder a class in train/ and test/ of {root}"
        return {part: CifarFolders([root / part], words, edition) for part in PARTS}
    return None

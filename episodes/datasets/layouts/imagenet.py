"""What the readers of mini- and tiered-ImageNet share: layouts whose images come class by class, and checked lists."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from episodes.datasets.layouts.class_lists import class_list
from episodes.errors import UserError
from episodes.images.reading import list_class_folders, list_folder, read_images

SIDE = 84

_SOME = 5  # names in a message


class Opened(NamedTuple):
    """A split as it is in some form.

    Attributes:
        counts: images a class, by name of the class.
        read: name of a class -> its images, uint8 [n, 3, 84, 84].
    """

    counts: dict[str, int]
    read: Callable[[str], NDArray[np.uint8]]


class Layout(ABC):
    """A data set of images of 84 x 84 in one form.

    Attributes:
        description: the form in words.
    """

    description: str

    @abstractmethod
    def files(self, split: str) -> list[Path]:
        """The files that the split is made of.

        Raises:
            UserError: if it can be seen that something is missing.
        """

    @abstractmethod
    def open(self, split: str) -> Opened:
        """The split.

        Raises:
            UserError: if files are missing or broken.
        """


class ClassFolders(Layout):
    """``train/CLASS/*``, ``val/CLASS/*``, ``test/CLASS/*``, image files of any size."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.description = f"a folder a class in train/, val/ and test/ of {root}"

    def files(self, split: str) -> list[Path]:
        """All image files of the split."""
        return [file for files in self._images(split).values() for file in files]

    def open(self, split: str) -> Opened:
        """Files are opened when their class is read."""
        return opened_files(self._images(split))

    def _images(self, split: str) -> dict[str, list[Path]]:
        folders = list_class_folders(self.root / split)
        images = {name: list_folder(folder).images for name, folder in folders.items()}
        return {name: files for name, files in images.items() if files}


def check_classes(name: str, where: str, split: str, found: Iterable[str]) -> None:
    """See to it that a split holds the classes of the official list, no more and no fewer.

    Args:
        name: name of the list.
        where: what the message calls the place where the classes were found.
        split: which split they were found as.
        found: names of classes.

    Raises:
        UserError: if a class is not in the list of the split, or is missing.
    """
    lists, found = class_list(name), set(found)
    for extra in sorted(found - set(lists[split])):
        other = [home for home, names in lists.items() if extra in names]
        belongs = f"belongs to {other[0]} in the official list" if other else "is in no split of the official list"
        raise UserError(f"{name}: {where} has class {extra!r} in {split}, but it {belongs}")
    lacking = [known for known in lists[split] if known not in found]
    if lacking:
        more = f" and {len(lacking) - _SOME} more" if len(lacking) > _SOME else ""
        raise UserError(
            f"{name}: {where} has no image of {len(lacking)} of the {len(lists[split])} {split} classes: "
            f"{', '.join(lacking[:_SOME])}{more}"
        )


def entry(content: Mapping[Any, Any], key: str, path: Path) -> Any:
    """An entry of a pickle.

    Raises:
        UserError: if it is not there.
    """
    if key not in content:
        raise UserError(f"{path}: there is no {key!r} in it; there is {', '.join(map(repr, content))}")
    return content[key]


def mapping(content: Any, path: Path) -> Mapping[Any, Any]:
    """What a pickle holds, if that is a dictionary.

    Raises:
        UserError: if it is something else.
    """
    if not isinstance(content, Mapping):
        raise UserError(f"{path} holds a {type(content).__name__}, not a dictionary; it is not the published file")
    return content


def opened_files(by_class: Mapping[str, list[Path]]) -> Opened:
    """A split of image files, which are stretched to 84 x 84; one that is broken makes its class unusable.

    Args:
        by_class: the files of every class.
    """

    def read(name: str) -> NDArray[np.uint8]:
        images, broken = read_images(by_class[name], SIDE, "RGB", "stretch")
        if broken:
            raise UserError(str(broken[0]) + (f" (and {len(broken) - 1} more)" if len(broken) > 1 else ""))
        return images

    return Opened({name: len(files) for name, files in by_class.items()}, read)

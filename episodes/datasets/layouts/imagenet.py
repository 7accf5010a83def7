"""What the readers of mini- and tiered-ImageNet share: layouts whose images come class by class, and checked lists."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from episodes.datasets.layouts.base import Layout, Opened, refuse_broken
from episodes.datasets.layouts.class_lists import class_list
from episodes.errors import UserError, some
from episodes.images.reading import list_class_folders, list_folder, read_images

SIDE = 84


class SplitFolders(Layout[str]):
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
        raise UserError(
            f"{name}: {where} has no image of {len(lacking)} of the {len(lists[split])} {split} classes: "
            f"{some(lacking)}"
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
        refuse_broken(broken)
        return images

    return Opened({name: len(files) for name, files in by_class.items()}, read)

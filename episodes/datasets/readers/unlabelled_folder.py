"""A folder of pictures that nobody sorted into classes: what a classifier is shown that does not know them."""

import os
from collections.abc import Iterator
from functools import cached_property
from pathlib import Path
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from episodes.datasets.store.source import SplitContents, StoredSource, files_key
from episodes.errors import UserError, some
from episodes.images.reading import Mode, list_class_folders, list_folder, read_images


class UnlabelledFolder(StoredSource):
    """All pictures in a folder and in the folders in it, as one split, "test".

    Also LSUN and ImageNet as they are handed on for the detection of unknown classes, PNG files of 32 x 32 in a folder
    (Liang, Li, Srikant, "Enhancing the reliability of out-of-distribution image detection in neural networks", ICLR
    2018). The class of a picture is the name of the folder that it is directly in; within one, they are in the order of
    their names.

    Any format that Pillow reads, any size, grey or colour. The middle square is resized to ``image_size`` (bilinear,
    antialiased); a picture of that size keeps its pixels. Broken files are left out, counted and named.

    Args:
        root: the folder.
        image_size: side of the images in pixels.
        grey: make all images grey (one channel); otherwise all become colour images (three channels).
        name: what the data set is called; by default as the folder.
        cache_dir: folder for the decoded images; by default the user's cache folder, or what the environment variable
            FEWSHOT_SLA_CACHE says.

    Raises:
        UserError: if the size is not positive.
    """

    name = "pictures"  # until there is a root to be called after
    splits: ClassVar[tuple[str, ...]] = ("test",)
    keeps_order: ClassVar[bool] = True
    shares_classes: ClassVar[bool] = True
    how_to_get: ClassVar[str] = "Give a folder of pictures; those in folders in it count too"

    def __init__(
        self, root: str, image_size: int = 32, grey: bool = False, name: str = "", cache_dir: str | None = None
    ) -> None:
        super().__init__(root, cache_dir)
        if image_size < 1:
            raise UserError(f"unlabelled folder: image_size must be 1 or more, not {image_size}")
        self.name = name or self.root.absolute().name or self.name
        self.image_size = image_size
        self.grey = grey

    @cached_property
    def _classes(self) -> dict[str, list[Path]]:
        """The pictures by the name of the folder that they are in, sorted."""
        if not self.root.is_dir():
            raise self.missing("pictures")
        found: dict[str, list[Path]] = {}
        for folder in folders_below(self.root):
            images = list_folder(folder).images
            if images:
                found.setdefault(folder.absolute().name or self.name, []).extend(images)
        if not found:
            raise self.missing("pictures")
        return dict(sorted(found.items()))

    def layout(self) -> str:
        """How many pictures there are.

        Raises:
            UserError: if there are none.
        """
        return f"{sum(map(len, self._classes.values()))} pictures in {self.root} and the folders in it"

    def source_key(self, split: str) -> str:
        """Names, sizes and times of all pictures, and the options.

        Raises:
            UserError: if there are none.
        """
        files = [path for paths in self._classes.values() for path in paths]
        return files_key(self.root, files, image_size=self.image_size, grey=self.grey)

    def contents(self, split: str) -> SplitContents:
        """The pictures.

        Raises:
            UserError: while reading, if none in a folder can be read.
        """
        names, notes = tuple(self._classes), list[str]()
        mode: Mode = "L" if self.grey else "RGB"

        def read_class(number: int) -> NDArray[np.uint8]:
            pixels, broken = read_images(self._classes[names[number]], self.image_size, mode)
            notes.extend(f"left out {error}" for error in broken)
            if not len(pixels):
                raise UserError(f"{self.name}: no picture of {names[number]!r} can be read: {some(broken, 1)}")
            return pixels

        shape = (1 if self.grey else 3, self.image_size, self.image_size)
        return SplitContents(names, shape, sum(map(len, self._classes.values())), read_class, notes)


def folders_below(root: Path) -> Iterator[Path]:
    """A folder and all folders in it, each once, however links lead to it; by name, hidden ones are passed over.

    Raises:
        UserError: if one cannot be read.
    """
    waiting, seen = [root], set()
    while waiting:
        folder = waiting.pop(0)
        place = os.path.realpath(folder)
        if place not in seen:
            seen.add(place)
            yield folder
            waiting += list_class_folders(folder).values()

"""One's own images for episodes: folders divided into train, val and test, or one folder a class and a split file."""

from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import ClassVar, NamedTuple

import numpy as np
from numpy.typing import NDArray

from episodes.datasets.layouts.split_file import ALIASES, NAMES, read_split_file
from episodes.datasets.store.source import SPLITS, SplitContents, StoredSource, files_key
from episodes.errors import UserError, some
from episodes.images.reading import Mode, list_class_folders, list_folder, read_images


class _Found(NamedTuple):
    """What is under the root: the form in words, and per split its classes with their folders."""

    description: str
    folders: Mapping[str, Mapping[str, Path]]
    notes: list[str]


class EpisodeFolders(StoredSource):
    """One's own images for episodes, in ``train/CLASS/*``, ``val/CLASS/*``, ``test/CLASS/*``; each class in one split.

    Or in ``CLASS/*``, with a split file that says which class belongs to which split.

    Any format that Pillow reads, any size, grey or colour. Images are turned upright as their EXIF data say, and the
    middle square is resized to ``image_size`` (the shorter side is resized, then the centre cut out); transparent parts
    become white. Broken files are left out, counted and named. See ``docs/data.md``.

    Args:
        root: the folder.
        image_size: side of the images in pixels.
        grey: make all images grey (one channel); otherwise all become colour images (three channels).
        split_file: which class belongs to which split, as .csv, .txt (a line ``CLASS,SPLIT`` each) or .json; by default
            splits.csv, splits.json or splits.txt in the root, if there is one.
        cache_dir: folder for the decoded images; by default the user's cache folder, or what the environment variable
            FEWSHOT_SLA_CACHE says.

    Raises:
        UserError: if the size is not positive.
    """

    name = "images"  # until there is a root to be called after
    how_to_get: ClassVar[str] = (
        "Put your images into train/CLASS/, val/CLASS/ and test/CLASS/, or into CLASS/ with a file splits.csv of lines "
        "CLASS,SPLIT"
    )

    def __init__(
        self,
        root: str,
        image_size: int = 84,
        grey: bool = False,
        split_file: str | None = None,
        cache_dir: str | None = None,
    ) -> None:
        super().__init__(root, cache_dir)
        if image_size < 1:
            raise UserError(f"episode folders: image_size must be 1 or more, not {image_size}")
        self.name = self.root.absolute().name or self.name
        self.image_size = image_size
        self.grey = grey
        self.split_file = split_file

    def layout(self) -> str:
        """Whether the folders are divided themselves or by a split file.

        Raises:
            UserError: if there are neither.
        """
        return self._found.description

    def available_splits(self) -> tuple[str, ...]:
        """The splits that have a class.

        Raises:
            UserError: if nothing is found under the root.
        """
        return tuple(split for split in SPLITS if self._found.folders.get(split))

    def source_key(self, split: str) -> str:
        """Names, sizes and times of all files of the split, and the options.

        Raises:
            UserError: if there is no such split.
        """
        folders = self._classes(split)
        files = [file for folder in folders.values() for file in list_folder(folder).images]
        return files_key(self.root, files, classes=list(folders), image_size=self.image_size, grey=self.grey)

    def contents(self, split: str) -> SplitContents:
        """The split's classes, sorted by name.

        Raises:
            UserError: if there is no such split.
        """
        folders, notes = self._classes(split), list(self._found.notes)
        names = tuple(folders)

        def read_class(number: int) -> NDArray[np.uint8]:
            return self._read(folders[names[number]], notes)

        count = sum(len(list_folder(folder).images) for folder in folders.values())
        channels = 1 if self.grey else 3
        return SplitContents(names, (channels, self.image_size, self.image_size), count, read_class, notes)

    def _read(self, folder: Path, notes: list[str]) -> NDArray[np.uint8]:  # [n, C, H, W]
        """The images of one class; what is left out is noted."""
        images, others = list_folder(folder)
        mode: Mode = "L" if self.grey else "RGB"
        pixels, broken = read_images(images, self.image_size, mode)
        notes += [f"left out {error}" for error in broken]
        if others:
            notes.append(f"left out {some(others)}: not a format that Pillow reads")
        if not len(pixels):
            why = f"; {broken[0]}" if broken else f"; there is only {some(o.name for o in others)}" if others else ""
            raise UserError(f"{self.name}: no image that can be read directly in {folder}{why}")
        return pixels

    def _classes(self, split: str) -> Mapping[str, Path]:
        """Names and folders of the classes of one split."""
        folders = self._found.folders.get(split)
        if not folders:
            raise UserError(f"{self.name}: {self._found.description} has no class for {split}. {self.how_to_get}")
        return folders

    @cached_property
    def _found(self) -> _Found:
        """The folders of the classes, divided in one way or the other."""
        if not self.root.is_dir():
            raise self.missing("")
        given = Path(self.split_file).expanduser() if self.split_file else None
        beside = next((self.root / name for name in NAMES if (self.root / name).is_file()), None)
        path = given or beside
        found = _divided_by_file(self.root, path) if path else _divided_by_folder(self.root)
        if not any(found.folders.values()):
            raise self.missing("folders train/CLASS/, and no CLASS/ with a split file")
        return found


def _divided_by_folder(root: Path) -> _Found:
    """train/CLASS, val/CLASS, test/CLASS."""
    folders: dict[str, dict[str, Path]] = {split: {} for split in SPLITS}
    home: dict[str, str] = {}
    places = [(name, place) for name, place in list_class_folders(root).items() if name.lower() in ALIASES]
    for part, place in places:
        for name, folder in list_class_folders(place).items():
            if name in home:
                raise UserError(
                    f"{root}: class {name!r} is both in {home[name]}/ and in {part}/; splits share no class"
                )
            home[name] = part
            folders[ALIASES[part.lower()]][name] = folder
    sorted_folders = {split: dict(sorted(classes.items())) for split, classes in folders.items()}
    return _Found(f"a folder a class in {', '.join(f'{part}/' for part, _ in places)} of {root}", sorted_folders, [])


def _divided_by_file(root: Path, path: Path) -> _Found:
    """CLASS, and a file that says where it belongs."""
    splits, there = read_split_file(path), list_class_folders(root)
    missing = [name for name in splits if name not in there]
    if missing:
        raise UserError(f"{path} names classes that have no folder in {root}: {some(missing)}")
    folders = {split: {name: there[name] for name in sorted(splits) if splits[name] == split} for split in SPLITS}
    unnamed = [name for name in there if name not in splits]
    notes = [f"left out folders that {path.name} does not name: {some(unnamed)}"] if unnamed else []
    return _Found(f"a folder a class in {root}, divided by {path}", folders, notes)

"""One's own images for classification: a folder a class, divided by us or already in train/, val/ and test/."""

import threading
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import ClassVar, NamedTuple

import numpy as np
from numpy.typing import NDArray

from episodes.datasets.layouts.split_file import ALIASES
from episodes.datasets.readers.content_division import Division, divide_files
from episodes.datasets.readers.held_out import no_val
from episodes.datasets.store.source import SPLITS, SplitContents, StoredSource, files_key
from episodes.errors import UserError, some
from episodes.images.reading import Mode, list_class_folders, list_folder, read_images

WHOLE = "all"  # the part, if nothing is divided yet
_VAL_OF_WHOLE, _VAL_OF_TRAIN = 0.2, 0.1

Folders = Mapping[str, Path]  # class -> its folder


class _Found(NamedTuple):
    """What is under the root: the form in words, the classes of each part, and what was passed over."""

    description: str
    parts: Mapping[str, Folders]
    notes: list[str]


class ClassificationFolders(StoredSource):
    """One's own images for classification, in ``CLASS/*`` or in ``train/CLASS/*``, ``test/CLASS/*``, ``val/CLASS/*``.

    With ``CLASS/*`` alone the images of every class are divided: a fifth for the test, a fifth for validation, the
    rest for training. With train/ and test/ but no val/, a tenth of every class of train is held out for validation.
    Who goes where is drawn by the seed from the pixels of the pictures as they are in the files: names of files do not
    matter, nor does ``image_size``, and equal pictures of a class are on the same side. At least one picture a class
    goes to each split.

    Any format that Pillow reads, any size, grey or colour. Images are turned upright as their EXIF data say, and the
    middle square is resized to ``image_size`` (the shorter side is resized, then the centre cut out); transparent parts
    become white. Broken files are left out, counted and named. See ``docs/data.md``.

    Args:
        root: the folder.
        image_size: side of the images in pixels.
        grey: make all images grey (one channel); otherwise all become colour images (three channels).
        val_share: share of the images that is held out for validation, 0 for none; by default 0.2 of the images in
            ``CLASS/`` and 0.1 of those in ``train/CLASS/``. Without meaning if there is a folder val/.
        test_share: share of the images that is held out for the test. Without meaning if there is a folder test/.
        seed: of the division; another seed is another data set.
        cache_dir: folder for the decoded images; by default the user's cache folder, or what the environment variable
            FEWSHOT_SLA_CACHE says.

    Raises:
        UserError: if the size is not positive, or the shares leave nothing to train on.
    """

    name = "images"  # until there is a root to be called after
    shares_classes: ClassVar[bool] = True
    how_to_get: ClassVar[str] = (
        "Put your images into CLASS/, or into train/CLASS/ and test/CLASS/ (and val/CLASS/, if you like)"
    )

    def __init__(
        self,
        root: str,
        image_size: int = 32,
        grey: bool = False,
        val_share: float | None = None,
        test_share: float = 0.2,
        seed: int = 0,
        cache_dir: str | None = None,
    ) -> None:
        super().__init__(root, cache_dir)
        if image_size < 1:
            raise UserError(f"classification folders: image_size must be 1 or more, not {image_size}")
        val = _VAL_OF_WHOLE if val_share is None else val_share
        if not (0 <= val < 1 and 0 < test_share < 1 and val + test_share < 1):
            raise UserError(
                f"classification folders: val_share ({val}) must be 0 or more, test_share ({test_share}) more than 0, "
                "and both together less than 1"
            )
        self.name = self.root.absolute().name or self.name
        self.image_size = image_size
        self.grey = grey
        self.val_share = val_share
        self.test_share = test_share
        self.seed = seed
        self._divisions: dict[tuple[Path, str], Division] = {}
        self._lock = threading.Lock()

    def layout(self) -> str:
        """Whether the folders are divided themselves, and what is held out of them.

        Raises:
            UserError: if there are none, or if a class is missing in a part.
        """
        held = [f"{share:g} of it held out for {split}" for split, share in self._shares.items()]
        return ", ".join([self._found.description, *held])

    def available_splits(self) -> tuple[str, ...]:
        """All three, unless nothing is held out for val.

        Raises:
            UserError: if nothing is found under the root.
        """
        return tuple(split for split in SPLITS if split in self._shares or split in ("train", *self._found.parts))

    def source_key(self, split: str) -> str:
        """Names, sizes and times of all files that are looked at for the split, and the options.

        Raises:
            UserError: if there is no such split.
        """
        folders = self._folders(split)
        files = [file for folder in folders.values() for file in list_folder(folder).images]
        options: dict[str, object] = {"image_size": self.image_size, "grey": self.grey, "classes": list(folders)}
        if self._is_divided(split):
            options |= {"shares": dict(self._shares), "seed": self.seed}
        return files_key(self.root, files, **options)

    def contents(self, split: str) -> SplitContents:
        """The classes, sorted by name.

        Raises:
            UserError: if there is no such split; while reading, if a class has too few pictures to be divided.
        """
        folders, notes = self._folders(split), list(self._found.notes)
        names = tuple(folders)

        def read_class(number: int) -> NDArray[np.uint8]:
            return self._read(split, names[number], folders[names[number]], notes)

        count = sum(len(list_folder(folder).images) for folder in folders.values())
        channels = 1 if self.grey else 3
        return SplitContents(names, (channels, self.image_size, self.image_size), count, read_class, notes)

    def _read(self, split: str, name: str, folder: Path, notes: list[str]) -> NDArray[np.uint8]:  # [n, C, H, W]
        """The images of one class on one side; what is left out is noted."""
        images, others = list_folder(folder)
        unreadable: list[str] = []
        if self._is_divided(split):
            division = self._division(name, folder, images)
            images = division.files[split]
            # Files that nobody can use belong to no split; they are noted where everything else is, too.
            unreadable, others = (list(division.broken), others) if split == "train" else ([], [])
        mode: Mode = "L" if self.grey else "RGB"
        pixels, broken = read_images(images, self.image_size, mode)
        unreadable += [str(error) for error in broken]
        notes += [f"left out {why}" for why in unreadable]
        if others:
            notes.append(f"left out {some(others)}: not a format that Pillow reads")
        if not len(pixels):
            why = f"; {unreadable[0]}" if unreadable else ""
            raise UserError(f"{self.name}: no image that can be read directly in {folder}{why}")
        return pixels

    def _division(self, name: str, folder: Path, files: list[Path]) -> Division:
        """Who goes where; found out once, though several splits ask."""
        key = (folder, files_key(self.root, files))
        if key not in self._divisions:
            division = divide_files(files, self._shares, self.seed, f"{self.name}: class {name!r}")
            with self._lock:
                self._divisions[key] = division
        return self._divisions[key]

    def _folders(self, split: str) -> Folders:
        """The folders that the images of a split are in, alone or with those of other splits."""
        if split not in self.available_splits():
            raise no_val(self.name, "val_share (0.1, say)")
        parts = self._found.parts
        return parts[WHOLE] if WHOLE in parts else parts[split if split in parts else "train"]

    def _is_divided(self, split: str) -> bool:
        """Whether a split shares its folders with others."""
        return bool(self._shares) and (split == "train" or split in self._shares)

    @cached_property
    def _shares(self) -> Mapping[str, float]:
        """What is held out of the folders of train, or of all: split -> share."""
        parts = self._found.parts
        shares = {"test": self.test_share} if WHOLE in parts else {}
        if "val" not in parts:
            usual = _VAL_OF_WHOLE if WHOLE in parts else _VAL_OF_TRAIN
            shares["val"] = usual if self.val_share is None else self.val_share
        return {split: share for split, share in shares.items() if share}

    @cached_property
    def _found(self) -> _Found:
        if not self.root.is_dir():
            raise self.missing("")
        found = _look(self.root)
        if not any(found.parts.values()):
            raise self.missing("folders CLASS/ with images")
        return found


def _look(root: Path) -> _Found:
    """The parts under a root: train, test and perhaps val, or everything in one."""
    there = list_class_folders(root)
    places: dict[str, Path] = {}
    for name, folder in there.items():
        split = ALIASES.get(name.lower())
        if split and list_class_folders(folder):  # a class may be called "train", too
            if split in places:
                raise UserError(f"{root}: both {places[split].name}/ and {name}/ are for {split}; rename one")
            places[split] = folder
    if not places:
        return _Found(f"a folder a class in {root}", {WHOLE: there}, [])
    for split in ("train", "test"):
        if split not in places:
            names = ", ".join(f"{folder.name}/" for folder in places.values())
            raise UserError(
                f"{root} has {names} with folders of classes, but no {split}/: make one, or give a folder with CLASS/ "
                "alone as root and have it divided"
            )
    parts = {split: list_class_folders(places[split]) for split in SPLITS if split in places}
    _refuse_different_classes(root, parts)
    beside = [folder for folder in there.values() if folder not in places.values() and list_folder(folder).images]
    notes = [f"left out {some(beside)}, beside train/ and test/"] if beside else []
    return _Found(
        f"a folder a class in {', '.join(f'{places[split].name}/' for split in parts)} of {root}", parts, notes
    )


def _refuse_different_classes(root: Path, parts: Mapping[str, Folders]) -> None:
    """Whatever is a class in one part must be one in all."""
    for name in sorted({name for folders in parts.values() for name in folders}):
        lacking = [split for split, folders in parts.items() if name not in folders]
        if lacking:
            there = next(split for split, folders in parts.items() if name in folders)
            raise UserError(
                f"{root}: class {name!r} is in {there}/ and not in {lacking[0]}/; all splits must have the same classes"
            )

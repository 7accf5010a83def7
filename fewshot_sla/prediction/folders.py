"""Folders of pictures: which files are meant, and their pixels; what cannot be read is counted, not fatal."""

import os
import tempfile
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from episodes.errors import UserError
from episodes.images.reading import BrokenImageError, list_class_folders, list_folder
from episodes.progress import OnProgress, no_progress
from fewshot_sla.prediction.pictures import Format, make_picture
from fewshot_sla.prediction.report import BrokenFile

_IN_MEMORY = 2**28  # bytes; pictures that need more go to a file without a name


class Pictures(NamedTuple):
    """Files that could be read.

    Attributes:
        paths: as they were given.
        pixels: uint8 [n, C, H, W]; memory-mapped if they are many.
        broken: files that could not be read.
        numbers: [n], which of the files asked for it is.
    """

    paths: list[Path]
    pixels: NDArray[np.uint8]
    broken: list[BrokenFile]
    numbers: list[int]


def support_files(folder: Path) -> tuple[dict[str, list[Path]], list[str]]:
    """The files of ``folder/CLASS/*`` by class, and one-line remarks.

    Raises:
        UserError: if there are fewer than two class folders, or one has no file that may be a picture.
    """
    if not os.path.lexists(folder):
        raise UserError(f"{folder}: there is no such folder; give a folder with a folder of pictures for each class")
    classes = list_class_folders(folder)
    if not classes:
        raise UserError(
            f"{folder}: there is no class folder in it; put the pictures of each class into {folder}/CLASS/"
        )
    if len(classes) == 1:
        raise UserError(f"{folder}: there is only one class, {next(iter(classes))!r}; at least two are needed")
    found, notes = {}, []
    if loose := list_folder(folder).images:
        what = "1 picture that is" if len(loose) == 1 else f"{len(loose)} pictures that are"
        notes.append(f"{folder}: {what} in no class folder passed over ({_some([path.name for path in loose])})")
    for name, path in classes.items():
        images, others = list_folder(path)
        if not images:
            raise UserError(f"{path}: the class {name!r} has no picture; add one or remove the folder")
        notes += _passed_over(path, others)
        found[name] = images
    return found, notes


def query_files(given: Sequence[str | os.PathLike[str]]) -> tuple[list[Path], list[str]]:
    """The files asked about, each once, and one-line remarks; a folder stands for the pictures in it.

    Raises:
        UserError: if there is none, a path leads nowhere, or a folder holds no pictures.
    """
    files: list[Path] = []
    notes: list[str] = []
    for name in given:
        if not str(name):  # an empty variable of a shell; Path would take it for the folder one is in
            raise UserError("a query has no name; give a picture or a folder of pictures")
        path = Path(name)
        try:
            path.stat()
        except OSError as error:
            raise UserError(f"{path}: {error.strerror}; give a picture or a folder of pictures as query") from None
        if not path.is_dir():
            files.append(path)
            continue
        images, others = list_folder(path)
        if not images:
            folders = list(list_class_folders(path))
            if folders:
                raise UserError(
                    f"{path}: there are only folders in it ({_some(folders)}); give one of them, or the files"
                )
            raise UserError(f"{path}: there is no picture in it")
        notes += _passed_over(path, others)
        files += images
    if not files:
        raise UserError("there is no query; give a picture or a folder of pictures")
    return list(dict.fromkeys(files)), notes


def read_pictures(
    paths: Sequence[Path],
    wanted: Format,
    *,
    strict: bool = False,
    what: str = "pictures",
    on_progress: OnProgress = no_progress,
) -> Pictures:
    """Decode files, one after the other.

    Args:
        paths: the files.
        wanted: what to make of them.
        strict: stop at the first that cannot be read.
        what: the pictures are called in messages to ``on_progress``.
        on_progress: called after each file.

    Raises:
        BrokenImageError: if ``strict`` and one cannot be read.
    """
    pixels = _room_for((len(paths), *wanted[:3]))
    read: list[int] = []
    broken = []
    for number, path in enumerate(paths):
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # Pillow's, of odd files that it reads all the same
                pixels[len(read)] = make_picture(path, wanted)
            read.append(number)
        except BrokenImageError as error:
            if strict:
                raise
            broken.append(BrokenFile(str(path), str(error).removeprefix(f"{path}: ")))
        on_progress(what, number + 1, len(paths))
    return Pictures([paths[number] for number in read], pixels[: len(read)], broken, read)


def same_files(support: Sequence[Path], query: Sequence[Path]) -> list[tuple[Path, Path]]:
    """Queries that are support files too, by whatever path: (query, support)."""
    places = {os.path.realpath(path): path for path in reversed(support)}
    return [(path, places[place]) for path in query if (place := os.path.realpath(path)) in places]


def _room_for(shape: tuple[int, ...]) -> NDArray[np.uint8]:
    """An array; a large one lies in a file that vanishes with it, so that memory is not filled."""
    size = int(np.prod(shape))
    if size <= _IN_MEMORY:
        return np.empty(shape, np.uint8)
    with tempfile.TemporaryFile() as file:
        file.truncate(size)
        return np.memmap(file, np.uint8, "r+", shape=shape)


def _passed_over(folder: Path, others: Sequence[Path]) -> list[str]:
    """Remarks on what is in a folder and took no part."""
    notes = []
    if others:
        what = "1 file that is" if len(others) == 1 else f"{len(others)} files that are"
        notes.append(f"{folder}: {what} no picture by name passed over ({_some([path.name for path in others])})")
    folders = sorted(path.name for path in folder.iterdir() if path.is_dir() and not path.name.startswith("."))
    if folders:
        what = "1 folder" if len(folders) == 1 else f"{len(folders)} folders"
        notes.append(f"{folder}: {what} in it passed over, with what is inside ({_some(folders)})")
    return notes


def _some(names: Sequence[str]) -> str:
    return ", ".join(names[:3]) + (", ..." if len(names) > 3 else "")

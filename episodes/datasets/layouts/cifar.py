"""The forms in which people have CIFAR-100 and CIFAR-10: the official archive, its unpacked folder, folders of images.

Whatever the form, few-shot learning puts the 600 images of a class of CIFAR-100 together (500 of the original training
part, 100 of the original test part); classification reads the two parts one by one. Which classes or images make up a
split is not decided here.
"""

import hashlib
import tarfile
import zlib
from collections.abc import Container, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, BinaryIO, cast

import numpy as np
from numpy.typing import NDArray

from episodes.datasets.layouts.base import Layout, Opened, refuse_broken
from episodes.datasets.layouts.cifar_editions import CIFAR_10, CIFAR_100, PARTS, SIDE, Edition
from episodes.datasets.store.restricted_pickle import load_pickle
from episodes.errors import UserError, first_line, some
from episodes.images.reading import list_class_folders, list_folder, read_images

# What is meant where no edition is named.
ARCHIVE, FOLDER, CLASSES = CIFAR_100.archive, CIFAR_100.folder, CIFAR_100.classes


class OfficialFiles(Layout[Sequence[str]]):
    """The Python version as its authors give it away: pickles of some 10,000 images each, and one of names.

    Args:
        path: the archive, or the folder it unpacks to.
        edition: CIFAR-100 or CIFAR-10.
        parts: those that are read, in this order.
    """

    def __init__(self, path: Path, edition: Edition = CIFAR_100, parts: Sequence[str] = PARTS) -> None:
        self.path = path
        self.edition = edition
        self.parts = parts
        self.description = f"the official {'archive' if path.is_file() else 'files (python version) in'} {path}"

    def files(self, chosen: Sequence[str]) -> list[Path]:
        """The archive, or its files."""
        return [self.path] if self.path.is_file() else [self.path / name for name in self.edition.files]

    def open(self, chosen: Sequence[str]) -> Opened:
        """Everything is read at once; the images of a class keep the order of the files."""
        (meta, *parts), notes = self._pickles()
        names = [_text(name) for name in self._entry(meta, self.edition.names_key)]
        for name in names:
            if name not in self.edition.classes:
                raise UserError(
                    f"{self.path}: {name!r} in the file {self.edition.meta} is not a class of {self.edition.title}"
                )
        _refuse_missing(chosen, names, self.path, self.edition)
        checked = [self._images(part) for part in parts]
        labels, pixels = (np.concatenate(arrays) for arrays in zip(*checked, strict=True))
        if len(labels) and not 0 <= labels.min() <= labels.max() < len(names):
            raise UserError(f"{self.path}: labels reach from {labels.min()} to {labels.max()}; {len(names)} classes")
        numbers = {name: number for number, name in enumerate(names)}
        counts = {name: int((labels == numbers[name]).sum()) for name in chosen}
        return Opened(counts, lambda name: pixels[labels == numbers[name]], tuple(notes))

    def _images(self, part: Mapping[Any, Any]) -> tuple[NDArray[np.int64], NDArray[np.uint8]]:
        """Labels [n] and images [n, 3, 32, 32] of one file."""
        labels = np.asarray(self._entry(part, self.edition.labels_key))
        pixels = np.asarray(self._entry(part, "data"))
        if labels.dtype.kind not in "iu" or pixels.dtype != np.uint8 or pixels.shape != (len(labels), 3 * SIDE * SIDE):
            raise UserError(
                f"{self.path}: labels are {labels.dtype} {list(labels.shape)} and pixels {pixels.dtype} "
                f"{list(pixels.shape)}, not integers [n] and uint8 [n, {3 * SIDE * SIDE}]"
            )
        return labels.astype(np.int64), pixels.reshape(-1, 3, SIDE, SIDE)

    def _pickles(self) -> tuple[list[Mapping[Any, Any]], list[str]]:
        """Contents of the file of names and of all files of the parts; and what is remarkable about the archive."""
        wanted = (self.edition.meta, *(name for part in self.parts for name in self.edition.parts[part]))
        try:
            if not self.path.is_file():
                return [self._load(self.path / name) for name in wanted], []
            notes = self._differences()
            with tarfile.open(self.path) as archive:
                members = [self._member(archive, f"{self.edition.folder}/{name}") for name in wanted]
                return [self._unpickle(file, name) for file, name in zip(members, wanted, strict=True)], notes
        except (OSError, EOFError, tarfile.TarError, zlib.error) as error:
            why = first_line(error).rstrip(":")
            raise UserError(f"{self.path} is cut off or damaged ({why}); get it again") from None

    def _member(self, archive: tarfile.TarFile, name: str) -> BinaryIO:
        try:
            file = archive.extractfile(name)
        except KeyError:
            file = None
        if file is None:
            raise UserError(f"{self.path} is not the python version of {self.edition.title}: it has no {name!r}")
        return cast(BinaryIO, file)

    def _differences(self) -> list[str]:
        """A line if the archive is not, byte for byte, the official one."""
        with open(self.path, "rb") as file:
            md5 = hashlib.file_digest(file, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()
        official = self.edition.md5
        return [] if md5 == official else [f"{self.path} is not the official archive: its MD5 is {md5}, not {official}"]

    def _load(self, path: Path) -> Mapping[Any, Any]:
        with open(path, "rb") as file:
            return self._unpickle(file, path.name)

    def _unpickle(self, file: BinaryIO, name: str) -> Mapping[Any, Any]:
        content = load_pickle(file)
        if not isinstance(content, Mapping):
            raise UserError(f"{self.path}: the file {name} is no file of {self.edition.title}")
        return content

    def _entry(self, content: Mapping[Any, Any], key: str) -> Any:
        """An entry of a pickle that was written by Python 2, whose keys are bytes or text."""
        for spelled in (key, key.encode()):
            if spelled in content:
                return content[spelled]
        other = CIFAR_10 if self.edition is CIFAR_100 else CIFAR_100
        titles = f"{self.edition.title} (and not {other.title})"
        raise UserError(f"{self.path}: there is no {key!r} in it; is it the python version of {titles}?")


class CifarFolders(Layout[Sequence[str]]):
    """A folder a class, full of image files, in one or several places; a class in two of them is put together.

    Args:
        places: folders that hold folders with the names of classes.
        description: the form in words.
        edition: CIFAR-100 or CIFAR-10.

    Raises:
        UserError: if there are images under a name that is not a class.
    """

    def __init__(self, places: Sequence[Path], description: str, edition: Edition = CIFAR_100) -> None:
        self.description = description
        self.edition = edition
        self.root = places[0].parent if len(places) > 1 else places[0]
        self.folders: dict[str, list[Path]] = {}
        for place in places:
            for name, folder in list_class_folders(place).items():
                plain = plain_name(name)
                if plain in edition.classes:
                    self.folders.setdefault(plain, []).append(folder)
                elif list_folder(folder).images:
                    raise UserError(f"{place}: {name!r} is not a class of {edition.title}, but there are images in it")

    def files(self, chosen: Sequence[str]) -> list[Path]:
        """All image files of the classes; those of one folder in the order of their names."""
        _refuse_missing(chosen, self.folders, self.root, self.edition)
        return [file for name in chosen for folder in self.folders[name] for file in list_folder(folder).images]

    def open(self, chosen: Sequence[str]) -> Opened:
        """Image files are opened when their class is read."""
        _refuse_missing(chosen, self.folders, self.root, self.edition)
        return Opened({name: len(self.files([name])) for name in chosen}, self._read)

    def _read(self, name: str) -> NDArray[np.uint8]:
        """All images of a class; one that is broken, or of another size than 32 x 32, makes the class unusable."""
        images, broken = read_images(self.files([name]))
        refuse_broken(broken)
        if len(images) and images.shape[1:] != (3, SIDE, SIDE):
            raise UserError(f"{self.folders[name][0]}: the images are {images.shape[2:]}; those of CIFAR are 32 x 32")
        return images


def find_official(root: Path, edition: Edition) -> Path | None:
    """The official archive under a root (or the root itself), or the folder it unpacks to; None if there is neither."""
    for path in (root, root / edition.archive):
        if path.is_file() and path.name.endswith((".tar.gz", ".tgz", ".tar")):
            return path
    for path in (root, root / edition.folder):
        if all((path / name).is_file() for name in edition.files):
            return path
    return None


def find_layout(root: Path) -> Layout[Sequence[str]] | None:
    """The form that CIFAR-100 has under a root; None if there is none that is known.

    Raises:
        UserError: if there is a form that is known, with something in it that does not belong there.
    """
    official = find_official(root, CIFAR_100)
    if official:
        return OfficialFiles(official)
    for path in (root, root / "cifar100"):
        if has_classes(path / "data", CIFAR_100):
            return CifarFolders([path / "data"], f"the CIFAR-FS archive, unpacked, in {path}")
    # "train" is a class of CIFAR-100, too: a folder of that name is a part only if there are classes in it.
    parts = [root / name for name in ("train", "val", "test") if has_classes(root / name, CIFAR_100)]
    if parts:
        names = ", ".join(f"{part.name}/" for part in parts)
        return CifarFolders(parts, f"a folder a class in {names} of {root} (put together)")
    if has_classes(root, CIFAR_100):
        return CifarFolders([root], f"a folder a class in {root}")
    return None


def plain_name(name: str) -> str:
    """The name of a class as CIFAR spells it: small letters and underscores."""
    return name.lower().replace(" ", "_").replace("-", "_")


def has_classes(folder: Path, edition: Edition) -> bool:
    """Whether a folder has at least one folder that is called like a class."""
    return folder.is_dir() and any(plain_name(name) in edition.classes for name in list_class_folders(folder))


def _refuse_missing(classes: Iterable[str], there: Container[str], path: Path, edition: Edition) -> None:
    """Say which classes are missing."""
    missing = [name for name in classes if name not in there]
    if missing:
        raise UserError(f"{path}: classes of {edition.title} are missing: {some(missing)}")


def _text(name: str | bytes) -> str:
    return name.decode("utf-8") if isinstance(name, bytes) else name

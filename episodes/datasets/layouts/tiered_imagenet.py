"""The forms in which people have tiered-ImageNet: pickles of PNG files, npz files, or folders; read piece by piece."""

import pickletools
import shutil
import struct
import tempfile
import zipfile
import zlib
from abc import abstractmethod
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from episodes.datasets.layouts.base import Layout, Opened
from episodes.datasets.layouts.class_lists import class_list
from episodes.datasets.layouts.imagenet import SIDE, SplitFolders, entry, mapping
from episodes.datasets.store.restricted_pickle import load_pickle
from episodes.datasets.store.source import SPLITS
from episodes.errors import UserError
from episodes.images.reading import list_class_folders, read_image

PNG = b"\x89PNG\r\n\x1a\n"

# Opcodes of a pickle that have a string of bytes after them, and the bytes that its length takes. BINSTRING is that of
# Python 2.
_LENGTHS = {"SHORT_BINBYTES": 1, "BINBYTES": 4, "BINBYTES8": 8, "BYTEARRAY8": 8, "SHORT_BINSTRING": 1, "BINSTRING": 4}


def find_layout(root: Path, swap: bool, scratch: Callable[[], Path]) -> Layout[str] | None:
    """The form that tiered-ImageNet has in a folder; None if there is none that is known.

    Args:
        root: the folder.
        swap: whether npz files have blue first.
        scratch: gives a folder for unpacking compressed npz files; asked only if one is needed.
    """
    # Where both are, the npz file was made from the other one.
    if any((root / f"{split}_images_png.pkl").is_file() for split in SPLITS):
        return PngPickles(root)
    if any((root / f"{split}_images.npz").is_file() for split in SPLITS):
        return NpzFiles(root, swap, scratch)
    if all((root / split).is_dir() and list_class_folders(root / split) for split in SPLITS):
        return SplitFolders(root)
    return None


class _Labelled(Layout[str]):
    """Images in one file, labels in another."""

    images: str  # "{split}..." name of the file with images

    def __init__(self, root: Path) -> None:
        self.root = root

    def files(self, split: str) -> list[Path]:
        """Images, labels, and the names of the classes if they are there."""
        needed = [self.root / self.images.format(split=split), self.root / f"{split}_labels.pkl"]
        for path in needed:
            if not path.is_file():
                raise UserError(f"{self.root} has no {path.name}; all splits are needed, images and labels")
        return [*needed, *(path for path in self._name_files() if path.is_file())]

    def open(self, split: str) -> Opened:
        """The labels are read at once, the images class by class."""
        images, path, *_ = self.files(split)
        labels, names = self._labels(split, path)
        where = {name: np.flatnonzero(labels == label) for label, name in names.items()}
        read = self._reader(images, len(labels))
        return Opened({name: len(rows) for name, rows in where.items()}, lambda name: read(where[name]))

    @abstractmethod
    def _reader(self, path: Path, count: int) -> Any:
        """What reads images: numbers [m] -> uint8 [m, 3, 84, 84]."""

    def _name_files(self) -> list[Path]:
        return [self.root / "synsets.txt", self.root / "class_names.txt"]

    def _labels(self, split: str, path: Path) -> tuple[NDArray[np.int64], dict[int, str]]:
        """The label of every image, and the name of every label."""
        content = mapping(load_pickle(path), path)
        key = "label_specific" if "label_specific" in content else "labels"
        labels = np.asarray(entry(content, key, path))
        if labels.ndim != 1 or labels.dtype.kind not in "iu":
            raise UserError(f"{path}: {key} is {labels.dtype} {list(labels.shape)}; expected are whole numbers [n]")
        strings = [str(name) for name in content.get("label_specific_str", ())]
        found = np.unique(labels).tolist()
        if strings and (found[0] < 0 or found[-1] >= len(strings)):
            raise UserError(
                f"{path}: labels reach from {found[0]} to {found[-1]}, but {len(strings)} classes have names"
            )
        if not strings:
            return labels, {label: f"class {number:03d}" for number, label in enumerate(found)}
        official = self._official(split, strings)
        return labels, {label: official.get(strings[label], strings[label]) for label in found}

    def _official(self, split: str, strings: list[str]) -> Mapping[str, str]:
        """WordNet numbers of the names, if the files that tell are there and leave no doubt."""
        if not all(path.is_file() for path in self._name_files()) or len(set(strings)) != len(strings):
            return {}
        synsets, names = (path.read_text(encoding="utf-8").splitlines() for path in self._name_files())
        numbers: dict[str, list[str]] = {name: [] for name in strings}
        for synset, name in zip(synsets, names, strict=False):
            # Two classes of ILSVRC-2012 may share a name; in one split they should not.
            if synset.strip() in class_list("tiered_imagenet")[split]:
                numbers.setdefault(name.strip(), []).append(synset.strip())
        sure = all(len(numbers[name]) == 1 for name in strings)
        return {name: numbers[name][0] for name in strings} if sure else {}


class PngPickles(_Labelled):
    """``*_images_png.pkl`` of Ren et al.: one list of PNG files, 8 GB for training.

    The pickle is not unpickled. It is searched once for where its strings of bytes are, and these are read from there.
    """

    images = "{split}_images_png.pkl"

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        self.description = f"pickles of PNG files in {root}"

    def _reader(self, path: Path, count: int) -> Any:
        places = png_places(path)
        if len(places) != count:
            raise UserError(f"{path} has {len(places)} images, its labels are {count}")

        def read(rows: NDArray[np.int64]) -> NDArray[np.uint8]:
            with open(path, "rb") as file:
                return np.stack([_image(file, places[row], f"image {row} of {path}") for row in rows.tolist()])

        return read


def _image(file: IO[bytes], place: tuple[int, int], name: str) -> NDArray[np.uint8]:
    begin, length = place
    file.seek(begin)
    return read_image(file.read(length), SIDE, "RGB", "stretch", name)


def png_places(path: Path) -> list[tuple[int, int]]:
    """Begin and length in bytes of every PNG file in a pickle, in the order of the pickle.

    Raises:
        UserError: if the file is cut off, or no pickle.
    """
    places = []
    try:
        with open(path, "rb") as file:
            for code, argument, position in pickletools.genops(file):
                size = _LENGTHS.get(code.name)
                if size is not None and position is not None and _is_png(argument):
                    places.append((position + 1 + size, len(argument or b"")))
    except (ValueError, struct.error, IndexError) as error:
        raise UserError(f"{path} is cut off or not a pickle ({error}); download or copy it again") from None
    return places


def _is_png(data: Any) -> bool:
    return bool(data[: len(PNG)] == (PNG.decode("latin1") if isinstance(data, str) else PNG))


class NpzFiles(_Labelled):
    """``*_images.npz`` with ``images`` uint8 [n, 84, 84, 3], 9.5 GB for training, mapped and not read."""

    images = "{split}_images.npz"

    def __init__(self, root: Path, swap: bool, scratch: Callable[[], Path]) -> None:
        super().__init__(root)
        self.swap, self.scratch = swap, scratch
        self.description = f"npz files in {root}, colours {'blue, green, red' if swap else 'red, green, blue'}"

    def _reader(self, path: Path, count: int) -> Any:
        try:
            images = map_npz(path, "images", self.scratch)
        except (zipfile.BadZipFile, zlib.error, EOFError, KeyError, ValueError, OSError) as error:
            raise UserError(f"{path} is cut off or damaged ({error}); download or copy it again") from None
        if images.dtype != np.uint8 or images.shape != (count, SIDE, SIDE, 3):
            raise UserError(
                f"{path}: the images are {images.dtype} {list(images.shape)}; "
                f"expected are uint8 {[count, SIDE, SIDE, 3]}"
            )
        step = -1 if self.swap else 1
        return lambda rows: np.ascontiguousarray(images[rows][..., ::step].transpose(0, 3, 1, 2))


def map_npz(path: Path, name: str, scratch: Callable[[], Path]) -> NDArray[Any]:
    """Map one array of an npz file; if it is compressed, it is unpacked first, into a file that has no name.

    Raises:
        OSError, ValueError, KeyError, zipfile.BadZipFile: if it is not whole, or there is no such array.
    """
    with zipfile.ZipFile(path) as archive:
        info = archive.getinfo(f"{name}.npy")
        if info.compress_type != zipfile.ZIP_STORED:
            folder = scratch()
            folder.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryFile(dir=folder) as unpacked, archive.open(info) as packed:
                shutil.copyfileobj(packed, unpacked, 1 << 20)
                return _map_npy(unpacked, 0)
    with open(path, "rb") as file:
        file.seek(info.header_offset + 26)
        name_length, extra_length = struct.unpack("<HH", file.read(4))
        return _map_npy(file, info.header_offset + 30 + name_length + extra_length)


def _map_npy(file: IO[bytes], begin: int) -> NDArray[Any]:
    """Map an array in the npy format that begins somewhere in a file."""
    file.seek(begin)
    version = np.lib.format.read_magic(file)
    header = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
    shape, fortran, dtype = header(file)
    if fortran or dtype.hasobject:
        raise ValueError(f"an array of {dtype}{' in Fortran order' if fortran else ''}")
    return np.memmap(file, dtype=dtype, mode="r", offset=file.tell(), shape=shape)

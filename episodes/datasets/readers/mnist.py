"""MNIST: handwritten digits of 28 x 28, as the original idx files or as an npz file."""

import gzip
import math
import zipfile
import zlib
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar, NamedTuple

import numpy as np
from numpy.typing import NDArray

from episodes.datasets.readers.held_out import TrainTestSource
from episodes.datasets.store.source import SplitContents, files_key
from episodes.errors import UserError, first_line

SIDE = 28
CLASSES = tuple("0123456789")

_STEMS = {"train": "train", "test": "t10k"}
_PLACES = (".", "MNIST/raw", "raw")
_NPZ = "mnist.npz"
_BROKEN = (OSError, EOFError, ValueError, KeyError, zlib.error, zipfile.BadZipFile, NotImplementedError)
_UNSIGNED_BYTES = 8  # how the head of an idx file calls its type


class _Arrays(NamedTuple):
    """One part as it is in the files: images [n, 28, 28] uint8, labels [n] of integers."""

    images: NDArray[Any]
    labels: NDArray[Any]


class _Found(NamedTuple):
    """The form in words, and the files of each part."""

    description: str
    files: Mapping[str, tuple[Path, ...]]


class MNIST(TrainTestSource):
    """MNIST: 60,000 handwritten digits to train on and 10,000 to test on, 1 x 28 x 28, ink 255 on 0.

    LeCun, Bottou, Bengio, Haffner, Gradient-based learning applied to document recognition, 1998. The images of a class
    keep the order of the files.

    Args:
        root: folder with the idx files (``train-images-idx3-ubyte`` and so on, packed with gzip or not; also
            torchvision's ``MNIST/raw/``) or with ``mnist.npz``; or an npz file, with the arrays images, labels and
            is_test, or x_train, y_train, x_test and y_test.
        val_per_class: images a class, the last ones of train, that are held out for validation; with 0 there is no
            split val.
        cache_dir: folder for the decoded images; by default the user's cache folder, or what the environment variable
            FEWSHOT_SLA_CACHE says.
    """

    name = "mnist"
    how_to_get: ClassVar[str] = (
        "Give the folder that holds train-images-idx3-ubyte.gz, train-labels-idx1-ubyte.gz, t10k-images-idx3-ubyte.gz "
        "and t10k-labels-idx1-ubyte.gz (torchvision.datasets.MNIST fetches them), or a file mnist.npz"
    )

    @cached_property
    def _found(self) -> _Found:
        for path in (self.root, self.root / _NPZ):
            if path.is_file():
                return _Found(f"the npz file {path}", dict.fromkeys(_STEMS, (path,)))
        for place in _PLACES:
            folder = self.root / place
            files = {part: _idx_files(folder, stem) for part, stem in _STEMS.items()}
            if all(len(pair) == 2 for pair in files.values()):
                return _Found(f"the idx files in {folder}", files)
        raise self.missing(
            "train-images-idx3-ubyte with its labels and those of t10k (or all four as .gz), or mnist.npz"
        )

    def layout(self) -> str:
        """Which form was found.

        Raises:
            UserError: if none was.
        """
        return self._found.description

    def part_key(self, part: str) -> str:
        """Names, sizes and times of the files.

        Raises:
            UserError: if there are none.
        """
        return files_key(self.root, self._found.files[part])

    def part(self, part: str) -> SplitContents:
        """The ten digits.

        Raises:
            UserError: if a file is broken or holds something else.
        """
        files = self._found.files[part]
        arrays = _read_npz(files[0], part) if len(files) == 1 else _Arrays(*map(read_idx, files))
        images, labels = _checked(arrays, files[0])
        notes: list[str] = []
        return SplitContents(
            CLASSES, (1, SIDE, SIDE), len(labels), lambda number: images[labels == number][:, None], notes
        )


def _idx_files(folder: Path, stem: str) -> tuple[Path, ...]:
    """Images and labels of one part, those that are there."""
    found = []
    for kind in ("images-idx3", "labels-idx1"):
        spelled = [f"{stem}-{name}-ubyte{end}" for end in ("", ".gz") for name in (kind, kind.replace("-", ".", 1))]
        found += [folder / name for name in spelled if (folder / name).is_file()][:1]
    return tuple(found)


def read_idx(path: Path) -> NDArray[np.uint8]:
    """An array of unsigned bytes: the type and the number of axes, the length of each (big-endian), then the bytes.

    Args:
        path: the file, packed with gzip if it ends in ``.gz``.

    Raises:
        UserError: if it is cut off or no such file.
    """
    try:
        with gzip.open(path) if path.suffix == ".gz" else open(path, "rb") as file:
            content = file.read()
    except (OSError, EOFError, zlib.error) as error:
        raise _damaged(path, first_line(error)) from None
    if len(content) < 4 or content[:3] != bytes([0, 0, _UNSIGNED_BYTES]):
        raise _damaged(path, "it does not begin as an idx file of bytes")
    start = 4 + 4 * content[3]
    shape = np.frombuffer(content[4:start].ljust(4 * content[3], b"\0"), ">u4").tolist()
    if len(content) != start + math.prod(shape):
        raise _damaged(path, f"{start + math.prod(shape)} bytes announced, {len(content)} there")
    return np.frombuffer(content, np.uint8, offset=start).reshape(shape)


def _read_npz(path: Path, part: str) -> _Arrays:
    """One part out of either kind of npz file."""
    try:
        with open(path, "rb") as file, np.load(file, allow_pickle=False) as arrays:
            if f"x_{part}" in arrays:
                return _Arrays(arrays[f"x_{part}"], arrays[f"y_{part}"])
            chosen = arrays["is_test"].astype(bool) == (part == "test")
            return _Arrays(arrays["images"][chosen], arrays["labels"][chosen])
    except (*_BROKEN, AttributeError, TypeError, IndexError) as error:
        raise _damaged(path, f"no images, labels and is_test in it that fit together: {first_line(error)}") from None


def _checked(arrays: _Arrays, path: Path) -> _Arrays:
    """Images [n, 28, 28] and labels [n] in 0..9, or an error."""
    images, labels = arrays
    if images.ndim == 4 and images.shape[-1] == 1:
        images = images[..., 0]
    fits = images.shape == (len(images), SIDE, SIDE) and labels.shape == images.shape[:1]
    if not fits or images.dtype != np.uint8 or labels.dtype.kind not in "iu":
        raise UserError(
            f"{path}: images are {images.dtype} {list(images.shape)} and labels {labels.dtype} {list(labels.shape)}, "
            f"not uint8 [n, {SIDE}, {SIDE}] and integers [n]"
        )
    if len(labels) and not 0 <= labels.min() <= labels.max() < len(CLASSES):
        raise UserError(f"{path}: labels reach from {labels.min()} to {labels.max()}, not 0 to 9")
    return _Arrays(images, labels)


def _damaged(path: Path, why: str) -> UserError:
    return UserError(f"{path} is cut off or damaged ({why}); get it again")

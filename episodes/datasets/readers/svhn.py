"""SVHN: house numbers seen from the street, cut to one digit of 32 x 32, as the original MATLAB files."""

import struct
import zlib
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from episodes.datasets.readers.held_out import TrainTestSource
from episodes.datasets.store.source import SplitContents, files_key
from episodes.errors import UserError, first_line

SIDE = 32
CLASSES = tuple("0123456789")
IMAGES = {"train": 73_257, "test": 26_032}

_ZERO = 10  # what the files call the digit 0
# What scipy raises for a file that is cut off, or no MATLAB file at all.
_BROKEN = (
    OSError,
    EOFError,
    ValueError,
    TypeError,
    KeyError,
    NotImplementedError,
    MemoryError,
    zlib.error,
    struct.error,
)


class SVHN(TrainTestSource):
    """SVHN: 73,257 digits of house numbers to train on and 26,032 to test on, 3 x 32 x 32.

    Netzer et al., Reading digits in natural images with unsupervised feature learning, NeurIPS workshop on deep
    learning 2011; the cropped digits ("format 2"), without the part "extra". The images of a class keep the order of
    the files, which call the digit 0 by the number 10.

    Args:
        root: folder with ``train_32x32.mat`` and ``test_32x32.mat`` (one is enough for its part), or one of
            these files.
        val_per_class: images a class, the last ones of train, that are held out for validation; with 0 there is no
            split val.
        cache_dir: folder for the decoded images; by default the user's cache folder, or what the environment variable
            FEWSHOT_SLA_CACHE says.
    """

    name = "svhn"
    how_to_get: ClassVar[str] = (
        "Give the folder that holds test_32x32.mat, and train_32x32.mat to train on (format 2 of "
        "http://ufldl.stanford.edu/housenumbers/)"
    )

    @cached_property
    def _files(self) -> dict[str, Path]:
        names = {part: f"{part}_32x32.mat" for part in IMAGES}
        if self.root.is_file():
            return {part: self.root for part, name in names.items() if self.root.name == name} or {"test": self.root}
        found = {part: self.root / name for part, name in names.items() if (self.root / name).is_file()}
        if not found:
            raise self.missing("test_32x32.mat or train_32x32.mat")
        return found

    def layout(self) -> str:
        """Which files were found.

        Raises:
            UserError: if none was.
        """
        return f"the MATLAB files {', '.join(str(path) for path in self._files.values())}"

    def available_splits(self) -> tuple[str, ...]:
        """Those whose file is there.

        Raises:
            UserError: if none is.
        """
        there = {"test": "test" in self._files, "train": "train" in self._files}
        there["val"] = there["train"] and self.val_per_class > 0
        return tuple(split for split in super().available_splits() if there[split])

    def part_key(self, part: str) -> str:
        """Name, size and time of the file.

        Raises:
            UserError: if it is not there.
        """
        if part not in self._files:
            raise self.missing(f"{part}_32x32.mat")
        return files_key(self.root, [self._files[part]])

    def part(self, part: str) -> SplitContents:
        """The ten digits.

        Raises:
            UserError: if the file is broken or holds something else.
        """
        images, labels = read_mat(self._files[part])
        notes: list[str] = []
        shape = (3, SIDE, SIDE)
        return SplitContents(CLASSES, shape, len(labels), lambda number: images[labels == number], notes)


def read_mat(path: Path) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:  # [n, 3, 32, 32], [n] 0..9
    """The images X [32, 32, 3, n] and the labels y [n, 1], 1..10, of a file.

    Raises:
        UserError: if it is cut off, or holds something else.
    """
    from scipy.io import loadmat
    from scipy.io.matlab import MatReadError

    try:
        content: dict[str, Any] = loadmat(path, variable_names=["X", "y"])
        images, labels = content["X"], content["y"].ravel()
    except (*_BROKEN, MatReadError) as error:
        why = "no X and y in it" if isinstance(error, KeyError) else first_line(error)
        raise UserError(f"{path} is cut off or damaged ({why}); get it again") from None
    if images.dtype != np.uint8 or images.shape != (SIDE, SIDE, 3, len(labels)) or labels.dtype.kind not in "iu":
        raise UserError(
            f"{path}: X is {images.dtype} {list(images.shape)} and y {labels.dtype} {list(labels.shape)}, "
            f"not uint8 [{SIDE}, {SIDE}, 3, n] and integers [n]"
        )
    digits = labels.astype(np.int64) % _ZERO
    if len(labels) and not (labels.min() >= 0 and labels.max() <= _ZERO):
        raise UserError(f"{path}: y reaches from {labels.min()} to {labels.max()}, not 1 to {_ZERO}")
    return images.transpose(3, 2, 0, 1), digits

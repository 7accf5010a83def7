"""The embedded data set for classification: scikit-learn's handwritten digits. No download."""

from functools import cache

import numpy as np
import torch
from numpy.typing import NDArray

from episodes.datasets.base import DataSource
from episodes.datasets.readers.held_out import class_indices, random_order
from episodes.datasets.store.source import SPLITS
from episodes.errors import UserError
from episodes.images.labelled import LabelledImages

SIDE = 8  # of the images as they are
DARKEST = 16  # their largest value
VAL_PER_CLASS = 20
_USE = 0xD1617  # keeps the division apart from everything else that is drawn by the same seed


class Digits(DataSource):
    """Handwritten digits, ten classes "0" to "9" in every split, ink 255 on 0: the set that ships with scikit-learn.

    1,797 images, 174 to 183 a class: the test part of Alpaydin and Kaynak, Optical recognition of handwritten digits,
    UCI machine learning repository, 1998. They are 8 by 8 pixels with values 0 to 16, and become
    ``round(255 v / 16)``; every pixel becomes a square of equal ones (nearest neighbour), which adds no value that was
    not there and commutes with rotations by 90 degrees.

    Of every class, ``train_per_class`` images are for training, 20 for validation and the rest for the test, at random
    by the seed. For one seed the validation images are always the same, and fewer training images are among more.

    >>> Digits(train_per_class=10).train_per_class
    10

    Args:
        train_per_class: training images a class; the rest beyond 20 is for the test.
        image_size: side of the images in pixels, a multiple of 8.
        seed: of the division.

    Raises:
        UserError: if the size is no multiple of 8, or there are no training images.
    """

    name = "digits"

    def __init__(self, train_per_class: int = 20, image_size: int = 16, seed: int = 0) -> None:
        if image_size < SIDE or image_size % SIDE:
            raise UserError(f"digits: image_size must be a multiple of {SIDE}, not {image_size}")
        if train_per_class < 1:
            raise UserError(f"digits: train_per_class must be 1 or more, not {train_per_class}")
        self.train_per_class = train_per_class
        self.image_size = image_size
        self.seed = seed

    def open(
        self,
        split: str,  # "train", "val" or "test"
    ) -> LabelledImages:
        """The images of one split, uint8 [n, 1, image_size, image_size], sorted by class.

        Raises:
            UserError: if there is no such split, or a class has no image left for the test.
        """
        if split not in SPLITS:
            raise UserError(f"digits: there is no split {split!r}; the splits are {', '.join(SPLITS)}")
        everything, labels = _read()
        index = np.concatenate(divide(labels, self.train_per_class, self.seed)[split])
        pixels = enlarged(everything[index], self.image_size // SIDE)
        return LabelledImages(
            images=torch.from_numpy(pixels).unsqueeze(1),
            labels=torch.from_numpy(labels[index]),
            class_names=tuple(str(digit) for digit in range(10)),
            name=f"{self.name}/{split}",
        )


@cache
def _read() -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """All images [1797, 8, 8] and labels; from text, which takes long enough to do it once."""
    from sklearn.datasets import load_digits

    everything = load_digits()
    return everything.images, everything.target.astype(np.int64)


def divide(
    labels: NDArray[np.int64],  # [n]
    train_per_class: int,
    seed: int,
) -> dict[str, list[NDArray[np.int64]]]:  # split -> a class: numbers of its images, ascending
    """The images of each class for training, validation and test.

    Raises:
        UserError: if a class has no image left for the test.
    """
    splits: dict[str, list[NDArray[np.int64]]] = {split: [] for split in SPLITS}
    for number, index in enumerate(class_indices(labels, int(labels.max()) + 1)):
        if len(index) <= train_per_class + VAL_PER_CLASS:
            most = len(index) - VAL_PER_CLASS - 1
            raise UserError(
                f"digits: class {str(number)!r} has {len(index)} images, {VAL_PER_CLASS} of them for validation and at "
                f"least one for the test; train_per_class must be {most} or less, not {train_per_class}"
            )
        ordered = index[random_order(len(index), seed, _USE, number)]
        cuts = [VAL_PER_CLASS, VAL_PER_CLASS + train_per_class]
        for split, part in zip(("val", "train", "test"), np.split(ordered, cuts), strict=True):
            splits[split].append(np.sort(part))
    return splits


def enlarged(
    images: NDArray[np.float64],  # [n, 8, 8], 0..16
    times: int,
) -> NDArray[np.uint8]:  # [n, 8 * times, 8 * times], 0..255
    """Pixels as bytes, each of them ``times`` by ``times`` times."""
    pixels = np.rint(images * (255 / DARKEST)).astype(np.uint8)
    return pixels.repeat(times, axis=1).repeat(times, axis=2)

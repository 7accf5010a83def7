"""Data sets for classification that come in two parts, train and test: what of train is held out to validate on."""

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import replace
from typing import ClassVar

import numpy as np
import torch
from numpy.typing import NDArray

from episodes.datasets.store.source import SPLITS, SplitContents, StoredSource
from episodes.errors import UserError
from episodes.images.files import ImageFiles
from episodes.randomness import derive_seed, random_units


class TrainTestSource(StoredSource):
    """A published data set of two parts, train and test, with the same classes in both.

    The last ``val_per_class`` images of every class of train, in the order of the files, are the split val; train is
    the rest. The images of a class keep the order of the files, so that what others call the first n of a class, or
    choose by number, is the same here.

    Args:
        root: folder (or file) with the data set.
        val_per_class: images a class that are held out of train; with 0 there is no split val.
        cache_dir: folder for the decoded images; by default the user's cache folder, or what the environment variable
            FEWSHOT_SLA_CACHE says.

    Raises:
        UserError: if ``val_per_class`` is negative.
    """

    keeps_order: ClassVar[bool] = True
    shares_classes: ClassVar[bool] = True

    def __init__(self, root: str, val_per_class: int = 0, cache_dir: str | None = None) -> None:
        super().__init__(root, cache_dir)
        if val_per_class < 0:
            raise UserError(f"{self.name}: val_per_class must be 0 or more, not {val_per_class}")
        self.val_per_class = val_per_class

    @abstractmethod
    def part_key(self, part: str) -> str:
        """As :meth:`StoredSource.source_key`, of "train" or "test" as published.

        Raises:
            UserError: if the files are not there, or not in a layout that is known.
        """

    @abstractmethod
    def part(self, part: str) -> SplitContents:
        """As :meth:`StoredSource.contents`, of "train" or "test" as published; images in the order of the files.

        Raises:
            UserError: if the files cannot be read or do not fit the class list.
        """

    def available_splits(self) -> tuple[str, ...]:
        """Train and test; val if images are held out for it.

        Raises:
            UserError: if nothing is found under the root.
        """
        self.layout()
        return SPLITS if self.val_per_class else ("train", "test")

    def source_key(self, split: str) -> str:
        """The files of the part, and how many images are held out of it.

        Raises:
            UserError: if the files are not there; or if val is asked for and nothing is held out.
        """
        if split == "test":
            return self.part_key("test")
        if split == "val" and not self.val_per_class:
            raise no_val(self.name, "val_per_class (50, say)")
        return f"{self.part_key('train')} {self.val_per_class}"

    def contents(self, split: str) -> SplitContents:
        """The part, or what is on this side of the line through train.

        Raises:
            UserError: as :meth:`part`; while reading, if a class has no more images than are to be held out.
        """
        if split == "test":
            return self.part("test")
        train, held = self.part("train"), self.val_per_class

        def read(number: int) -> NDArray[np.uint8]:
            images = train.read_class(number)
            if held and len(images) <= held:
                raise UserError(
                    f"{self.name}: class {train.class_names[number]!r} has {len(images)} images in train; "
                    f"val_per_class must be less, not {held}"
                )
            first = len(images) - held
            return images[first:] if split == "val" else images[:first]

        in_val = held * len(train.class_names)
        most = in_val if split == "val" else train.images_at_most - in_val
        return replace(train, read_class=read, images_at_most=max(most, 0))


def files_held_out(
    images: ImageFiles,  # of train, class by class
    per_class: int,  # images of each class that are held out; 0 for none
    split: str,  # "train" or "val"
) -> ImageFiles:
    """The image files on one side of the line through train: the last ones of every class are val, the others train.

    Raises:
        UserError: if a class has no more images than are to be held out.
    """
    if not per_class:
        return images
    counts = images.class_counts.numpy()
    few = np.flatnonzero(counts <= per_class)
    if len(few):
        smallest = few[counts[few].argmin()]
        raise UserError(
            f"{images.name}: class {images.class_names[smallest]!r} has {counts[smallest]} images in train; "
            f"val_per_class must be less, not {per_class}"
        )
    behind = counts.cumsum()[images.labels.numpy()] - 1 - np.arange(len(images))  # images of the class that come later
    chosen = np.flatnonzero((behind < per_class) == (split == "val"))
    paths = tuple(images.paths[number] for number in chosen.tolist())
    return replace(images, paths=paths, labels=images.labels[torch.from_numpy(chosen)])


def no_val(name: str, argument: str) -> UserError:
    """The error for a validation split of which nothing was held out.

    Args:
        name: of the data set.
        argument: what to give, so that there is one.
    """
    return UserError(f"{name}: there is no split val; hold images out of train with {argument}")


def random_order(
    count: int,
    seed: int,
    use: int,  # a number that no other use of the same seed has
    stream: int,  # here the number of a class
) -> NDArray[np.int64]:  # [count], a permutation
    """Numbers 0..count-1 in a random order that depends on the arguments alone.

    >>> random_order(4, seed=0, use=1, stream=2).tolist() == random_order(4, seed=0, use=1, stream=2).tolist()
    True
    """
    units = random_units(derive_seed(seed, use), np.asarray([stream], np.int64), count)[:, 0]
    return units.argsort(kind="stable")


def class_indices(
    labels: NDArray[np.int64],  # [n]
    classes: int,
) -> Sequence[NDArray[np.int64]]:  # a class: numbers of its images, ascending
    """Where the images of each class are."""
    return [np.flatnonzero(labels == number) for number in range(classes)]

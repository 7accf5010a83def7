"""The contract of a layout: one form in which people have a data set, whose images are read class by class."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, TypeVar

import numpy as np
from numpy.typing import NDArray

from episodes.errors import UserError
from episodes.images.reading import BrokenImageError

Chosen = TypeVar("Chosen", contravariant=True)

ReadClass = Callable[[str], NDArray[np.uint8]]  # name of a class -> its images [n, C, H, W]


@dataclass(frozen=True)
class Opened:
    """Images that are ready to be read.

    Attributes:
        counts: images a class, by name of the class.
        read: name of a class -> its images, uint8 [n, C, H, W]. Raises UserError for files that cannot be read.
        notes: what is remarkable about the files, a line each.
    """

    counts: Mapping[str, int]
    read: ReadClass
    notes: tuple[str, ...] = ()

    @property
    def count(self) -> int:
        """Images of all classes."""
        return sum(self.counts.values())


class Layout(ABC, Generic[Chosen]):
    """A data set in one form.

    ``Chosen`` says which of its images: the name of a split, where the form is divided into splits; the names of
    classes, where it is not.

    Attributes:
        description: the form in words.
    """

    description: str

    @abstractmethod
    def files(self, chosen: Chosen) -> list[Path]:
        """The files that these images are in.

        Raises:
            UserError: if it can be seen that something is missing.
        """

    @abstractmethod
    def open(self, chosen: Chosen) -> Opened:
        """These images.

        Raises:
            UserError: if files are missing or broken, or do not hold what they should.
        """


def refuse_broken(broken: Sequence[BrokenImageError]) -> None:
    """Raise UserError if images of a published data set cannot be read: it is not complete without them."""
    if broken:
        raise UserError(f"{broken[0]}" + (f" (and {len(broken) - 1} more)" if len(broken) > 1 else ""))

"""The contract of a data set: a name, and one LabelledImages a split, loaded when asked for."""

from abc import ABC, abstractmethod
from dataclasses import replace
from typing import TYPE_CHECKING

from episodes.errors import UserError
from episodes.images.labelled import LabelledImages
from episodes.transformations import Transformations

if TYPE_CHECKING:
    from episodes.images.files import ImageFiles


class DataSource(ABC):
    """Where images come from. Building one costs nothing; the work is done in :meth:`load`, one split at a time.

    Splits hold different classes, so that whatever is trained on one of them can be tested on classes it never saw.
    A data set of one's own gives ``name`` and :meth:`load`.

    Attributes:
        name: what the data set is called in messages and results.
        classes_under: names of transformations that make another class of this data set out of an image of it; label
            augmentation by them would give equal images two labels (see :func:`check_transformations`).
    """

    name: str
    classes_under: tuple[str, ...] = ()

    @abstractmethod
    def load(
        self,
        split: str,  # "train", "val" or "test"
    ) -> LabelledImages:
        """The images of one split, uint8 [n, C, H, W], in an order that never changes.

        Raises:
            UserError: if the split or its files are not there, with what to do about it.
        """

    def open(
        self,
        split: str,  # "train", "val" or "test"
    ) -> "LabelledImages | ImageFiles":
        """The images of one split for training by batches: in memory, or in files that are read meanwhile.

        Raises:
            UserError: as :func:`load_split` does.
        """
        return load_split(self, split)


def load_split(source: DataSource, split: str) -> LabelledImages:
    """The images of a split, called ``NAME/SPLIT`` whatever the source calls them: results go by that name.

    Raises:
        UserError: as the source does; and if what it gives is not LabelledImages.
    """
    images = source.load(split)
    if not isinstance(images, LabelledImages):
        raise UserError(f"{type(source).__name__}.load must give LabelledImages, not {type(images).__name__}")
    name = f"{source.name}/{split}"
    if images.name == name:
        return images
    return replace(images, name=name, known_fingerprint=images.fingerprint)


def check_transformations(source: DataSource, transformations: Transformations) -> None:
    """See to it that no transformation of an image is an image of another class.

    If "a, turned by 90 degrees" is a class of its own, a view of "a" made by that rotation and the image of the other
    class are equal, and the joint labels of the two differ: there is nothing to be learnt from that.

    Raises:
        UserError: if one of the transformations, alone or as a part of a composition, makes another class.
    """
    for name in transformations.names:
        for part in name.split("+"):
            if part in source.classes_under:
                raise UserError(
                    f"{source.name}: an image changed by {part} is an image of another class of this data set, so "
                    f"label augmentation by {name} would give equal images two labels; turn off the option that makes "
                    "these classes, or choose transformations without it"
                )

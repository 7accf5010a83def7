"""The contract of a data set: a name, and the images of each split, opened when asked for."""

from abc import ABC, abstractmethod

from episodes.errors import UserError
from episodes.images.base import Images
from episodes.images.labelled import LabelledImages
from episodes.transformations import Transformations


class DataSource(ABC):
    """Where images come from. Building one costs nothing; the work is done in :meth:`open`, one split at a time.

    For few-shot learning the splits hold different classes, so that whatever is trained on one of them can be tested on
    classes that it never saw; for classification they hold the same classes and share no image. Training refuses what
    does not fit it. A data set of one's own gives ``name`` and :meth:`open`.

    Attributes:
        name: what the data set is called in messages and results.
        classes_under: names of transformations that make another class of this data set out of an image of it; label
            augmentation by them would give equal images two labels (see :func:`check_transformations`).
    """

    name: str
    classes_under: tuple[str, ...] = ()

    @abstractmethod
    def open(
        self,
        split: str,  # "train", "val" or "test"
    ) -> Images:
        """The images of one split in an order that never changes: LabelledImages, or ImageFiles that are read later.

        Raises:
            UserError: if the split or its files are not there, with what to do about it.
        """


def open_split(source: DataSource, split: str) -> Images:
    """The images of a split, called ``NAME/SPLIT`` whatever the source calls them: results go by that name.

    Raises:
        UserError: as the source does; and if what it gives is no Images.
    """
    images = source.open(split)
    if not isinstance(images, Images):
        raise UserError(
            f"{type(source).__name__}.open must give LabelledImages or ImageFiles, not {type(images).__name__}"
        )
    return images.named(f"{source.name}/{split}")


def load_split(source: DataSource, split: str) -> LabelledImages:
    """The images of a split where all of them must be in memory: for episodes, and to take some of them out.

    Raises:
        UserError: as :func:`open_split` does; and if they stay in their files.
    """
    images = open_split(source, split)
    if not isinstance(images, LabelledImages):
        raise UserError(
            f"{source.name}: the images of {type(source).__name__} are read while they are trained on and are never "
            "all in memory; where that is needed, use ClassificationFolders, or EpisodeFolders for episodes"
        )
    return images


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

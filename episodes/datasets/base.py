"""The contract of a data set: a name, and one LabelledImages a split, loaded when asked for."""

from abc import ABC, abstractmethod
from dataclasses import replace

from episodes.errors import UserError
from episodes.images import LabelledImages


class DataSource(ABC):
    """Where images come from. Building one costs nothing; the work is done in :meth:`load`, one split at a time.

    Splits hold different classes, so that whatever is trained on one of them can be tested on classes it never saw.
    A data set of one's own gives ``name`` and :meth:`load`.
    """

    name: str

    @abstractmethod
    def load(
        self,
        split: str,  # "train", "val" or "test"
    ) -> LabelledImages:
        """The images of one split, uint8 [n, C, H, W], in an order that never changes.

        Raises:
            UserError: if the split or its files are not there, with what to do about it.
        """


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

"""The contract of a data set: a name, and one LabelledImages a split, loaded when asked for."""

from abc import ABC, abstractmethod

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

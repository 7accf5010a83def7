"""Data sets that are another one with fewer images to train on."""

from abc import abstractmethod
from dataclasses import replace

from torch import Tensor

from episodes.datasets.base import DataSource, load_split
from episodes.images.labelled import LabelledImages


class TrainSubset(DataSource):
    """Another source with part of its train split; val and test are as they were.

    Args:
        source: where the images come from.
        suffix: what the name of the source is continued with.
    """

    def __init__(self, source: DataSource, suffix: str) -> None:
        self.source = source
        self.classes_under = source.classes_under
        self.name = f"{source.name}-{suffix}"

    def open(
        self,
        split: str,  # "train", "val" or "test"
    ) -> LabelledImages:
        """The images of one split; those of train that were chosen.

        Raises:
            UserError: as the source does; or as :meth:`chosen` does.
        """
        images, name = load_split(self.source, split), f"{self.name}/{split}"
        return subset(images, self.chosen(images), name) if split == "train" else images.named(name)

    @abstractmethod
    def chosen(self, images: LabelledImages) -> Tensor:  # [k] int64, 0..n-1
        """Numbers of the training images that remain, in the order that they will have."""


def subset(
    images: LabelledImages,
    index: Tensor,  # [k] int64, 0..n-1
    name: str,
) -> LabelledImages:
    """The images of these numbers, in this order, in memory of their own; all class names are kept."""
    return replace(
        images,
        images=images.images.index_select(0, index.to(images.images.device)),
        labels=images.labels.index_select(0, index),
        name=name,
        known_fingerprint="",
    )

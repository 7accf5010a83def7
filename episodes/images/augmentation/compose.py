"""Several augmentations, one after the other."""

from collections.abc import Sequence
from copy import copy
from typing import TYPE_CHECKING, Self

from torch import Tensor

from episodes.images.augmentation.base import Augmentation
from episodes.targets import Targets

if TYPE_CHECKING:
    from episodes.images.normalization import Normalization


class Compose(Augmentation):
    """Several augmentations, one after the other: crops first and then Mixup, say.

    In few-shot training those that change each image by itself are given all images of the episodes, those that mix
    only the queries, as if they were used alone.

    Args:
        augmentations: the first one first; at most one of them may mix labels.
    """

    def __init__(self, augmentations: Sequence[Augmentation]) -> None:
        self.augmentations = tuple(augmentations)

    def __call__(self, images: Tensor, targets: Targets) -> tuple[Tensor, Targets]:
        """Images and targets through all of them."""
        for augmentation in self.augmentations:
            images, targets = augmentation(images, targets)
        return images, targets

    def adapted(self, normalization: "Normalization") -> Self:
        """All of them, adapted."""
        adapted = copy(self)
        adapted.augmentations = tuple(augmentation.adapted(normalization) for augmentation in self.augmentations)
        return adapted

    def steps(self) -> Sequence[Augmentation]:
        """All of them, those of nested ones too."""
        return tuple(step for augmentation in self.augmentations for step in augmentation.steps())

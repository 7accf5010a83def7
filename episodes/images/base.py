"""The contract of a split: labelled images, in memory or in files, that become batches."""

from abc import ABC, abstractmethod
from collections import Counter
from copy import copy
from functools import cached_property
from typing import TYPE_CHECKING, ClassVar, Self

import torch
from torch import Tensor

from episodes.errors import UserError
from episodes.images.placement import Placement

if TYPE_CHECKING:
    from episodes.batches.source import Batches
    from episodes.images.augmentation import Augmentation
    from episodes.images.normalization import Normalization


class Images(ABC):
    """The images of one split with their labels and the names of the classes.

    Attributes:
        labels: [n] int64, 0..len(class_names)-1, on the CPU.
        class_names: one name a class, in the order of the labels.
        name: what the images are called in messages and results, for instance ``"glyphs/test"``.
        fingerprint_is_of_content: whether the same images have the same fingerprint wherever they are.
    """

    labels: Tensor
    class_names: tuple[str, ...]
    name: str
    fingerprint_is_of_content: ClassVar[bool]

    def __len__(self) -> int:
        return len(self.labels)

    @cached_property
    def class_counts(self) -> Tensor:
        """Images a class: [number of classes] int64."""
        return torch.bincount(self.labels, minlength=len(self.class_names))

    @property
    @abstractmethod
    def image_shape(self) -> tuple[int, int, int]:
        """(C, H, W) of one image."""

    @property
    @abstractmethod
    def target(self) -> torch.device:
        """The device that batches of them are on."""

    @property
    @abstractmethod
    def fingerprint(self) -> str:
        """SHA-256 (hexadecimal) of what the images are known by; see ``fingerprint_is_of_content``."""

    def named(self, name: str) -> Self:
        """The same images under another name."""
        return self._with(name=name)

    @abstractmethod
    def on(self, device: torch.device, placement: Placement = "auto") -> Self:
        """The same images, for batches on a device.

        Args:
            device: where batches go.
            placement: where images in memory live meanwhile, see :mod:`episodes.images.placement`; files stay files.

        Raises:
            UserError: if they are to live on the device and there is no room.
        """

    @abstractmethod
    def normalization(self) -> "Normalization":
        """Mean and deviation of these images, on the CPU: of all pixels in memory; of files as their reading says.

        Raises:
            UserError: if a file cannot be read.
        """

    @abstractmethod
    def batches(
        self,
        batch_size: int,
        seed: int,
        augmentation: "Augmentation | None" = None,
        stride: int = 1,
        part: slice = slice(None),
    ) -> "Batches":
        """Batches of these images.

        Args:
            batch_size: images of a batch.
            seed: which sequence of batches.
            augmentation: random changes of every image of a training batch.
            stride: distance between the numbers of batches that this process asks for; files are read ahead.
            part: which of the images of a training batch are given, where several processes divide each batch.

        Raises:
            UserError: if there are no images, or a number is not positive.
        """

    def _with(self, **changes: object) -> Self:
        """The same with other values of fields that the fingerprint does not cover, so that it stays known if it is."""
        changed = copy(self)
        vars(changed).update(changes)  # of a frozen dataclass
        return changed

    def _check_labels(self, count: int) -> None:
        """Raise UserError unless labels are int64 [count], 0..classes-1, and no two classes have one name."""
        name, labels, class_names = self.name, self.labels, self.class_names
        if labels.shape != (count,) or labels.dtype != torch.int64:
            raise UserError(f"{name}: labels must be int64 [{count}], not {labels.dtype} {list(labels.shape)}")
        if len(set(class_names)) < len(class_names):
            twice = Counter(class_names).most_common(1)[0][0]
            raise UserError(f"{name}: two classes are called {twice!r}")
        if count and not 0 <= int(labels.min()) <= int(labels.max()) < len(class_names):
            raise UserError(
                f"{name}: labels reach from {int(labels.min())} to {int(labels.max())}, "
                f"but there are {len(class_names)} class names"
            )

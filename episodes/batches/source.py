"""BatchSource: numbers of batches in, images and their targets out, on the device of the images."""

from abc import ABC, abstractmethod
from collections.abc import Iterator
from typing import TYPE_CHECKING, ClassVar

import torch
from torch import Tensor

from episodes.batches.batch import ImageBatch
from episodes.batches.sampler import BatchSampler
from episodes.errors import UserError
from episodes.images.augmentation import Augmentation, NoAugmentation
from episodes.images.augmentation.apply import augment_batch
from episodes.images.base import Images
from episodes.images.gathering import sent
from episodes.targets import Targets

if TYPE_CHECKING:  # images make their batches
    from episodes.images.labelled import LabelledImages


class Batches(ABC):
    """Batches of a split, by number; batch i is always made of the same images.

    Several processes may divide each batch, and be given a part of it each.

    Attributes:
        images: the images of the split, in memory or in files.
        sampler: which images make up batch i.
        draws_alike: whether what the augmentation draws for a part of a batch is what it draws for the whole one, from
            generators that stand alike in all processes; else each must be given numbers of its own.
    """

    images: Images
    sampler: BatchSampler
    draws_alike: ClassVar[bool]

    @abstractmethod
    def batch(
        self,
        number: int,  # 0 or more
    ) -> ImageBatch:  # pixels [B, C, H, W] not normalised, targets [B], both on the device
        """Batch ``number`` of the endless sequence, augmented; of a divided batch the part."""

    @abstractmethod
    def in_order(
        self,
        numbers: Tensor | None = None,  # [n] int64; by default all images
        batch_size: int | None = None,  # by default that of training
    ) -> Iterator[ImageBatch]:
        """The images with these numbers, in this order and not augmented; the last batch may be smaller.

        No numbers give one empty batch.
        """

    def close(self) -> None:  # noqa: B027 - a hook: batches from memory start nothing
        """End whatever runs beside this process."""


class BatchSource(Batches):
    """Draws batches from images in memory; augmentation, if any, draws from torch's default generator.

    Args:
        images: where the images come from; they stay on their device.
        batch_size: images of a batch (B).
        seed: which sequence of batches.
        augmentation: random changes of the images and targets of :meth:`batch`.
        part: which of the images of :meth:`batch` are given; the whole batch is augmented, and mixed.

    Raises:
        UserError: if there are no images, or the batch size is not positive.
    """

    draws_alike = True
    images: "LabelledImages"

    def __init__(
        self,
        images: "LabelledImages",
        batch_size: int,
        seed: int,
        augmentation: Augmentation | None = None,
        part: slice = slice(None),
    ) -> None:
        self.images = images
        self.augmentation = augmentation or NoAugmentation()
        self._part = part
        self._labels = images.labels.to(images.images.device)  # beside the pixels: both are picked by the same numbers
        try:
            self.sampler = BatchSampler(len(images), batch_size, seed)
        except UserError as error:
            raise UserError(f"{images.name}: {error}") from None

    def batch(
        self,
        number: int,  # 0 or more
    ) -> ImageBatch:  # pixels [B, C, H, W] not normalised, targets [B], both on the target device
        """Batch ``number`` of the endless sequence, augmented; of a divided batch the part."""
        if isinstance(self.augmentation, NoAugmentation):  # nothing is drawn for the others
            return self._gather(self.sampler[number][self._part], self.augmentation)
        pixels, targets = self._gather(self.sampler[number], self.augmentation)
        return ImageBatch(pixels[self._part], targets.each(lambda each: each[self._part]))

    def in_order(
        self,
        numbers: Tensor | None = None,  # [n] int64; by default all images
        batch_size: int | None = None,  # by default that of training
    ) -> Iterator[ImageBatch]:
        """The images with these numbers, in this order and not augmented; the last batch may be smaller."""
        chosen = torch.arange(len(self.images)) if numbers is None else numbers
        for part in chosen.split(batch_size or self.sampler.batch_size):
            yield self._gather(part, NoAugmentation())

    def _gather(
        self,
        numbers: Tensor,  # [B] int64
        augmentation: Augmentation,
    ) -> ImageBatch:
        there = sent(numbers, self.images.images.device)
        targets = Targets(sent(self._labels.index_select(0, there), self.images.target))
        return ImageBatch(*augment_batch(self.images.gather_bytes(there), targets, augmentation))

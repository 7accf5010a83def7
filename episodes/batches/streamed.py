"""StreamedBatches: as BatchSource, of images that stay in their files and are read ahead by other processes."""

import itertools
from collections.abc import Generator, Iterator
from typing import TYPE_CHECKING
from weakref import finalize

import torch
from torch import Tensor

from episodes.batches.batch import ImageBatch
from episodes.batches.sampler import BatchSampler
from episodes.batches.source import Batches
from episodes.errors import UserError
from episodes.images.augmentation import Augmentation, NoAugmentation
from episodes.images.augmentation.apply import augment_batch
from episodes.images.decoding import (
    Decoder,
    Item,
    ordered_items,
    read_batches,
    require_torchvision,
    training_items,
    usable_workers,
)
from episodes.images.gathering import sent
from episodes.images.labelled import LabelledImages
from episodes.images.normalization import IMAGENET_DEVIATION, IMAGENET_MEAN, Normalization
from episodes.targets import Targets

if TYPE_CHECKING:  # images make their batches
    from episodes.images.files import ImageFiles

_SAMPLED_AT_ONCE = 64


class StreamedBatches(Batches):
    """Draws batches from image files: random parts of them at the size of the images.

    Which parts: :mod:`episodes.images.random_crops`.

    Batch i is a function of (files, batch size, seed, i), however many workers there are and whatever was read before.
    Workers read ahead what is expected: batches number, number + stride, number + 2 stride, ... Another number than
    that is no error, but the workers start again.

    Args:
        images: the files; batches go to their device.
        batch_size: images of a batch (B).
        seed: which sequence of batches, and of parts.
        augmentation: further random changes of the images and targets of :meth:`batch`, on their device.
        stride: distance between the numbers of batches that this process asks for: how many are trained on at once.
        part: which of the images of :meth:`batch` are read and given. The augmentation sees these alone: Mixup mixes
            them with one another.

    Raises:
        UserError: if there are no images, the batch size or the stride is not positive, or torchvision is missing.
    """

    draws_alike = False
    images: "ImageFiles"

    def __init__(
        self,
        images: "ImageFiles",
        batch_size: int,
        seed: int,
        augmentation: Augmentation | None = None,
        stride: int = 1,
        part: slice = slice(None),
    ) -> None:
        require_torchvision()
        if stride < 1:
            raise UserError(f"stride must be at least 1, got {stride}")
        self.images = images
        self.augmentation = augmentation or NoAugmentation()
        self.stride, self._part = stride, part
        self._decoder = Decoder(images, seed)
        self._workers = usable_workers(images.reading.workers)
        self._ahead = _Ahead()
        # As it holds nothing of this object, the workers end in good order even if this is found to be garbage, when
        # the queues between them would be taken down before they are told to end.
        finalize(self, self._ahead.close)
        try:
            self.sampler = BatchSampler(len(images), batch_size, seed)
        except UserError as error:
            raise UserError(f"{images.name}: {error}") from None

    def batch(
        self,
        number: int,  # 0 or more
    ) -> ImageBatch:  # pixels [B, 3, S, S] not normalised, targets [B], both on the images' device
        """Batch ``number`` of the endless sequence, augmented; of a divided batch the part.

        Raises:
            UserError: if a file cannot be read.
        """
        chosen = self.sampler[number][self._part]
        if number != self._ahead.number:
            self._ahead.close()
            wanted = training_items(_numbered(self.sampler, number, self.stride, self._part))
            self._ahead.batches = self._read(wanted, self._workers)
        return self._ready(self._ahead.take(number + self.stride), chosen, self.augmentation)

    def in_order(
        self,
        numbers: Tensor | None = None,  # [n] int64; by default all images
        batch_size: int | None = None,  # by default that of training
    ) -> Iterator[ImageBatch]:
        """The centres of the images with these numbers, in this order; the last batch may be smaller.

        Raises:
            UserError: if a file cannot be read.
        """
        chosen = torch.arange(len(self.images)) if numbers is None else numbers.cpu()
        if not len(chosen):
            yield self._ready(torch.empty(0, *self.images.image_shape, dtype=torch.uint8), chosen, NoAugmentation())
            return
        parts = chosen.split(batch_size or self.sampler.batch_size)
        workers = min(self._workers, len(parts)) if len(parts) > 1 else 0  # not worth their start for one
        arriving = self._read(ordered_items(parts), workers)
        for part, pixels in zip(parts, arriving, strict=True):
            yield self._ready(pixels, part, NoAugmentation())

    def close(self) -> None:
        """End the workers; a batch that is asked for later starts new ones."""
        self._ahead.close()

    def _read(self, items: Iterator[list[Item]], workers: int) -> Generator[Tensor]:
        return read_batches(self._decoder, items, workers, pinned=self.images.target.type == "cuda")

    def _ready(
        self,
        pixels: Tensor,  # [B, 3, S, S] uint8
        numbers: Tensor,  # [B] int64
        augmentation: Augmentation,
    ) -> ImageBatch:
        target = self.images.target
        targets = Targets(sent(self.images.labels[numbers], target))
        return ImageBatch(*augment_batch(sent(pixels, target), targets, augmentation))


class _Ahead:
    """What the workers have ready, or are about to have.

    Attributes:
        batches: of images, from batch ``number`` on; None if there are no workers.
        number: of the batch that comes next; -1 if none does.
    """

    def __init__(self) -> None:
        self.batches: Generator[Tensor] | None = None
        self.number = -1

    def take(
        self,
        following: int,  # number of the batch after this one
    ) -> Tensor:  # [B, 3, S, S] uint8
        """The batch that comes next."""
        assert self.batches is not None
        self.number = -1  # if it cannot be had, nothing follows
        pixels = next(self.batches)
        self.number = following
        return pixels

    def close(self) -> None:
        """End the workers."""
        if self.batches is not None:
            self.batches.close()
        self.batches, self.number = None, -1


def _numbered(sampler: BatchSampler, number: int, stride: int, part: slice) -> Iterator[tuple[Tensor, range]]:
    """Numbers of images, and their positions in the sequence, of a part of batches number, number + stride, ..."""
    for k in itertools.count(number, stride):
        yield sampler[k][part], sampler.positions(k)[part]


def files_normalization(images: "ImageFiles") -> Normalization:
    """Mean and deviation of ImageNet, or of a random sample of the files' centres if ``normalization_sample`` says so.

    Raises:
        UserError: if a file of the sample cannot be read.
    """
    size = min(images.reading.normalization_sample, len(images))
    if not size:
        return Normalization(torch.tensor(IMAGENET_MEAN), torch.tensor(IMAGENET_DEVIATION))
    require_torchvision()
    sample = BatchSampler(len(images), size, seed=0)[0]
    items = ordered_items(sample.split(_SAMPLED_AT_ONCE))
    pixels = torch.cat(list(read_batches(Decoder(images, 0), items, usable_workers(images.reading.workers))))
    return Normalization.of(LabelledImages(pixels, images.labels[sample], images.class_names, images.name))

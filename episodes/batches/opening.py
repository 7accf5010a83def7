"""From the images of a split to their batches, whether they are in memory or in files."""

import torch

from episodes.batches.source import Batches, BatchSource
from episodes.batches.streamed import StreamedBatches, files_normalization
from episodes.images.augmentation import Augmentation
from episodes.images.files import ImageFiles
from episodes.images.labelled import LabelledImages
from episodes.images.normalization import Normalization
from episodes.images.placement import Placement, place

SplitImages = LabelledImages | ImageFiles


def open_batches(
    images: SplitImages,
    batch_size: int,
    seed: int,
    normalization: Normalization,
    augmentation: Augmentation | None = None,
    stride: int = 1,
) -> Batches:
    """Batches of images.

    Args:
        images: in memory, or in files.
        batch_size: images of a batch.
        seed: which sequence of batches.
        normalization: of the training images, on the device of the images.
        augmentation: random changes of the images and targets of a training batch.
        stride: distance between the numbers of batches that this process asks for; those in files are read ahead.

    Raises:
        UserError: if there are no images, or a number is not positive.
    """
    if isinstance(images, ImageFiles):
        return StreamedBatches(images, batch_size, seed, normalization, augmentation, stride)
    return BatchSource(images, batch_size, seed, normalization, augmentation)


def normalization_of(images: SplitImages) -> Normalization:
    """Mean and deviation of training images: of all pixels in memory; of files, as their ``reading`` says.

    Raises:
        UserError: if a file cannot be read.
    """
    return files_normalization(images) if isinstance(images, ImageFiles) else Normalization.of(images)


def placed(images: SplitImages, device: torch.device, placement: Placement = "auto") -> SplitImages:
    """The same images, to be gathered or read onto a device.

    Args:
        images: in memory, or in files.
        device: where batches go.
        placement: where images in memory live meanwhile, see :func:`episodes.images.placement.place`; files stay files.

    Raises:
        UserError: as ``place`` does.
    """
    return images.on(device) if isinstance(images, ImageFiles) else place(images, device, placement)

"""Who reads photographs for ``benchmarks.streaming``: ours, and torchvision's ImageFolder behind torch's DataLoader."""

from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.utils.data import DataLoader

from episodes.datasets import StreamedFolders
from episodes.images.files import ImageFiles
from episodes.images.normalization import IMAGENET_DEVIATION, IMAGENET_MEAN, Normalization

CLASSES = 10
WIDTH, HEIGHT = 500, 375  # about the mean of ImageNet's photographs
AHEAD = 3  # batches that each worker may have ready, as in ours

Feed = Callable[[], Iterator[tuple[Tensor, Tensor]]]  # endless: images [B, 3, S, S] normalised, labels [B]


class Setting(NamedTuple):
    """What all contestants share."""

    root: Path  # with train/CLASS/*.jpg
    image_size: int
    batch_size: int
    device: torch.device


def write_photographs(root: Path, count: int, width: int = WIDTH, height: int = HEIGHT) -> Path:
    """Made-up photographs: soft shapes and grain, in JPEG files of about the size that photographs of that format have.

    Args:
        root: folder that gets train/CLASS/NUMBER.jpg.
        count: how many.
        width: of each in pixels.
        height: of each in pixels.
    """
    random = np.random.default_rng(0)
    for number in range(count):
        folder = root / "train" / f"class{number % CLASSES}"
        folder.mkdir(parents=True, exist_ok=True)
        coarse = random.integers(0, 256, (height // 25, width // 25, 3), dtype=np.uint8)
        soft = np.asarray(Image.fromarray(coarse).resize((width, height), Image.Resampling.BICUBIC), np.float32)
        pixels = soft + random.normal(0, 12, (height, width, 1)).astype(np.float32)
        Image.fromarray(pixels.clip(0, 255).astype(np.uint8)).save(folder / f"{number:06d}.jpg", quality=90)
    return root


def ours(given: Setting, workers: int) -> Feed:
    """StreamedFolders: bytes are read ahead and normalised on the device, as a training step does it."""
    source = StreamedFolders(str(given.root), given.image_size, workers=workers)
    images: ImageFiles = source.open("train").on(given.device)
    normalization = Normalization(torch.tensor(IMAGENET_MEAN), torch.tensor(IMAGENET_DEVIATION)).to(given.device)

    def feed() -> Iterator[tuple[Tensor, Tensor]]:
        with closing(images.batches(given.batch_size, seed=0)) as batches:
            for number in range(1 << 30):
                batch = batches.batch(number)
                yield normalization(batch.pixels), batch.labels

    return feed


def _loaded(given: Setting, workers: int, transform: Callable, loader: Callable | None = None) -> Feed:
    """ImageFolder in a DataLoader, epoch after epoch."""
    from torchvision.datasets import ImageFolder
    from torchvision.datasets.folder import default_loader

    images = ImageFolder(str(given.root / "train"), transform, loader=loader or default_loader)
    batches = DataLoader(
        images,
        given.batch_size,
        shuffle=True,
        num_workers=workers,
        pin_memory=given.device.type == "cuda",
        drop_last=True,
        persistent_workers=workers > 0,
        prefetch_factor=AHEAD if workers else None,
    )

    def feed() -> Iterator[tuple[Tensor, Tensor]]:
        batches._iterator = None  # what an earlier round has read ahead is not for this one
        while True:
            for pixels, labels in batches:
                yield pixels.to(given.device, non_blocking=True), labels.to(given.device, non_blocking=True)

    return feed


def torchvision_pillow(given: Setting, workers: int) -> Feed:
    """The transforms of torchvision's own reference for ImageNet, on images of Pillow."""
    from torchvision import transforms

    chain = [
        transforms.RandomResizedCrop(given.image_size),
        transforms.RandomHorizontalFlip(),
        transforms.ToTensor(),
        transforms.Normalize(IMAGENET_MEAN, IMAGENET_DEVIATION),
    ]
    return _loaded(given, workers, transforms.Compose(chain))


def torchvision_tensors(given: Setting, workers: int) -> Feed:
    """The same by torchvision's second version of the transforms, on bytes that its own decoder gives."""
    from torchvision.io import decode_image
    from torchvision.transforms import v2

    chain = [
        v2.RandomResizedCrop(given.image_size, antialias=True),
        v2.RandomHorizontalFlip(),
        v2.ToDtype(torch.float32, scale=True),
        v2.Normalize(list(IMAGENET_MEAN), list(IMAGENET_DEVIATION)),
    ]
    return _loaded(given, workers, v2.Compose(chain), lambda path: decode_image(path, mode="RGB"))


CONTESTANTS: dict[str, Callable[[Setting, int], Feed]] = {
    "ours": ours,
    "torchvision": torchvision_pillow,
    "torchvision, tensors": torchvision_tensors,
}

"""Images that stay in their files: what a split is when it is too large to be held in memory."""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

import torch
from torch import Tensor

from episodes.errors import UserError
from episodes.images.base import Images
from episodes.images.file_keys import files_key, relative_names
from episodes.images.placement import Placement

if TYPE_CHECKING:
    from episodes.batches.streamed import StreamedBatches
    from episodes.images.augmentation import Augmentation
    from episodes.images.normalization import Normalization

_CPU = torch.device("cpu")


@dataclass(frozen=True)
class Reading:
    """How image files become images.

    Args:
        image_size: side of the images in pixels (S).
        smallest_crop: smallest share of a photograph's area that a training image shows; the largest is all of it.
        flip: probability that a training image is mirrored.
        workers: processes that read ahead, at most one a processor; with 0 images are read when they are asked for.
        normalization_sample: how many training images the mean and deviation are computed from; with 0 they are those
            of ImageNet.

    Raises:
        UserError: if one of them is out of range.
    """

    image_size: int = 224
    smallest_crop: float = 0.08
    flip: float = 0.5
    workers: int = 4
    normalization_sample: int = 0

    def __post_init__(self) -> None:
        """Refuse what cannot be meant."""
        if self.image_size < 1:
            raise UserError(f"image_size must be at least 1, got {self.image_size}")
        if not 0 < self.smallest_crop <= 1 or not 0 <= self.flip <= 1:
            raise UserError(
                f"smallest_crop must be above 0 and at most 1, flip 0 to 1, got {self.smallest_crop} and {self.flip}"
            )
        if self.workers < 0 or self.normalization_sample < 0:
            raise UserError(
                f"workers and normalization_sample must not be negative, got {self.workers} and "
                f"{self.normalization_sample}"
            )


@dataclass(frozen=True, eq=False)
class ImageFiles(Images):
    """The image files of one split with their labels, as LabelledImages are images in memory.

    Attributes:
        paths: of the files.
        labels: [n] int64, 0..len(class_names)-1, on the CPU.
        class_names: one name a class, in the order of the labels.
        name: what the images are called in messages and results, for instance ``"dogs/test"``.
        root: the folder that the fingerprint takes the names of the files relative to.
        reading: how the files become images.
        device: where images go that are read.
        known_by: files and folders whose names, sizes and times the fingerprint takes in place of those of very many
            images; their names, without times, are part of it anyway. Empty to look at every image file.

    Raises:
        UserError: if paths and labels do not fit together.
    """

    paths: tuple[str, ...]
    labels: Tensor
    class_names: tuple[str, ...]
    name: str
    root: Path
    reading: Reading = Reading()
    device: torch.device = _CPU
    known_by: tuple[str, ...] = ()
    fingerprint_is_of_content: ClassVar[bool] = False  # but of times, which differ where somebody copied the files

    def __post_init__(self) -> None:
        """Refuse anything that would fail later and farther away."""
        self._check_labels(len(self.paths))

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """(C, H, W) of one image as it is read."""
        return 3, self.reading.image_size, self.reading.image_size

    @property
    def target(self) -> torch.device:
        """The device that images are on after they were read."""
        return self.device

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256 (hexadecimal) of names, sizes and times of the files, their labels, class names and image size.

        Pixels have no part in it: to read them all would take as long as an epoch of training. Where there is a
        ``known_by``, a file that is replaced under its old name goes unnoticed.

        Raises:
            UserError: if a file is gone.
        """
        options: dict[str, object] = {"image_size": self.reading.image_size, "class_names": list(self.class_names)}
        if self.known_by:
            options["names"] = relative_names(self.root, self.paths)
        key = files_key(self.root, self.known_by or self.paths, **options)
        return hashlib.sha256(key.encode() + self.labels.numpy().tobytes()).hexdigest()

    def on(self, device: torch.device, placement: Placement = "auto") -> "ImageFiles":
        """The same images, to be read onto a device; they stay in their files, whatever the placement."""
        return self._with(device=device)

    def normalization(self) -> "Normalization":
        """Mean and deviation of ImageNet, or of a random sample of these images if ``reading`` says so, on the CPU.

        Raises:
            UserError: if a file of the sample cannot be read.
        """
        from episodes.batches.streamed import files_normalization  # which imports this module

        return files_normalization(self)

    def batches(
        self,
        batch_size: int,
        seed: int,
        augmentation: "Augmentation | None" = None,
        stride: int = 1,
        part: slice = slice(None),
    ) -> "StreamedBatches":
        """Batches read ahead by other processes.

        Raises:
            UserError: if there are no images, a number is not positive, or torchvision is missing.
        """
        from episodes.batches.streamed import StreamedBatches  # which imports this module

        return StreamedBatches(self, batch_size, seed, augmentation, stride, part)

    @classmethod
    def of_classes(
        cls, classes: Iterable[tuple[str, list[Path]]], name: str, root: Path, reading: Reading
    ) -> "ImageFiles":
        """The files of some classes, class by class.

        Args:
            classes: name of each class and its files.
            name: what the images are called.
            root: see above.
            reading: see above.

        Raises:
            UserError: if a class has no file.
        """
        pairs = list(classes)
        for class_name, files in pairs:
            if not files:
                raise UserError(f"{name}: class {class_name!r} has no image; put some there, or remove its folders")
        counts = torch.tensor([len(files) for _, files in pairs])
        return cls(
            paths=tuple(str(file) for _, files in pairs for file in files),
            labels=torch.arange(len(pairs)).repeat_interleave(counts),
            class_names=tuple(class_name for class_name, _ in pairs),
            name=name,
            root=root,
            reading=reading,
        )

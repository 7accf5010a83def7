"""Labelled images in memory: what most data sets open as, and what every sampler of episodes draws from."""

import hashlib
from dataclasses import InitVar, dataclass
from functools import cached_property
from typing import TYPE_CHECKING, ClassVar

import torch
from torch import Tensor

from episodes.errors import UserError
from episodes.images.base import Images
from episodes.images.normalization import Normalization
from episodes.images.placement import Placement, place

if TYPE_CHECKING:
    from episodes.batches.source import BatchSource
    from episodes.images.augmentation import Augmentation


@dataclass(frozen=True, eq=False)
class LabelledImages(Images):
    """The images of one split, as bytes, with their labels and the names of the classes.

    Attributes:
        images: [n, C, H, W] uint8, 0..255, on any device.
        labels: [n] int64, 0..len(class_names)-1, on the CPU (samplers draw there).
        class_names: one name a class, in the order of the labels.
        name: what the images are called in messages and results, for instance ``"glyphs/test"``.
        known_fingerprint: the fingerprint, where whoever stored the images has it already; "" to compute it.
        device: where gathered images go; by default where the images are.

    Raises:
        UserError: if shapes, types or label values do not fit together.
    """

    images: Tensor
    labels: Tensor
    class_names: tuple[str, ...]
    name: str
    known_fingerprint: InitVar[str] = ""  # not a field: dataclasses.replace() must not carry it to other content
    device: torch.device | None = None
    fingerprint_is_of_content: ClassVar[bool] = True

    def __post_init__(self, known_fingerprint: str) -> None:
        """Refuse anything that would fail later and farther away."""
        if known_fingerprint:
            self.__dict__["fingerprint"] = known_fingerprint  # where cached_property keeps it
        if self.images.ndim != 4 or self.images.dtype != torch.uint8:
            raise UserError(
                f"{self.name}: images must be uint8 [n, C, H, W], not {self.images.dtype} {list(self.images.shape)}"
            )
        self._check_labels(len(self.images))

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """(C, H, W) of one image."""
        channels, height, width = self.images.shape[1:]
        return channels, height, width

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256 (hexadecimal) of the pixels, their shape, the labels and the class names."""
        digest = hashlib.sha256()
        digest.update(repr((tuple(self.images.shape), tuple(self.class_names))).encode())
        digest.update(self.labels.numpy().tobytes())
        digest.update(self.images.cpu().contiguous().numpy().reshape(-1).data)  # a view: gigabytes are not copied
        return digest.hexdigest()

    @property
    def target(self) -> torch.device:
        """The device that gathered images are on."""
        return self.device or self.images.device

    def on(self, device: torch.device, placement: Placement = "auto") -> "LabelledImages":
        """The same images, gathered onto a device, with their bytes where they are to live.

        Raises:
            UserError: as :func:`episodes.images.placement.place`.
        """
        return self._with(images=place(self.images, device, placement, self.name), device=device)

    def normalization(self) -> Normalization:
        """Mean and deviation of every channel over all pixels, on the CPU."""
        return Normalization.of(self)

    def batches(
        self,
        batch_size: int,
        seed: int,
        augmentation: "Augmentation | None" = None,
        stride: int = 1,
        part: slice = slice(None),
    ) -> "BatchSource":
        """Batches gathered from memory; nothing is read ahead, so ``stride`` has no say.

        Raises:
            UserError: if there are no images, or the batch size is not positive.
        """
        from episodes.batches.source import BatchSource  # batches are made of images, and so import this module

        return BatchSource(self, batch_size, seed, augmentation, part)

    def gather_bytes(
        self,
        index: Tensor,  # [...] int64, 0..n-1
    ) -> Tensor:  # [..., C, H, W] uint8, on the target device
        """Pick images by number, as they are stored: what travels to the device is a quarter of the floats."""
        # Several times faster than images[index], which does the same.
        picked = self.images.index_select(0, index.to(self.images.device).flatten())
        if picked.device != self.target:
            if self.target.type == "cuda":
                picked = picked.pin_memory()  # only from there can a copy run beside the computation
            picked = picked.to(self.target, non_blocking=True)
        return picked.view(*index.shape, *self.image_shape)

    def gather(
        self,
        index: Tensor,  # [...] int64, 0..n-1
    ) -> Tensor:  # [..., C, H, W] float32, 0..1, on the target device
        """Pick images by number, as floats between 0 and 1."""
        return self.gather_bytes(index).float().div_(255.0)

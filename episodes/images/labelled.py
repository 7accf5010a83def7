"""Labelled images in memory: what every data set becomes, and what every sampler draws from."""

import hashlib
from dataclasses import InitVar, dataclass
from functools import cached_property

import torch
from torch import Tensor

from episodes.errors import UserError


@dataclass(frozen=True, eq=False)
class LabelledImages:
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

    def __post_init__(self, known_fingerprint: str) -> None:
        """Refuse anything that would fail later and farther away."""
        if known_fingerprint:
            self.__dict__["fingerprint"] = known_fingerprint  # where cached_property keeps it
        if self.images.ndim != 4 or self.images.dtype != torch.uint8:
            raise UserError(
                f"{self.name}: images must be uint8 [n, C, H, W], not {self.images.dtype} {list(self.images.shape)}"
            )
        check_labels(self.name, self.labels, len(self.images), self.class_names)

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """(C, H, W) of one image."""
        channels, height, width = self.images.shape[1:]
        return channels, height, width

    @cached_property
    def class_counts(self) -> Tensor:
        """Images a class: [number of classes] int64."""
        return torch.bincount(self.labels, minlength=len(self.class_names))

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256 (hexadecimal) of the pixels, their shape, the labels and the class names."""
        digest = hashlib.sha256()
        digest.update(repr((tuple(self.images.shape), tuple(self.class_names))).encode())
        digest.update(self.labels.numpy().tobytes())
        digest.update(self.images.cpu().contiguous().numpy().reshape(-1).data)  # a view: gigabytes are not copied
        return digest.hexdigest()

    @property
    def fingerprint_is_of_content(self) -> bool:
        """Whether equal pixels have equal fingerprints wherever they are."""
        return True

    @property
    def target(self) -> torch.device:
        """The device that gathered images are on."""
        return self.device or self.images.device

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


def check_labels(
    name: str,  # what the images are called in messages
    labels: Tensor,
    count: int,  # of the images
    class_names: tuple[str, ...],
) -> None:
    """Raise UserError unless labels are int64 [count], 0..len(class_names)-1, and no two classes have one name."""
    if labels.shape != (count,) or labels.dtype != torch.int64:
        raise UserError(f"{name}: labels must be int64 [{count}], not {labels.dtype} {list(labels.shape)}")
    if len(set(class_names)) < len(class_names):
        twice = next(one for one in class_names if class_names.count(one) > 1)
        raise UserError(f"{name}: two classes are called {twice!r}")
    if count and not 0 <= int(labels.min()) <= int(labels.max()) < len(class_names):
        raise UserError(
            f"{name}: labels reach from {int(labels.min())} to {int(labels.max())}, "
            f"but there are {len(class_names)} class names"
        )

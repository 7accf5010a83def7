"""The file that a decoded split is kept in: one safetensors file, written whole or not at all, read by mapping it.

``labels`` int64 [n] and ``images`` uint8 [n, C, H, W], the images last, so that they can be written one class after the
other before anybody knows how many there will be; class names, fingerprint and notes are in the metadata.
"""

import errno
import json
import math
import mmap
import os
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from episodes.images.labelled import LabelledImages
from episodes.storage import atomic_write

_HEADER_ROOM = 1 << 20  # bytes kept free in front of the labels and images; class names and notes fit many times
_MOST_NOTES = 50
# A private mapping counts as memory that could be needed, and Linux refuses one that is larger than the memory,
# unless told not to count. Python has no name for it before 3.13.
_NO_RESERVE = 0x4000 if sys.platform == "linux" else 0
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


class Stored(NamedTuple):
    """What a store file holds.

    Attributes:
        images: the split, its pixels memory-mapped, its fingerprint known.
        notes: what was remarkable about the source files, one line each; for instance which were broken.
    """

    images: LabelledImages
    notes: tuple[str, ...]


def bytes_needed(images_at_most: int, image_shape: tuple[int, int, int]) -> int:
    """Size of the finished file at most."""
    return _HEADER_ROOM + images_at_most * (8 + math.prod(image_shape))


def write_store(
    path: Path,
    name: str,
    class_names: tuple[str, ...],
    images_at_most: int,
    images_by_class: Iterable[NDArray[np.uint8]],  # each [n_c, C, H, W]
    notes: list[str],
) -> None:
    """Write the images of one class after the other, then labels, names and fingerprint.

    Args:
        path: the file; it appears when it is complete.
        name: what the images are called.
        class_names: one a class.
        images_at_most: more images than this do not come.
        images_by_class: as many arrays as classes, all of one image shape.
        notes: read when the last class is written, because they are collected while images are read.

    Raises:
        OSError: if the file cannot be written; nothing is left behind.
    """
    start = _HEADER_ROOM + 8 * images_at_most
    counts: list[int] = []
    shape: tuple[int, ...] = (0, 0, 0)
    with atomic_write(path) as file:
        file.seek(start)
        for images in images_by_class:
            file.write(np.ascontiguousarray(images).data)
            counts.append(len(images))
            shape = images.shape[1:]
        file.flush()
        labels = np.repeat(np.arange(len(counts)), counts).astype("<i8")
        pixels = _map(Path(file.name), start, (len(labels), *shape))
        fingerprint = LabelledImages(pixels, torch.from_numpy(labels), class_names, name).fingerprint
        metadata = {
            "name": name,
            "class_names": json.dumps(class_names),
            "fingerprint": fingerprint,
            "notes": json.dumps(_shortened(notes)),
        }
        file.seek(0)
        file.write(_header(start, labels, pixels, metadata))
        file.write(labels.tobytes())


def _shortened(notes: list[str]) -> list[str]:
    """In an order that does not depend on threads; not more than a screen of them."""
    ordered = sorted(notes)
    more = len(ordered) - _MOST_NOTES
    return ordered if more <= 0 else [*ordered[:_MOST_NOTES], f"... and {more} more"]


def _header(start: int, labels: NDArray[Any], pixels: torch.Tensor, metadata: dict[str, str]) -> bytes:
    """The head of a safetensors file, filled up with blanks (as the format allows) to where the labels begin."""
    end = labels.nbytes + pixels.numel()
    tensors = {
        "labels": {"dtype": "I64", "shape": list(labels.shape), "data_offsets": [0, labels.nbytes]},
        "images": {"dtype": "U8", "shape": list(pixels.shape), "data_offsets": [labels.nbytes, end]},
    }
    size = start - labels.nbytes - 8
    text = json.dumps({"__metadata__": metadata, **tensors}).encode().ljust(size)
    if len(text) > size:
        raise ValueError(f"class names and notes take {len(text)} bytes; there is room for {size}")
    return size.to_bytes(8, "little") + text


def read_store(path: Path) -> Stored:
    """Map a store file; the pixels are not read before somebody looks at them.

    They are mapped privately: a tensor that is written to changes in this process and not in the file.

    Raises:
        OSError: if there is no such file.
        ValueError, KeyError: if it is not a whole store file.
    """
    with open(path, "rb") as file:
        size = int.from_bytes(file.read(8), "little")
        if not 0 < size < os.fstat(file.fileno()).st_size:
            raise ValueError("not a store file, or cut off")
        header = json.loads(file.read(size))
        labels = np.frombuffer(file.read(header["labels"]["data_offsets"][1]), dtype="<i8").astype(np.int64)
        shape, (begin, end) = header["images"]["shape"], header["images"]["data_offsets"]
        if os.fstat(file.fileno()).st_size != 8 + size + end:
            raise ValueError("the file is cut off")
    metadata = header["__metadata__"]
    images = LabelledImages(
        images=_map(path, 8 + size + begin, shape),
        labels=torch.from_numpy(labels),
        class_names=tuple(json.loads(metadata["class_names"])),
        name=metadata["name"],
        known_fingerprint=metadata["fingerprint"],
    )
    return Stored(images, tuple(json.loads(metadata["notes"])))


def _map(path: Path, begin: int, shape: Iterable[int]) -> torch.Tensor:  # uint8, of this shape
    """Bytes of a file as a tensor, from ``begin`` on."""
    with open(path, "rb") as file:
        if os.name == "posix":
            flags, access = mmap.MAP_PRIVATE | _NO_RESERVE, mmap.PROT_READ | mmap.PROT_WRITE
            mapped = mmap.mmap(file.fileno(), 0, flags=flags, prot=access)
        else:
            mapped = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_COPY)
    size = tuple(shape)
    return torch.frombuffer(mapped, dtype=torch.uint8, count=math.prod(size), offset=begin).view(*size)


def is_full(error: OSError) -> bool:
    """Whether the disk, or the user's share of it, is used up."""
    return error.errno in _FULL

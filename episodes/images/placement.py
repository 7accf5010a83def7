"""Where the bytes of a data set live while it is used: on the device, in memory, or in the memory-mapped file."""

import os
from dataclasses import replace
from typing import Literal

import torch
from torch import Tensor

from episodes.errors import UserError
from episodes.images.labelled import LabelledImages

Placement = Literal["auto", "device", "pinned", "mmap"]

_SHARE = 0.5  # of the free memory that a data set may take: the model and its activations need the rest


def place(images: LabelledImages, device: torch.device, placement: Placement = "auto") -> LabelledImages:
    """The same images, gathered onto ``device``, with their bytes where they are to live.

    Args:
        images: as loaded: in memory, or memory-mapped.
        device: where gathered images go.
        placement: "device": all bytes on the device, so that gathering is one kernel; "pinned": in this process's
            memory, batches pass through pinned memory; "mmap": as loaded, so that only what is used is read; "auto":
            the first of these for which there is room (a memory-mapped file that fits into memory is left to the
            operating system's cache, which several processes share).

    Raises:
        UserError: if "device" is asked for and the images do not fit there.
    """
    need = images.images.numel()  # uint8
    if placement == "auto":
        placement = "device" if need <= _SHARE * free_memory(device) else "mmap"
    if placement == "device":
        try:
            return _moved(images, images.images.to(device), device)
        except torch.OutOfMemoryError as error:
            raise UserError(
                f"{images.name}: {need / 2**30:.1f} GiB do not fit on {device}; use placement pinned or mmap"
            ) from error
    return _moved(images, images.images.clone() if placement == "pinned" else images.images, device)


def _moved(images: LabelledImages, pixels: Tensor, device: torch.device) -> LabelledImages:
    """The same content elsewhere; a fingerprint that is known stays known."""
    known = images.__dict__.get("fingerprint", "")
    return replace(images, images=pixels, device=device, known_fingerprint=known)


def free_memory(device: torch.device) -> int:
    """Bytes free on a device; for the CPU, of physical memory."""
    if device.type == "cuda":
        return torch.cuda.mem_get_info(device)[0]
    try:
        return os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (ValueError, OSError, AttributeError):
        return 2**30  # a system that does not say: assume little

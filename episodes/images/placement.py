"""Where the bytes of a data set live while it is used: on the device, in memory, or in the memory-mapped file."""

import os
from typing import Literal

import torch
from torch import Tensor

from episodes.errors import UserError

Placement = Literal["auto", "device", "pinned", "mmap"]

_SHARE = 0.5  # of the free memory that a data set may take: the model and its activations need the rest


def place(
    pixels: Tensor,  # [n, C, H, W] uint8, in memory or memory-mapped
    device: torch.device,
    placement: Placement = "auto",
    name: str = "the images",
) -> Tensor:  # the same, perhaps elsewhere
    """The bytes where they are to live while images are gathered onto ``device``.

    Args:
        pixels: as loaded.
        device: where gathered images go.
        placement: "device": all bytes on the device, so that gathering is one kernel; "pinned": in this process's
            memory, batches pass through pinned memory; "mmap": as loaded, so that only what is used is read; "auto":
            the first of these for which there is room (a memory-mapped file that fits into memory is left to the
            operating system's cache, which several processes share).
        name: what messages call the images.

    Raises:
        UserError: if "device" is asked for and the images do not fit there.
    """
    need = pixels.numel()  # uint8
    if placement == "auto":
        placement = "device" if need <= _SHARE * free_memory(device) else "mmap"
    if placement == "device":
        try:
            return pixels.to(device)
        except torch.OutOfMemoryError as error:
            raise UserError(
                f"{name}: {need / 2**30:.1f} GiB do not fit on {device}; use placement pinned or mmap"
            ) from error
    return pixels.clone() if placement == "pinned" else pixels


def free_memory(device: torch.device) -> int:
    """Bytes free on a device; for the CPU, of physical memory."""
    if device.type == "cuda":
        return torch.cuda.mem_get_info(device)[0]
    try:
        return os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (ValueError, OSError, AttributeError):
        return 2**30  # a system that does not say: assume little

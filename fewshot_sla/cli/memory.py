"""Memory of the C library: freed blocks are kept for the next step instead of being given back to the system."""

import ctypes
import sys

_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3  # M_... of malloc.h
_LARGEST = (2**30, 2**25)  # older versions of the library refuse more than 32 MiB


def keep_freed_memory() -> bool:
    """Let large blocks come from the heap, and leave the heap as large as it once was; whether that was possible.

    A training step on the CPU allocates and frees the same activations over and over. As shipped, glibc maps blocks of
    this size anew each time, and the system then clears every page of them: a third of the time of a ResNet's step.
    The process keeps about as much memory as its largest step needs anyway.
    """
    if sys.platform != "linux":
        return False
    try:
        mallopt = ctypes.CDLL("libc.so.6").mallopt
    except (OSError, AttributeError):  # another C library
        return False
    mapped = any(mallopt(_MMAP_THRESHOLD, size) for size in _LARGEST)
    return bool(mallopt(_TRIM_THRESHOLD, 2**31 - 1)) and mapped

"""Part of labelled images, and the same images under another name."""

from dataclasses import replace

from torch import Tensor

from episodes.images import LabelledImages


def subset(
    images: LabelledImages,
    index: Tensor,  # [k] int64, 0..n-1
    name: str,
) -> LabelledImages:
    """The images of these numbers, in this order, in memory of their own; all class names are kept."""
    return replace(
        images,
        images=images.images.index_select(0, index.to(images.images.device)),
        labels=images.labels.index_select(0, index),
        name=name,
        known_fingerprint="",
    )


def renamed(images: LabelledImages, name: str) -> LabelledImages:
    """The same images, memory-mapped if they were; the fingerprint does not cover the name and is kept."""
    known = vars(images).get("fingerprint", "")  # there once it is known; gigabytes are not read to compute it
    return replace(images, name=name, known_fingerprint=known)

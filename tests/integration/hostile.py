"""Data sets of tests whose classes are called what no page must take for markup."""

from episodes.images.labelled import LabelledImages
from tests.tiny import TinyClasses, TinyImages

NAME = "<script>alert(1)</script>&\"'"


class HostileImages(TinyImages):
    """Few-shot classes with such names."""

    name = "<b>hostile</b>"

    def open(self, split: str) -> LabelledImages:
        return renamed(super().open(split))


class HostileClasses(TinyClasses):
    """The same for classification."""

    def open(self, split: str) -> LabelledImages:
        return renamed(super().open(split))


def renamed(images: LabelledImages) -> LabelledImages:
    names = tuple(f"{NAME} {number}" for number in range(len(images.class_names)))
    return LabelledImages(images.images, images.labels, names, images.name)

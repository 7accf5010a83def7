"""A data set for tests of everything but data sets: a few small images of a few classes, made in no time."""

import torch

from episodes.datasets.base import DataSource
from episodes.errors import UserError
from episodes.images.labelled import LabelledImages

_SPLITS = {"train": 0, "val": 1, "test": 2}


class TinyImages(DataSource):
    """Every class is a random pattern, every image that pattern with noise.

    Args:
        channels: of each image.
        height: of each image.
        width: of each image.
        classes: in each split.
        per_class: images a class.
        splits: those that can be loaded; another one is an error, as for a split that must not be touched.
    """

    name = "tiny"

    def __init__(
        self,
        channels: int = 1,
        height: int = 16,
        width: int = 16,
        classes: int = 8,
        per_class: int = 10,
        splits: tuple[str, ...] = ("train", "val", "test"),
    ) -> None:
        self.shape = (channels, height, width)
        self.classes, self.per_class, self.splits = classes, per_class, splits

    def open(self, split: str) -> LabelledImages:
        if split not in self.splits:
            raise UserError(f"tiny: the split {split!r} must not be opened")
        generator = torch.Generator().manual_seed(_SPLITS[split])
        patterns = torch.randint(0, 256, (self.classes, 1, *self.shape), generator=generator)
        noise = torch.randint(-90, 91, (self.classes, self.per_class, *self.shape), generator=generator)
        return LabelledImages(
            images=(patterns + noise).clamp(0, 255).to(torch.uint8).flatten(0, 1),
            labels=torch.arange(self.classes).repeat_interleave(self.per_class),
            class_names=tuple(f"{split} class {number}" for number in range(self.classes)),
            name=f"tiny/{split}",
        )


class TinyClasses(TinyImages):
    """The same classes in every split, so that a classifier can be tested on new images of them.

    Args:
        channels: of each image.
        height: of each image.
        width: of each image.
        classes: in every split.
        per_class: images a class.
        splits: those that can be loaded; another one is an error, as for a split that must not be touched.
        counts: training images of the first classes, where they are to be fewer; a long tail.
        names: what the classes are called.
    """

    name = "tiny-classes"

    def __init__(
        self,
        channels: int = 1,
        height: int = 16,
        width: int = 16,
        classes: int = 4,
        per_class: int = 12,
        splits: tuple[str, ...] = ("train", "val", "test"),
        counts: tuple[int, ...] = (),
        names: str = "class",
    ) -> None:
        super().__init__(channels, height, width, classes, per_class, splits)
        self.counts, self.names = counts, names

    def open(self, split: str) -> LabelledImages:
        if split not in self.splits:
            raise UserError(f"tiny-classes: the split {split!r} must not be opened")
        patterns = torch.randint(0, 256, (self.classes, 1, *self.shape), generator=torch.Generator().manual_seed(77))
        generator = torch.Generator().manual_seed(_SPLITS[split])
        noise = torch.randint(-90, 91, (self.classes, self.per_class, *self.shape), generator=generator)
        images = (patterns + noise).clamp(0, 255).to(torch.uint8).flatten(0, 1)
        labels = torch.arange(self.classes).repeat_interleave(self.per_class)
        if split == "train" and self.counts:
            kept = torch.cat(
                [torch.arange(c * self.per_class, c * self.per_class + n) for c, n in enumerate(self.counts)]
            )
            images, labels = images[kept], labels[kept]
        names = tuple(f"{self.names} {number}" for number in range(self.classes))
        return LabelledImages(images, labels, names, f"tiny-classes/{split}")

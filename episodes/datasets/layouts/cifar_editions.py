"""CIFAR-100 and CIFAR-10 as their authors give them away: names of files, of what is in them, and of the classes."""

from collections.abc import Mapping
from typing import NamedTuple

from episodes.datasets.layouts.class_lists import class_list

PARTS = ("train", "test")
SIDE = 32


class Edition(NamedTuple):
    """What CIFAR-100 and CIFAR-10 are called, and what their files are.

    Attributes:
        title: in messages.
        archive: name of the official archive (python version).
        md5: of the archive.
        folder: what it unpacks to.
        parts: part -> its files.
        meta: the file with the names of the classes.
        names_key: what the names are called in it.
        labels_key: what the labels are called in the files of the parts.
        classes: names of the classes, in the order of their official labels.
    """

    title: str
    archive: str
    md5: str
    folder: str
    parts: Mapping[str, tuple[str, ...]]
    meta: str
    names_key: str
    labels_key: str
    classes: tuple[str, ...]

    @property
    def files(self) -> tuple[str, ...]:
        """All files of the folder that are read."""
        return (*(name for names in self.parts.values() for name in names), self.meta)


CIFAR_100 = Edition(
    title="CIFAR-100",
    archive="cifar-100-python.tar.gz",
    md5="eb9058c3a382ffc7106e4002c42a8d85",
    folder="cifar-100-python",
    parts={part: (part,) for part in PARTS},
    meta="meta",
    names_key="fine_label_names",
    labels_key="fine_labels",
    classes=tuple(sorted(name for names in class_list("cifar100").values() for name in names)),
)
CIFAR_10 = Edition(
    title="CIFAR-10",
    archive="cifar-10-python.tar.gz",
    md5="c58f30108f718f92721af3b95e74349a",
    folder="cifar-10-batches-py",
    parts={"train": tuple(f"data_batch_{number}" for number in range(1, 6)), "test": ("test_batch",)},
    meta="batches.meta",
    names_key="label_names",
    labels_key="labels",
    classes=("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"),
)

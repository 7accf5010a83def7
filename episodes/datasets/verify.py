"""What a data set is made of, before anything is trained on it: layout, counts, duplicates, fingerprints."""

import hashlib
import pkgutil
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import replace
from itertools import combinations
from typing import Any, NamedTuple

from episodes.datasets.readers.cifar import CIFAR10, CIFAR100
from episodes.datasets.readers.cifar_fs import CIFARFS, FC100
from episodes.datasets.readers.classification_folders import ClassificationFolders
from episodes.datasets.readers.cub import CUB
from episodes.datasets.readers.episode_folders import EpisodeFolders
from episodes.datasets.readers.mini_imagenet import MiniImageNet
from episodes.datasets.readers.mnist import MNIST
from episodes.datasets.readers.omniglot import Omniglot
from episodes.datasets.readers.svhn import SVHN
from episodes.datasets.readers.tiered_imagenet import TieredImageNet
from episodes.datasets.readers.tiny_imagenet import TinyImageNet
from episodes.datasets.readers.unlabelled_folder import UnlabelledFolder
from episodes.datasets.store.source import StoredSource
from episodes.errors import UserError
from episodes.images.labelled import LabelledImages

# What the command line calls the readers. A reader of one's own is named by its class path, as in a configuration.
NAMES: dict[str, type[StoredSource]] = {
    "cifar-fs": CIFARFS,
    "cifar10": CIFAR10,
    "cifar100": CIFAR100,
    "classification-folders": ClassificationFolders,
    "cub": CUB,
    "episode-folders": EpisodeFolders,
    "fc100": FC100,
    "mini-imagenet": MiniImageNet,
    "mnist": MNIST,
    "omniglot": Omniglot,
    "svhn": SVHN,
    "tiered-imagenet": TieredImageNet,
    "tiny-imagenet": TinyImageNet,
    "unlabelled-folder": UnlabelledFolder,
}
_MOST_LINES = 10  # about duplicates
_SAME = "all splits hold the same classes, as they must for classification"
_NOT_SAME = "  ! the splits do not hold the same classes; classification needs them to"

Place = tuple[str, str]  # split, class


class Report(NamedTuple):
    """What was found.

    Attributes:
        lines: for people to read.
        sound: False if something is wrong with data that can be used: splits share images (more than the data set as it
            was published) or, for classification, differ in their classes, files were left out, the store is damaged.
    """

    lines: list[str]
    sound: bool


def find_reader(name: str) -> type[StoredSource]:
    """The class of a reader.

    Args:
        name: one of NAMES, or a class path such as ``package.module.Class``.

    Raises:
        UserError: if there is none.
    """
    try:
        found = NAMES[name] if name in NAMES else pkgutil.resolve_name(name)
    except (ImportError, AttributeError, ValueError):
        found = None
    if not (isinstance(found, type) and issubclass(found, StoredSource)):
        raise UserError(
            f"there is no data set {name!r}; there are {', '.join(sorted(NAMES))}, or the class path of your own reader"
        )
    return found


def make_reader(name: str, root: str, options: Mapping[str, Any]) -> StoredSource:
    """A reader for files of the user's.

    Args:
        name: one of NAMES, or a class path.
        root: where the files are.
        options: other arguments of the class.

    Raises:
        UserError: if there is no such reader, or it does not take these options.
    """
    try:
        return find_reader(name)(root, **options)
    except TypeError as error:
        raise UserError(f"{name}: {error}") from None


def verify(source: StoredSource, each_class: bool = False) -> Report:
    """Read every split, decoding it if that was not done before, and look at every image.

    Args:
        source: the data set.
        each_class: list the counts of every class.

    Raises:
        UserError: if the data set cannot be used at all.
    """
    lines = [f"{source.name}: {source.layout()}"]
    sound = True
    places: dict[bytes, list[Place]] = defaultdict(list)
    classes: dict[str, tuple[str, ...]] = {}
    for split in source.available_splits():
        images, notes = source.stored(split)
        lines += _described(images, each_class)
        remarks = [*notes, *_damage(images)]
        lines += [f"  ! {remark}" for remark in remarks]
        sound = sound and not remarks
        classes[split] = images.class_names
        for digest, label in zip(_digests(images), images.labels.tolist(), strict=True):
            places[digest].append((split, images.class_names[label]))
    absent = [split for split in source.splits if split not in source.available_splits()]
    lines += [f"there is no split {split}" for split in absent]
    if source.shares_classes:
        same = len(set(classes.values())) == 1
        lines.append(_SAME if same else _NOT_SAME)
        sound = sound and same
    duplicates, shared = _duplicates(places)
    if 0 < shared <= source.published_overlap:
        duplicates.append(f"  (not more than the {source.published_overlap} that the published data set has)")
    return Report([*lines, *duplicates], sound and shared <= source.published_overlap)


def _described(images: LabelledImages, each_class: bool) -> list[str]:
    """Counts and fingerprint of one split."""
    counts = images.class_counts.tolist()
    size = " x ".join(str(side) for side in images.image_shape)
    lines = [
        f"{images.name}: {len(counts)} classes, {len(images)} images of {size}, {min(counts)} to {max(counts)} a class",
        f"  fingerprint {images.fingerprint}",
    ]
    if each_class:
        lines += [f"  {count:6d}  {name}" for name, count in zip(images.class_names, counts, strict=True)]
    return lines


def _damage(images: LabelledImages) -> list[str]:
    """A line if the stored pixels are not those that were written."""
    if replace(images, known_fingerprint="").fingerprint == images.fingerprint:
        return []
    return ["the stored images have changed since they were decoded: delete the file in the cache folder"]


def _digests(images: LabelledImages) -> Iterator[bytes]:
    for image in images.images.numpy():
        yield hashlib.sha256(image.data).digest()


def _duplicates(places: Mapping[bytes, list[Place]]) -> tuple[list[str], int]:
    """Lines about equal images, and how many pairs of them there are across splits.

    Each pair of equal images counts once: among three copies there are three pairs.
    """
    pairs = Counter(
        tuple(sorted(pair)) for copies in places.values() if len(copies) > 1 for pair in combinations(copies, 2)
    )
    within = {pair: count for pair, count in pairs.items() if pair[0] == pair[1]}
    between = {pair: count for pair, count in pairs.items() if pair[0][0] == pair[1][0] and pair[0] != pair[1]}
    across = {pair: count for pair, count in pairs.items() if pair[0][0] != pair[1][0]}
    lines = []
    for what, found in (("within a class", within), ("between classes of a split", between), ("across splits", across)):
        lines.append(f"pairs of equal images {what}: {sum(found.values())}")
        ordered = sorted(found.items(), key=lambda item: (-item[1], item[0]))
        lines += [f"  {count} x {'/'.join(a)} = {'/'.join(b)}" for (a, b), count in ordered[:_MOST_LINES]]
        lines += [f"  and {len(ordered) - _MOST_LINES} more lines"] if len(ordered) > _MOST_LINES else []
    return lines, sum(across.values())

"""One reader a file; each makes LabelledImages out of what users have."""

from episodes.datasets.base import DataSource
from episodes.datasets.cifar import CIFARFS, FC100
from episodes.datasets.cifar_classification import CIFAR10, CIFAR100
from episodes.datasets.class_folders import ClassFolders
from episodes.datasets.cub import CUB
from episodes.datasets.digits import Digits
from episodes.datasets.folder import ImageFolders
from episodes.datasets.glyphs import Glyphs
from episodes.datasets.limited import Limited
from episodes.datasets.long_tail import LongTailed
from episodes.datasets.mini_imagenet import MiniImageNet
from episodes.datasets.mnist import MNIST
from episodes.datasets.omniglot import Omniglot
from episodes.datasets.store import StoredSource
from episodes.datasets.streamed_folders import StreamedFolders
from episodes.datasets.tiered_imagenet import TieredImageNet
from episodes.datasets.tiny_imagenet import TinyImageNet

__all__ = [
    "CIFAR10",
    "CIFAR100",
    "CIFARFS",
    "CUB",
    "FC100",
    "MNIST",
    "ClassFolders",
    "DataSource",
    "Digits",
    "Glyphs",
    "ImageFolders",
    "Limited",
    "LongTailed",
    "MiniImageNet",
    "Omniglot",
    "StoredSource",
    "StreamedFolders",
    "TieredImageNet",
    "TinyImageNet",
]

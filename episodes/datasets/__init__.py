"""Data sets: what users have becomes the images of a split. One reader a file."""

from episodes.datasets.base import DataSource
from episodes.datasets.readers.base_classes import BaseClasses
from episodes.datasets.readers.cifar import CIFAR10, CIFAR100
from episodes.datasets.readers.cifar_fs import CIFARFS, FC100
from episodes.datasets.readers.classification_folders import ClassificationFolders
from episodes.datasets.readers.cub import CUB
from episodes.datasets.readers.digits import Digits
from episodes.datasets.readers.episode_folders import EpisodeFolders
from episodes.datasets.readers.glyphs import Glyphs
from episodes.datasets.readers.inaturalist import INaturalist
from episodes.datasets.readers.limited import Limited
from episodes.datasets.readers.long_tail import LongTailed
from episodes.datasets.readers.mini_imagenet import MiniImageNet
from episodes.datasets.readers.mnist import MNIST
from episodes.datasets.readers.omniglot import Omniglot
from episodes.datasets.readers.streamed_folders import StreamedFolders
from episodes.datasets.readers.svhn import SVHN
from episodes.datasets.readers.tiered_imagenet import TieredImageNet
from episodes.datasets.readers.tiny_imagenet import TinyImageNet
from episodes.datasets.readers.unlabelled_folder import UnlabelledFolder
from episodes.datasets.store.source import StoredSource

__all__ = [
    "CIFAR10",
    "CIFAR100",
    "CIFARFS",
    "CUB",
    "FC100",
    "MNIST",
    "SVHN",
    "BaseClasses",
    "ClassificationFolders",
    "DataSource",
    "Digits",
    "EpisodeFolders",
    "Glyphs",
    "INaturalist",
    "Limited",
    "LongTailed",
    "MiniImageNet",
    "Omniglot",
    "StoredSource",
    "StreamedFolders",
    "TieredImageNet",
    "TinyImageNet",
    "UnlabelledFolder",
]

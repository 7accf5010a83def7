"""One reader a file; each makes LabelledImages out of what users have."""

from episodes.datasets.base import DataSource
from episodes.datasets.cifar import CIFARFS, FC100
from episodes.datasets.cub import CUB
from episodes.datasets.folder import ImageFolders
from episodes.datasets.glyphs import Glyphs
from episodes.datasets.mini_imagenet import MiniImageNet
from episodes.datasets.omniglot import Omniglot
from episodes.datasets.store import StoredSource
from episodes.datasets.tiered_imagenet import TieredImageNet

__all__ = [
    "CIFARFS",
    "CUB",
    "FC100",
    "DataSource",
    "Glyphs",
    "ImageFolders",
    "MiniImageNet",
    "Omniglot",
    "StoredSource",
    "TieredImageNet",
]

"""Images, labels and indices, for episodes and for batches: everything about data that knows nothing of models."""

from episodes.disjoint import DisjointSampler
from episodes.episode import EpisodeBatch, EpisodeSpec
from episodes.errors import UserError
from episodes.images.base import Images
from episodes.images.labelled import LabelledImages
from episodes.images.normalization import Normalization
from episodes.sampler import EpisodeIndices, EpisodeSampler
from episodes.source import EpisodeSource
from episodes.targets import Targets
from episodes.transformations import (
    ColorPermutation,
    Composition,
    Identity,
    Rotation,
    Subset,
    Transformations,
    named_transformations,
)

__all__ = [
    "ColorPermutation",
    "Composition",
    "DisjointSampler",
    "EpisodeBatch",
    "EpisodeIndices",
    "EpisodeSampler",
    "EpisodeSource",
    "EpisodeSpec",
    "Identity",
    "Images",
    "LabelledImages",
    "Normalization",
    "Rotation",
    "Subset",
    "Targets",
    "Transformations",
    "UserError",
    "named_transformations",
]

"""Images, labels and indices: everything about episodes that knows nothing of models."""

from episodes.episode import EpisodeBatch, EpisodeSpec
from episodes.errors import UserError
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
    "EpisodeBatch",
    "EpisodeIndices",
    "EpisodeSampler",
    "EpisodeSource",
    "EpisodeSpec",
    "Identity",
    "LabelledImages",
    "Normalization",
    "Rotation",
    "Subset",
    "Targets",
    "Transformations",
    "UserError",
    "named_transformations",
]

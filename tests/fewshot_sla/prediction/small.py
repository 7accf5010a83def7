"""Small models and pictures for the tests of this room."""

import functools
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from episodes import EpisodeBatch, Identity, LabelledImages, Normalization, Rotation, Transformations
from episodes.targets import Targets
from fewshot_sla.backbones import Conv4
from fewshot_sla.heads import Head, ProtoNetHead
from fewshot_sla.meta import DA, SLA, Plain
from fewshot_sla.meta.learners import EmbeddingLearner
from fewshot_sla.meta.objectives import EpisodeObjective
from fewshot_sla.prediction.foreign import ForeignNetwork
from fewshot_sla.prediction.model import PredictionModel, from_network
from fewshot_sla.training.randomness import seeded
from tests.tiny import TinyImages


@functools.cache
def noisy_patterns() -> LabelledImages:
    """Six classes, 12 pictures a class, 28 by 28."""
    return TinyImages(height=28, width=28, classes=6, per_class=12).open("test")


def pictures(classes: int, per_class: int, first: int = 0) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """Pictures [n, 1, 28, 28] of some classes and their labels, class by class."""
    images = noisy_patterns()
    rows = [(images.labels == label).nonzero().flatten()[first : first + per_class] for label in range(classes)]
    return images.images[torch.cat(rows)].numpy(), np.repeat(np.arange(classes), per_class)


def network(channels: int = 1, head: Head | None = None) -> EmbeddingLearner:
    """A narrow Conv-4 with random weights, the same each time; its BatchNorm has statistics of its own."""
    with seeded(0):
        backbone = Conv4(in_channels=channels, channels=8)
        for name, buffer in backbone.named_buffers():
            if name.endswith("running_var"):
                buffer.uniform_(0.5, 2)
    return EmbeddingLearner(backbone, head or ProtoNetHead())


def model(
    objective: EpisodeObjective | None = None, head: Head | None = None, channels: int = 1, side: int = 28
) -> PredictionModel:
    """The same as a model for pictures of ``side`` pixels squared, with light letters on dark ground."""
    normalization = Normalization(torch.full((channels,), 0.15), torch.full((channels,), 0.3))
    return PredictionModel(
        network(channels, head), objective or SLA(Rotation()), normalization, (channels, side, side), "small"
    )


def foreign(backbone: Any, image_size: int, **options: Any) -> PredictionModel:
    """A network from elsewhere as a model."""
    return from_network(ForeignNetwork(backbone, image_size=image_size, **options))


def objectives() -> dict[str, EpisodeObjective]:
    """One of each kind."""
    turns: Transformations = Rotation()
    return {"plain": Plain(), "da": DA(turns), "sla": SLA(turns), "sla of one view": SLA(Identity())}


def episode(support: torch.Tensor, labels: torch.Tensor, query: torch.Tensor, ways: int) -> EpisodeBatch:
    """One episode of views [S, M, D] and [R, M, D]."""
    unknown = Targets(torch.zeros(1, len(query), dtype=torch.int64))
    return EpisodeBatch(support[None], labels[None], query[None], unknown, ways)

"""Every view of every image through the backbone once: the features that all episodes then share."""

from collections.abc import Callable

import torch
from torch import Tensor

from episodes.source import EpisodeSource
from episodes.transformations import Transformations
from fewshot_sla.meta.learners.embedding import EmbeddingLearner
from fewshot_sla.training.modes import Autocast

OnProgress = Callable[[str, int, int], None]  # (what is counted, done, in all)

_VIEWS_PER_PASS = 512  # views that go through the backbone at once


def no_progress(what: str, done: int, total: int) -> None:
    """Tell nobody."""


def embed_views(
    learner: EmbeddingLearner,  # in evaluation mode
    source: EpisodeSource,
    transformations: Transformations,
    autocast: Autocast,  # context in which the backbone runs
    numbers: Tensor,  # [n] int64, numbers of images
    on_progress: OnProgress = no_progress,
) -> Tensor:  # [n, M, D] float
    """Features of the M views of the given images."""
    images_per_pass = max(1, _VIEWS_PER_PASS // transformations.m)
    features = []
    with torch.no_grad():
        for chunk in numbers.split(images_per_pass):
            views = source.image_views(chunk, transformations)  # [n, M, C, H, W]
            with autocast():
                features.append(learner.embed(views))
            on_progress("images", sum(map(len, features)), len(numbers))
    return torch.cat(features)

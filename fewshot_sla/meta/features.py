"""Every view of every image through the first stage of a learner once: the features that all episodes then share."""

import torch
from torch import Tensor

from episodes.progress import OnProgress, no_progress
from episodes.source import EpisodeSource
from episodes.transformations import Transformations
from fewshot_sla.meta.learners.base import MetaLearner
from fewshot_sla.training.modes import Autocast

_VIEWS_PER_PASS = 512  # views that go through the backbone at once


def embed_views(
    learner: MetaLearner,  # in evaluation mode
    source: EpisodeSource,
    transformations: Transformations,
    autocast: Autocast,  # context in which the learner runs
    numbers: Tensor,  # [n] int64, numbers of images
    on_progress: OnProgress = no_progress,
) -> Tensor:  # [n, M, *item] float
    """Features of the M views of the given images."""
    images_per_pass = max(1, _VIEWS_PER_PASS // transformations.m)
    features = []
    with torch.no_grad():
        for chunk in numbers.split(images_per_pass):
            views = source.image_views(chunk, transformations)  # [n, M, C, H, W]
            with autocast():
                features.append(learner.items(views))
            on_progress("images", sum(map(len, features)), len(numbers))
    return torch.cat(features)

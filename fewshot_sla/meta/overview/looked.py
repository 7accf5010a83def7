"""Some episodes of a test predicted again, by the primary inference and by fewer views than there are."""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from episodes.progress import OnProgress, no_progress
from episodes.sampler import EpisodeIndices
from episodes.source import EpisodeSource
from fewshot_sla.inference import with_inferences
from fewshot_sla.inference.first_views import by_first_views, widest_inference
from fewshot_sla.meta.learners.base import MetaLearner
from fewshot_sla.meta.objectives import EpisodeObjective
from fewshot_sla.meta.predictions import predict_episodes
from fewshot_sla.training.modes import Autocast


class LookedAt(NamedTuple):
    """E episodes and what was predicted in them.

    Attributes:
        indices: which images, in order of the numbers asked for.
        predicted: [E, R] int64, 0..N-1, by the primary inference.
        by_first_views: [E, R, V] int64, 0..N-1, by the first 1, 2, ... V views of the inference that asks most.
    """

    indices: EpisodeIndices
    predicted: Tensor
    by_first_views: Tensor


def look_at(
    learner: MetaLearner,  # on the device of the source's images
    objective: EpisodeObjective,
    source: EpisodeSource,
    numbers: Sequence[int],  # of E episodes, at least one
    autocast: Autocast,
    on_progress: OnProgress = no_progress,
) -> LookedAt:
    """Predict the episodes with these numbers; the learner is in evaluation mode meanwhile."""
    m = objective.transformations.m
    primary = objective.inferences[objective.primary]
    widest = objective.inferences[widest_inference(objective.inferences, objective.primary, m)]
    fewer = {f"first {count}": inference for count, inference in enumerate(by_first_views(widest, m), start=1)}
    asked = with_inferences(objective, {"primary": primary, **fewer})
    indices, labels = predict_episodes(learner, asked, source, numbers, autocast=autocast, on_progress=on_progress)
    return LookedAt(indices, labels["primary"], torch.stack([labels[name] for name in fewer], dim=-1))

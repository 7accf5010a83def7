"""Some episodes of a test predicted again, with what each view says alone."""

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import NamedTuple

import torch
from torch import Tensor

from episodes.progress import OnProgress, no_progress
from episodes.sampler import EpisodeIndices
from episodes.source import EpisodeSource
from fewshot_sla.inference.first_views import widest_inference
from fewshot_sla.meta.features import embed_views
from fewshot_sla.meta.learners.base import MetaLearner
from fewshot_sla.meta.objectives import EpisodeObjective
from fewshot_sla.training.modes import Autocast, evaluation_mode

_FEATURE_BUDGET = 2**30  # bytes that the features of the episodes of one group may take
_PER_PASS = 8  # episodes that go through the head at once


class LookedAt(NamedTuple):
    """E episodes and what was predicted in them.

    Attributes:
        indices: which images, in order of the numbers asked for.
        predicted: [E, R] int64, 0..N-1, by the primary inference.
        by_view: [E, R, V, N] float, what each view says by the inference with most views.
    """

    indices: EpisodeIndices
    predicted: Tensor
    by_view: Tensor


def look_at(
    learner: MetaLearner,  # on the device of the source's images
    objective: EpisodeObjective,
    source: EpisodeSource,
    numbers: Sequence[int],  # of E episodes, at least one
    autocast: Autocast,
    on_progress: OnProgress = no_progress,
) -> LookedAt:
    """Predict the episodes with these numbers; the learner is in evaluation mode meanwhile."""
    indices = source.sampler.draw(numbers)
    m = objective.transformations.m
    primary = objective.inferences[objective.primary]
    widest = objective.inferences[widest_inference(objective.inferences, objective.primary, m)]
    predicted, by_view = [], []
    with evaluation_mode(learner):
        for part, items in _groups(learner, objective, source, indices, autocast):
            views = source.gather(part, items)
            logits = {}
            for labelling in dict.fromkeys((primary.labelling, widest.labelling)):
                with autocast():  # gradients stay on: a learner may adapt to the support by descending them
                    logits[labelling] = learner.logits(labelling(views)).detach().float()
            predicted.append(primary.predict(logits[primary.labelling], m).argmax(dim=-1).cpu())
            by_view.append(widest.by_view(logits[widest.labelling], m).cpu())
            on_progress("episodes", sum(map(len, predicted)), len(numbers))
    return LookedAt(indices, torch.cat(predicted), torch.cat(by_view))


def _groups(
    learner: MetaLearner,
    objective: EpisodeObjective,
    source: EpisodeSource,
    indices: EpisodeIndices,
    autocast: Autocast,
) -> Iterator[tuple[EpisodeIndices, Callable[[Tensor], Tensor]]]:
    """A few episodes at a time, and what gives the items [..., M, *item] of their images."""
    if not learner.has_features:
        for part in _parts(indices, 1):
            yield part, partial(source.image_views, transformations=objective.transformations)
        return
    embed = partial(embed_views, learner, source, objective.transformations, autocast)
    one = embed(indices.support[0, :1])
    rows = indices.support.shape[1] + indices.query.shape[1]
    most = max(1, _FEATURE_BUDGET // (rows * one.numel() * one.element_size()))
    for group in _parts(indices, most):
        occurring, place = torch.cat([group.support, group.query], dim=1).unique(return_inverse=True)
        features = embed(occurring)
        local = group._replace(support=place[:, : group.support.shape[1]], query=place[:, group.support.shape[1] :])
        for part in _parts(local, _PER_PASS):
            yield part, partial(_rows, features)


def _rows(features: Tensor, numbers: Tensor) -> Tensor:
    return features[numbers.to(features.device)]


def _parts(indices: EpisodeIndices, size: int) -> Iterator[EpisodeIndices]:
    for start in range(0, len(indices.support), size):
        yield indices.part(start, start + size)

"""The evaluation protocol: the accuracy of a meta-learner on many episodes, by every inference of its objective."""

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import nullcontext
from functools import partial
from typing import NamedTuple

import torch
from torch import Tensor

from episodes.episode import EpisodeBatch
from episodes.labelling import Labelling
from episodes.progress import OnProgress, no_progress
from episodes.sampler import EpisodeIndices
from episodes.source import EpisodeSource
from episodes.transformations import Transformations
from fewshot_sla.meta.features import embed_views
from fewshot_sla.meta.learners.base import MetaLearner
from fewshot_sla.meta.objectives import EpisodeObjective
from fewshot_sla.training.modes import Autocast, evaluation_mode

_FEATURE_BUDGET = 2**32  # bytes that the cached features may take
_EPISODE_BUDGET = 2**28  # bytes that the features (or images) of the episodes of one pass may take


class EpisodeOutcomes(NamedTuple):
    """What came of E episodes."""

    correct: Tensor  # [E, N] int64, right answers for each class of the episode, 0..Q
    classes: Tensor  # [E, N] int64, which class of the data set it is
    n_query: int

    @property
    def accuracies(self) -> Tensor:
        """[E] float64, share of right answers in each episode."""
        return self.correct.double().mean(dim=1) / self.n_query


def evaluate(
    learner: MetaLearner,
    objective: EpisodeObjective,
    source: EpisodeSource,
    numbers: Sequence[int] | range,
    *,
    autocast: Autocast = nullcontext,
    on_progress: OnProgress = no_progress,
) -> dict[str, EpisodeOutcomes]:
    """Outcomes of the episodes with these numbers, by the name of the inference.

    The learner is in evaluation mode meanwhile, so no query sees another. If its items are features, they are computed
    once for every view of every image that occurs; any other learner is given the images of each episode.

    Args:
        learner: on the device of the source's images.
        objective: says how to infer, and with which transformations.
        source: where the episodes come from.
        numbers: numbers of the episodes.
        autocast: context in which the learner runs (mixed precision), made anew for each pass.
        on_progress: called after every pass with what is being done, how many are done, and how many there are.
    """
    indices = source.sampler.draw(numbers)
    nothing = torch.zeros(0, indices.classes.shape[1], dtype=torch.int64)  # all there is if there are no episodes
    outcomes = {name: [nothing] for name in objective.inferences}
    embed = partial(embed_views, learner, source, objective.transformations, autocast, on_progress=on_progress)
    batches = (
        _feature_views(source, indices, embed)
        if learner.has_features
        else _image_views(source, indices, objective.transformations)
    )
    done = 0
    with evaluation_mode(learner):
        for views in batches:
            logits = {labelling: _logits(learner, labelling(views), autocast) for labelling in _labellings(objective)}
            for name, inference in objective.inferences.items():
                prediction = inference.predict(logits[inference.labelling], objective.transformations.m)
                outcomes[name].append(correct_by_class(prediction, views.query_labels).cpu())
            done += len(views.support)
            on_progress("episodes", done, len(numbers))
    return {
        name: EpisodeOutcomes(torch.cat(parts), indices.classes, source.sampler.spec.n_query)
        for name, parts in outcomes.items()
    }


def predict_episode(
    learner: MetaLearner,
    objective: EpisodeObjective,
    source: EpisodeSource,
    number: int,
    autocast: Autocast = nullcontext,
) -> tuple[EpisodeIndices, Tensor]:  # the episode, and the labels [N*Q] predicted for its queries
    """One episode with its predictions by the objective's primary inference."""
    inference = objective.inferences[objective.primary]
    views = source.views([number], objective.transformations)
    with evaluation_mode(learner), autocast():
        logits = learner(inference.labelling(views)).detach()
    prediction = inference.predict(logits, objective.transformations.m)
    return source.sampler[number], prediction[0].argmax(dim=-1).cpu()


def correct_by_class(
    logits: Tensor,  # [T, R, N] float
    labels: Tensor,  # [T, R] int64, 0..N-1
) -> Tensor:  # [T, N] int64
    """How many queries of each class were given their own class."""
    right = (logits.argmax(dim=-1) == labels).long()
    return torch.zeros(logits.shape[0], logits.shape[2], dtype=torch.int64, device=logits.device).scatter_add_(
        1, labels, right
    )


def _labellings(objective: EpisodeObjective) -> list[Labelling]:
    """The different labellings that the inferences use: each needs its own pass through the head."""
    return list(dict.fromkeys(inference.labelling for inference in objective.inferences.values()))


def _logits(learner: MetaLearner, episodes: EpisodeBatch, autocast: Autocast) -> Tensor:
    """Logits of episodes of the learner's items."""
    with autocast():  # gradients stay on: a learner may adapt to the support by descending them
        return learner.logits(episodes).detach()


def _feature_views(
    source: EpisodeSource,
    indices: EpisodeIndices,
    embed: Callable[..., Tensor],  # numbers of images [n] -> features of their views [n, M, *item]
) -> Iterator[EpisodeBatch]:  # items [T, S, M, *item]
    """Features of every view of every image that occurs, once; then gather those of many episodes at a time."""
    if not len(indices.support):
        return
    rows = indices.support.shape[1] + indices.query.shape[1]
    one = embed(indices.support[0, :1], on_progress=no_progress)  # [1, M, *item]
    image_bytes = one.numel() * one.element_size()
    per_cache = len(indices.support)
    if image_bytes * len(source.images) > _FEATURE_BUDGET:  # the features of the whole split do not fit
        per_cache = _share(_FEATURE_BUDGET, image_bytes * rows, per_cache)
    per_pass = _share(_EPISODE_BUDGET, image_bytes * rows, per_cache)

    for cached in _parts(indices, per_cache):
        occurring, place = torch.cat([cached.support, cached.query], dim=1).unique(return_inverse=True)
        features = embed(occurring)  # [n, M, *item]
        local = cached._replace(support=place[:, : cached.support.shape[1]], query=place[:, cached.support.shape[1] :])
        for part in _parts(local, per_pass):
            yield source.gather(part, partial(_rows, features))


def _image_views(
    source: EpisodeSource, indices: EpisodeIndices, transformations: Transformations
) -> Iterator[EpisodeBatch]:  # items [T, S, M, C, H, W]
    """The views of the images of every episode, for learners that adapt to the episode as a whole."""
    rows = indices.support.shape[1] + indices.query.shape[1]
    views_bytes = 4 * rows * transformations.m * math.prod(source.images.image_shape)
    per_pass = _share(_EPISODE_BUDGET // 16, views_bytes, len(indices.support))  # activations outweigh images
    for part in _parts(indices, per_pass):
        yield source.gather(part, partial(source.image_views, transformations=transformations))


def _rows(features: Tensor, numbers: Tensor) -> Tensor:
    return features[numbers.to(features.device)]


def _parts(indices: EpisodeIndices, size: int) -> Iterator[EpisodeIndices]:
    for start in range(0, len(indices.support), size):
        yield indices.part(start, start + size)


def _share(budget: int, bytes_each: int, most: int) -> int:
    """How many fit into the budget, at least one, at most ``most``."""
    return max(1, min(most, budget // bytes_each))

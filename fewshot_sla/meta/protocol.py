"""The evaluation protocol: the accuracy of a meta-learner on many episodes, by every inference of its objective."""

from collections.abc import Sequence
from contextlib import nullcontext
from typing import NamedTuple

import torch
from torch import Tensor

from episodes.images.crops import Crops, as_is
from episodes.progress import OnProgress, no_progress
from episodes.sampler import EpisodeIndices
from episodes.source import EpisodeSource
from fewshot_sla.inference import Inference
from fewshot_sla.meta.learners.base import MetaLearner
from fewshot_sla.meta.objectives import EpisodeObjective
from fewshot_sla.meta.predictions import Kept, Selection, kept_of_all
from fewshot_sla.meta.team import ALONE, EvaluationTeam
from fewshot_sla.training.modes import Autocast


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
    """Outcomes of the episodes with these numbers, by the name of the inference; see :func:`evaluate_all`."""
    asked = [Selection(source, numbers)]
    (outcomes,) = evaluate_all(learner, objective, asked, autocast=autocast, on_progress=on_progress)
    return outcomes


def evaluate_all(
    learner: MetaLearner,
    objective: EpisodeObjective,
    asked: Sequence[Selection],
    *,
    crops: Crops = as_is,
    autocast: Autocast = nullcontext,
    on_progress: OnProgress = no_progress,
    team: EvaluationTeam = ALONE,
) -> list[dict[str, EpisodeOutcomes]]:  # of each selection: outcomes by the name of the inference
    """Outcomes of several kinds of episodes of the same images.

    Args:
        learner, objective, asked, crops, autocast, on_progress, team: as of
            :func:`~fewshot_sla.meta.predictions.kept_of_all`.

    Raises:
        UserError: if there are crops, and the learner has no features to average.
        ValueError: if the sources differ in their images or their normalisation.
    """
    every = kept_of_all(
        learner, objective, asked, _right, crops=crops, autocast=autocast, on_progress=on_progress, team=team
    )
    return [{name: _outcomes(kept, indices) for name, kept in by_inference.items()} for indices, by_inference in every]


def correct_by_class(
    logits: Tensor,  # [T, R, N] float
    labels: Tensor,  # [T, R] int64, 0..N-1
) -> Tensor:  # [T, N] int64
    """How many queries of each class were given their own class."""
    right = (logits.argmax(dim=-1) == labels).long()
    return torch.zeros(logits.shape[0], logits.shape[2], dtype=torch.int64, device=logits.device).scatter_add_(
        1, labels, right
    )


def _right(inference: Inference, by_view: Tensor, labels: Tensor) -> Kept:
    return {"correct": correct_by_class(inference.combine(by_view), labels)}


def _outcomes(kept: Kept, indices: EpisodeIndices) -> EpisodeOutcomes:
    correct = kept.get("correct", torch.zeros_like(indices.classes))  # none is kept of no episodes
    return EpisodeOutcomes(correct, indices.classes, indices.n_query)

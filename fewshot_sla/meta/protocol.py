"""The evaluation protocol: the accuracy of a meta-learner on many episodes, by every inference of its objective.

Where queries of unknown classes are asked too: how well each score of a query tells whether its class is known.
"""

from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from types import MappingProxyType
from typing import NamedTuple

import torch
from torch import Tensor

from episodes.images.crops import Crops, as_is
from episodes.progress import OnProgress, no_progress
from episodes.source import EpisodeSource
from fewshot_sla.inference import Inference
from fewshot_sla.inference.scores import scores_of
from fewshot_sla.meta.learners.base import MetaLearner
from fewshot_sla.meta.objectives import EpisodeObjective
from fewshot_sla.meta.predictions import Kept, Selection, kept_of_all
from fewshot_sla.meta.team import ALONE, EvaluationTeam
from fewshot_sla.runs.detection import auroc_of_rows
from fewshot_sla.training.modes import Autocast

_CORRECT = "correct"  # what is kept beside the scores
_NO_SCORES: Mapping[str, Tensor] = MappingProxyType({})


class EpisodeOutcomes(NamedTuple):
    """What came of E episodes."""

    correct: Tensor  # [E, N] int64, right answers for each class of the episode, 0..Q
    classes: Tensor  # [E, N] int64, which class of the data set it is
    n_query: int
    aurocs: Mapping[str, Tensor] = _NO_SCORES  # by score: [E] float64, 0..1, known queries against unknown ones

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
        learner, objective, asked, _judged, crops=crops, autocast=autocast, on_progress=on_progress, team=team
    )
    outcomes = []
    for selection, (indices, found) in zip(asked, every, strict=True):
        outcomes.append({name: _outcomes(kept, indices.classes, selection) for name, kept in found.items()})
    return outcomes


def correct_by_class(
    logits: Tensor,  # [T, R, N] float
    labels: Tensor,  # [T, R] int64, 0..N-1
) -> Tensor:  # [T, N] int64
    """How many queries of each class were given their own class."""
    right = (logits.argmax(dim=-1) == labels).long()
    return torch.zeros(logits.shape[0], logits.shape[2], dtype=torch.int64, device=logits.device).scatter_add_(
        1, labels, right
    )


def aurocs_of_episodes(
    inference: Inference,
    by_view: Tensor,  # [T, R, V, N] float: class logits of each view of each query
    known: int,  # 1..R-1: the first of the queries are of known classes, the others are not
) -> dict[str, Tensor]:  # by score, each [T] float64 on the CPU, 0..1
    """How well each score tells the known queries of an episode from the unknown ones: 1 is best, 0.5 is chance."""
    wide = by_view.cpu().double()  # in float32 all probabilities that are sure enough are 1; MPS has no float64
    scores = {name: rows.numpy() for name, rows in scores_of(wide, inference.combine).items()}
    return {name: torch.from_numpy(auroc_of_rows(rows[:, :known], rows[:, known:])) for name, rows in scores.items()}


def _judged(inference: Inference, by_view: Tensor, labels: Tensor, known: int) -> Kept:
    """Right answers to the known queries, and AUROCs if there are unknown ones."""
    correct = correct_by_class(inference.combine(by_view[:, :known]), labels[:, :known])
    aurocs = aurocs_of_episodes(inference, by_view, known) if known < labels.shape[1] else {}
    return {_CORRECT: correct, **aurocs}


def _outcomes(kept: Kept, classes: Tensor, selection: Selection) -> EpisodeOutcomes:
    correct = kept.get(_CORRECT, torch.zeros_like(classes))  # nothing is kept of no episodes
    aurocs = {name: values for name, values in kept.items() if name != _CORRECT}
    return EpisodeOutcomes(correct, classes, selection.source.sampler.spec.n_query, aurocs)

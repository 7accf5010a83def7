"""One episode of real pictures: the support with labels, the queries without; scores, and how the views voted."""

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

from episodes.episode import EpisodeBatch
from episodes.labels import unflatten_pairs
from fewshot_sla.heads.base import check_support_labels
from fewshot_sla.inference.aggregation import aggregated_inference, conditional_logits, mean_over_views
from fewshot_sla.meta.learners.base import MetaLearner
from fewshot_sla.meta.objectives import Inference
from fewshot_sla.training.modes import evaluation_mode


class Scores(NamedTuple):
    """Of R queries in T episodes."""

    logits: Tensor  # [T, R, N] float32 or float64, on the CPU
    votes: Tensor  # [T, R, V] int64, the class that each view alone votes for


def _conditional(joint: Tensor, m: int) -> Tensor:
    return conditional_logits(joint, m).mT  # [T, R, M, N]


def _each_view(logits: Tensor, m: int) -> Tensor:
    return unflatten_pairs(logits, -2, m)  # [T, R, M, N]


# What the M views say before their logits are averaged; every other read-out asks one view only.
_VIEWS: dict[Callable[[Tensor, int], Tensor], Callable[[Tensor, int], Tensor]] = {
    aggregated_inference: _conditional,
    mean_over_views: _each_view,
}


def score(
    learner: MetaLearner,
    inference: Inference,
    support: Tensor,  # [T, S, M, *item] features or normalised views
    support_labels: Tensor,  # [T, S] int64, 0..ways-1
    query: Tensor,  # [T, R, M, *item]
    ways: int,  # N
) -> Scores:
    """What evaluation does with an episode, for queries whose class nobody knows.

    Raises:
        UserError: if a class has no support, or the learner cannot take such an episode.
    """
    check_support_labels(support_labels, ways)
    unknown = torch.zeros(query.shape[:2], dtype=torch.int64, device=query.device)
    episodes = inference.labelling(EpisodeBatch(support, support_labels, query, unknown, ways))
    m = support.shape[2]
    with evaluation_mode(learner):
        raw = learner.logits(episodes).detach()
    logits = inference.read_out(raw, m)
    views = _VIEWS[inference.read_out](raw, m) if inference.read_out in _VIEWS else logits.unsqueeze(-2)
    return Scores(logits.cpu(), views.argmax(dim=-1).cpu())


def probabilities(logits: Tensor) -> Tensor:  # [..., N] any float -> [..., N] float64
    """Softmax over the classes: a number between 0 and 1 for each, not calibrated."""
    return torch.softmax(logits.double(), dim=-1)

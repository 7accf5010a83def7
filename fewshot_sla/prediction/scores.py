"""One episode of real pictures: the support with labels, the queries without; scores, and how the views voted."""

from typing import NamedTuple

import torch
from torch import Tensor

from episodes.episode import EpisodeBatch
from episodes.targets import Targets
from fewshot_sla.heads.base import check_support_labels
from fewshot_sla.inference import Inference
from fewshot_sla.meta.learners.base import MetaLearner
from fewshot_sla.training.modes import evaluation_mode


class Scores(NamedTuple):
    """Of R queries in T episodes."""

    logits: Tensor  # [T, R, N] float32 or float64, on the CPU
    votes: Tensor  # [T, R, V] int64, the class that each view alone votes for


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
    unknown = Targets(torch.zeros(query.shape[:2], dtype=torch.int64, device=query.device))
    episodes = inference.labelling(EpisodeBatch(support, support_labels, query, unknown, ways))
    m = support.shape[2]
    with evaluation_mode(learner):
        raw = learner.logits(episodes).detach()
    return Scores(inference.predict(raw, m).cpu(), inference.votes(raw, m).cpu())


def probabilities(logits: Tensor) -> Tensor:  # [..., N] any float -> [..., N] float64
    """Softmax over the classes: a number between 0 and 1 for each, not calibrated."""
    return torch.softmax(logits.double(), dim=-1)

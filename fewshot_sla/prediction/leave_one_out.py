"""How far to trust a support set: each of its pictures in turn is left out and predicted from the others."""

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from episodes.errors import UserError
from episodes.progress import OnProgress, no_progress
from fewshot_sla.inference import Inference
from fewshot_sla.meta.learners.base import MetaLearner
from fewshot_sla.prediction.prototypes import by_prototypes, leave_out_of_prototypes
from fewshot_sla.prediction.scores import score

MOST = 300  # pictures that are left out in turn; of a larger support set, that many are drawn at most
_CELLS = 10**9  # rows times labels, over all episodes: of a very large support set fewer are left out
_BUDGET = 2**27  # bytes that the items and label indicators of the episodes of one pass may take
_NORMAL_QUANTILE = 1.959963984540054  # of 0.975


class LeftOut(NamedTuple):
    """What came of it.

    Attributes:
        rows: [n] int64, numbers of the support pictures that were left out, ascending.
        predicted: [n] int64, the class predicted for each.
        eligible: how many could have been left out: those of classes with two pictures or more.
    """

    rows: NDArray[np.int64]
    predicted: NDArray[np.int64]
    eligible: int


NOTHING_LEFT_OUT = LeftOut(np.zeros(0, np.int64), np.zeros(0, np.int64), 0)


def leave_one_out(
    learner: MetaLearner,
    inference: Inference,
    items: Tensor,  # [S, M, *item] features or normalised views of the support
    labels: Tensor,  # [S] int64, 0..ways-1
    ways: int,
    most: int = MOST,
    on_progress: OnProgress = no_progress,
) -> LeftOut:
    """Predict every support picture as if it were a query and not in the support; exact, nothing is approximated.

    An episode for each picture, of S - 1 rows; many episodes at a time (for a prototypical network, by its class means,
    which is the same). A picture that is alone in its class cannot be
    left out, for its class would be gone.

    Raises:
        UserError: if the learner is transductive: alone, a picture is answered otherwise than among others.
    """
    if learner.transductive:
        raise UserError("a transductive model answers pictures together, so they cannot be left out one by one")
    counts = torch.bincount(labels, minlength=ways)
    eligible = (counts[labels] > 1).nonzero().flatten().cpu().numpy()
    size, m = items.shape[:2]
    quick = by_prototypes(learner)
    total = inference.labelling.ways(ways, m)
    cells = total * (total if quick else size * m)  # of the indicator of rows and labels that a head makes
    most = max(1, min(most, _CELLS // cells))
    rows = eligible
    if len(rows) > most:
        rows = np.sort(np.random.default_rng(0).choice(rows, size=most, replace=False))
    kept = ways * items[0].numel() if quick else items.numel()
    at_once = max(1, _BUDGET // (kept * items.element_size() + 16 * cells))
    predicted = []
    for start in range(0, len(rows), at_once):
        left = torch.from_numpy(rows[start : start + at_once]).to(items.device)  # [T]
        if quick:
            logits = leave_out_of_prototypes(learner, inference, items, labels, left, ways)
        else:
            logits = _by_the_head(learner, inference, items, labels, left, ways)
        predicted.append(logits.argmax(dim=-1))
        on_progress("leaving one out", min(start + at_once, len(rows)), len(rows))
    found = torch.cat(predicted).numpy() if predicted else np.zeros(0, np.int64)
    return LeftOut(rows, found, len(eligible))


def _by_the_head(
    learner: MetaLearner, inference: Inference, items: Tensor, labels: Tensor, left: Tensor, ways: int
) -> Tensor:  # [T, N]
    """An episode for each row that is left out, with all the others as support; any learner."""
    others = torch.arange(len(items) - 1, device=items.device).expand(len(left), -1)
    others = others + (others >= left[:, None])  # [T, S-1]
    return score(learner, inference, items[others], labels[others], items[left][:, None], ways).logits[:, 0]


def confusion(
    true: Sequence[int] | NDArray[np.int64],
    predicted: Sequence[int] | NDArray[np.int64],
    ways: int,
) -> NDArray[np.int64]:  # [N, N]
    """How often a picture of the row's class was given the column's.

    >>> confusion([0, 0, 1], [0, 1, 1], 2).tolist()
    [[1, 1], [0, 1]]
    """
    table = np.zeros((ways, ways), np.int64)
    np.add.at(table, (np.asarray(true, np.int64), np.asarray(predicted, np.int64)), 1)
    return table


def wilson_interval(right: int, of: int) -> tuple[float, float]:
    """95 % interval of a share, right for few trials and for shares near 0 and 1.

    With p the share and z the normal quantile: (p + z²/2n ± z sqrt(p(1-p)/n + z²/4n²)) / (1 + z²/n).

    Wilson, Probable inference, the law of succession, and statistical inference, JASA 1927.

    >>> [round(end, 3) for end in wilson_interval(9, 10)]
    [0.596, 0.982]
    """
    share, z = right / of, _NORMAL_QUANTILE
    centre = share + z * z / (2 * of)
    spread = z * math.sqrt(share * (1 - share) / of + z * z / (4 * of * of))
    scale = 1 + z * z / of
    # At the ends the formula gives 0 and 1 exactly, but for rounding.
    return (centre - spread) / scale if right else 0.0, (centre + spread) / scale if right < of else 1.0

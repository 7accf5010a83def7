"""FRN: a query belongs to the class whose support it can be rebuilt from, place by place, by ridge regression."""

import torch
from torch import Tensor, nn

from episodes.errors import UserError
from episodes.targets import Targets
from fewshot_sla.heads.base import one_hot
from fewshot_sla.heads.maps import MapHead
from fewshot_sla.solvers.ridge import ridge_regression

_LEAST = 1e-6  # of the ridge, as in the authors' program


def frn_scores(
    support: Tensor,  # [T, S, C, h, w] float32 or float64
    support_labels: Tensor,  # [T, S] int64, 0..ways-1, every class present
    query: Tensor,  # [T, R, C, h, w]
    ways: int,
    alpha: float | Tensor = 0.0,  # log of the ridge's factor
    beta: float | Tensor = 0.0,  # log of the factor of what was rebuilt
) -> Tensor:  # [T, R, W] <= 0
    """Mean squared error over the r = h*w places of rebuilding a query from all places of a class, negative::

        B = argmin ||Q - B S_w||^2 + lambda ||B||^2,   lambda = k r / C * exp(alpha) + 1e-6
        scores[., w] = -1/r ||Q - exp(beta) B S_w||^2

    with Q [r, C] the places of the query and S_w [k r, C] those of the k support maps of class w, both over sqrt(C).
    The ridge grows with the number of rows, of each class by itself. One factorisation a class, of the smaller of k r
    and C, serves all queries. Besides what the solver reads, one number is read from the device: the most shots that a
    class has.

    Wertheimer et al. 2021 (arXiv 2012.01506), eq. 2-8.

    Raises:
        SolverError: NaN features; names the class among T * W.
    """
    size = support.shape[2] ** 0.5
    rows, queries = (maps.flatten(3).mT / size for maps in (support, query))  # [T, n, r, C]
    classes, shots = _by_class(rows, support_labels, ways)  # [T, W, k*r, C]
    places, channels = rows.shape[2:]
    ridge = (shots * places / channels)[..., None, None] * torch.as_tensor(alpha).exp() + _LEAST
    asked = queries.flatten(1, 2)[:, None].expand(-1, ways, -1, -1)  # [T, W, R*r, C]
    weights = ridge_regression(classes.mT, asked.mT, ridge).value  # [T, W, k*r, R*r]: B transposed
    rebuilt = torch.as_tensor(beta).exp() * (weights.mT @ classes)  # [T, W, R*r, C]
    errors = (rebuilt - asked).square().sum(-1)
    return -errors.unflatten(-1, (-1, places)).mean(-1).mT


def overlap(
    support: Tensor,  # [T, S, C, h, w]
    support_labels: Tensor,  # [T, S] int64
) -> Tensor:  # scalar, 0..1
    """How far the classes share their subspaces: mean squared cosine between places of maps of different classes.

    The auxiliary loss of Wertheimer et al. 2021, section 3.5, as a mean in place of the sum, so that it means the same
    for any number of classes, shots and places. (The authors' program divides by the norm of all rows together.)
    """
    rows = nn.functional.normalize(support.flatten(3).mT, dim=-1).flatten(1, 2)  # [T, S*r, C]
    labels = support_labels.repeat_interleave(support.shape[3:].numel(), dim=1)
    different = (labels[:, :, None] != labels[:, None]).to(rows.dtype)
    return ((rows @ rows.mT).square() * different).sum() / different.sum()


class FRNHead(MapHead):
    """Feature map reconstruction network: ``logits = scale * frn_scores``, with alpha and beta learned.

    Args:
        scale: factor of the logits at the start, the paper's gamma; a calibrated start replaces it.
        learn_scale: whether training changes it.
        learn_ridge: whether training changes alpha and beta, which start from 0.
        auxiliary: weight of :func:`overlap` in the loss; 0 for none.

    Raises:
        UserError: if a number is out of range.
    """

    def __init__(
        self, scale: float = 1.0, learn_scale: bool = True, learn_ridge: bool = True, auxiliary: float = 0.03
    ) -> None:
        super().__init__(scale, learn_scale)
        if not 0 <= auxiliary < float("inf"):
            raise UserError(f"FRNHead: auxiliary must be at least 0, got {auxiliary}")
        self.learn_ridge, self.auxiliary = learn_ridge, auxiliary
        self.alpha, self.beta = (nn.Parameter(torch.tensor(0.0), requires_grad=learn_ridge) for _ in range(2))

    def map_scores(self, support: Tensor, support_labels: Tensor, query: Tensor, ways: int) -> Tensor:
        """:func:`frn_scores`."""
        return frn_scores(support, support_labels, query, ways, self.alpha, self.beta)

    def logits_with_loss(
        self, support: Tensor, support_labels: Tensor, query: Tensor, query_targets: Targets, ways: int
    ) -> tuple[Tensor, Tensor | None]:
        """The logits, and how far the classes overlap."""
        logits = self.logits(support, support_labels, query, ways)
        return logits, self.auxiliary * overlap(self.unfolded(support), support_labels) if self.auxiliary else None


def _by_class(
    rows: Tensor,  # [T, S, r, C]
    labels: Tensor,  # [T, S] int64
    ways: int,
) -> tuple[Tensor, Tensor]:  # [T, W, k*r, C] with k of the largest class, zero where a class has fewer; [T, W] shots
    """The places of each class, one below the other. Rows of zeros neither help nor cost to rebuild anything."""
    members = one_hot(labels, ways, rows.dtype)  # [T, S, W]
    shots = members.sum(1)
    most = int(shots.max())
    among = members.cumsum(1).gather(2, labels[..., None]).squeeze(-1).long() - 1  # which row of its class each is
    places = (labels * most + among)[..., None, None].expand_as(rows)
    padded = rows.new_zeros(len(rows), ways * most, *rows.shape[2:]).scatter(1, places, rows)
    return padded.unflatten(1, (ways, most)).flatten(2, 3), shots

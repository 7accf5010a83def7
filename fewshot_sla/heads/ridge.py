"""MetaOptNet-RR: ridge regression from support features to one-hot labels, in closed form."""

from torch import Tensor

from episodes.errors import UserError
from fewshot_sla.heads.base import ScaledHead, one_hot
from fewshot_sla.solvers.ridge import ridge_regression


def ridge_logits(
    support: Tensor,  # [T, S, D] float32 or float64
    support_labels: Tensor,  # [T, S] int64, 0..ways-1, every class present
    query: Tensor,  # [T, R, D]
    ways: int,
    regularization: float = 50.0,  # lambda
) -> Tensor:  # [T, R, W]
    """Scores of the ridge regression that MetaOptNet writes as a quadratic program::

        alpha_w = argmin 1/2 a' (X X' + lambda I) a - 2 y_w' a = 2 (X X' + lambda I)^-1 y_w,   logits = Q X' alpha

    with X the support and Q the query features, y_w the indicator of class w. X' alpha is twice the ridge weights, so
    the smaller of an S x S and a D x D system is factorised, once for all classes.

    Raises:
        SolverError: NaN features, or an ill-conditioned system; names the episode.

    Lee et al. 2019 (arXiv 1904.03758), section 4.2; Bertinetto et al. 2019 (arXiv 1805.08136), eq. 4-5.
    """
    targets = 2 * one_hot(support_labels, ways, support.dtype)
    return query @ ridge_regression(support, targets, regularization).value


class RidgeHead(ScaledHead):
    """MetaOptNet-RR, the ridge regression head.

    Args:
        regularization: lambda, added to the diagonal of the support rows' inner products.
        scale: factor of the logits at the start; a calibrated start replaces it.
        learn_scale: whether training changes it.
    """

    def __init__(self, regularization: float = 50.0, scale: float = 1.0, learn_scale: bool = True):
        super().__init__(scale, learn_scale)
        if not 0 < regularization < float("inf"):
            raise UserError(f"RidgeHead: regularization must be positive and finite, got {regularization}")
        self.regularization = regularization

    def scores(self, support: Tensor, support_labels: Tensor, query: Tensor, ways: int) -> Tensor:
        """:func:`ridge_logits`."""
        return ridge_logits(support, support_labels, query, ways, self.regularization)

    def extra_repr(self) -> str:
        """What ``print(head)`` shows."""
        return f"regularization={self.regularization}"

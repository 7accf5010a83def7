"""Multinomial logistic regression fitted to each episode's support features, as practitioners do by hand."""

from torch import Tensor

from episodes.errors import UserError
from fewshot_sla.heads.base import ScaledHead, one_hot
from fewshot_sla.heads.normalized import centred_directions
from fewshot_sla.solvers.logistic.regression import logistic_regression


def logistic_logits(
    support: Tensor,  # [T, S, D] float32 or float64
    support_labels: Tensor,  # [T, S] int64, 0..ways-1, every class present
    query: Tensor,  # [T, R, D]
    ways: int,
    C: float | Tensor = 1.0,
    bias: bool = True,
) -> Tensor:  # [T, R, W]
    """Logits of the logistic regression with an L2 penalty that the intercept is free of::

        minimise 1/2 ||w||^2 + C sum over s of cross_entropy(x_s w + b, y_s),   logits = Q w + b

    It is solved to its optimum in float64, whatever the dtype of the features, in the span of the S rows; see
    :func:`~fewshot_sla.solvers.logistic.regression.logistic_regression`. The gradient is that of the optimum.

    Raises:
        SolverError: NaN features, or no convergence; names the episode.

    Tian et al. 2020 (arXiv 2003.11539).
    """
    rows = support.double()
    targets = one_hot(support_labels, ways, rows.dtype)
    fit = logistic_regression(rows @ rows.mT, targets, C, bias=bias).value
    weights = (rows.mT @ fit[:, :-1]).to(query.dtype)
    return query @ weights + fit[:, -1:].to(query.dtype)


class LogisticRegressionHead(ScaledHead):
    """Logistic regression on (normalised) features, the head of "Rethinking few-shot classification" (RFS).

    It equals scikit-learn's ``LogisticRegression(C=C)`` on the same rows. (For two classes scikit-learn fits a single
    weight vector, whose penalty is twice as strong: there its C is twice ours.)

    Args:
        C: weight of the losses beside the penalty, positive; 1 in the authors' program.
        normalize: whether every feature is divided by its L2 norm first, as in the authors' program.
        bias: whether there is an intercept, as in the authors' program. Where classes have different numbers of shots
            it learns that the larger ones are more likely, which in few-shot problems they are not: at C = 1 on
            normalised features it takes queries of a class with one row for those of a class with seven.
        scale: factor of the logits at the start; a calibrated start replaces it. It changes probabilities and what is
            learned by them, and no answer.
        learn_scale: whether training changes it.

    Raises:
        UserError: if a number is out of range.
    """

    def __init__(
        self,
        C: float = 1.0,
        normalize: bool = True,
        bias: bool = False,
        scale: float = 1.0,
        learn_scale: bool = True,
    ):
        super().__init__(scale, learn_scale)
        if not 0 < C < float("inf"):
            raise UserError(f"LogisticRegressionHead: C must be positive and finite, got {C}")
        self.C = C
        self.normalize = normalize
        self.bias = bias

    def scores(self, support: Tensor, support_labels: Tensor, query: Tensor, ways: int) -> Tensor:
        """:func:`logistic_logits`."""
        if self.normalize:
            support, query = (centred_directions(features) for features in (support, query))
        return logistic_logits(support, support_labels, query, ways, self.C, self.bias)

    def extra_repr(self) -> str:
        """What ``print(head)`` shows."""
        return f"C={self.C}, normalize={self.normalize}, bias={self.bias}"

"""R2-D2: ridge regression with a bias, whose regularisation and logits are adjusted by learned numbers."""

import math

import torch
from torch import Tensor, nn

from episodes.errors import UserError
from fewshot_sla.heads.base import ScaledHead, one_hot, register_number
from fewshot_sla.solvers.ridge import ridge_regression


def r2d2_logits(
    support: Tensor,  # [T, S, D] float32 or float64
    support_labels: Tensor,  # [T, S] int64, 0..ways-1, every class present
    query: Tensor,  # [T, R, D]
    ways: int,
    regularization: float | Tensor = 50.0,  # lambda
) -> Tensor:  # [T, R, W]
    """Scores of the ridge regression from features to one-hot labels; the bias is the weight of a feature that is 1::

        W = argmin 1/S ||[X, 1] W - Y||^2 + lambda ||W||^2,   logits = [Q, 1] W

    with X the support and Q the query features, Y the one-hot labels. The mean over the S rows makes the ridge of the
    normal equations S * lambda, so lambda means the same for any number of rows: of 1 shot or 5, with label
    augmentation or without. The bias is penalised as the other weights are.

    Raises:
        SolverError: NaN features, or an ill-conditioned system; names the episode.

    Bertinetto et al. 2019 (arXiv 1805.08136), eq. 4-5; bias and mean are in their program (bertinetto/r2d2).
    """
    rows, queries = (nn.functional.pad(features, (0, 1), value=1.0) for features in (support, query))
    targets = one_hot(support_labels, ways, support.dtype)
    return queries @ ridge_regression(rows, targets, support.shape[1] * regularization).value


class R2D2Head(ScaledHead):
    """R2-D2, the differentiable ridge regression head: ``logits = scale * scores + offset``.

    Not :class:`~fewshot_sla.heads.ridge.RidgeHead` (MetaOptNet-RR), though by the same solver: that one has no bias,
    adds lambda to the sum over the rows and not to their mean (so it regularises N*M*K rows less than N*K), doubles the
    scores, and keeps lambda fixed. Here lambda = exp(log_regularization) is learned, and cannot become negative.

    The offset is the same for all classes: softmax does not see it, and cross-entropy leaves it where it is. It is
    there because the paper's adjustment of the logits has it.

    Args:
        regularization: lambda at the start, positive.
        scale: factor of the logits at the start; a calibrated start replaces it. The authors begin with 10 on CIFAR-FS
            and with 0.0001 on mini-ImageNet.
        learn_scale: whether training changes it.
        learn_regularization: whether training changes lambda; the configuration that the authors ship does not.

    Raises:
        UserError: if a number is out of range.
    """

    log_regularization: Tensor  # [] float32; a parameter if it is learned, else a buffer

    def __init__(
        self,
        regularization: float = 50.0,
        scale: float = 10.0,
        learn_scale: bool = True,
        learn_regularization: bool = True,
    ):
        super().__init__(scale, learn_scale)
        if not 0 < regularization < float("inf"):
            raise UserError(f"R2D2Head: regularization must be positive and finite, got {regularization}")
        self.learn_regularization = learn_regularization
        register_number(self, "log_regularization", math.log(regularization), learn_regularization)
        self.offset = nn.Parameter(torch.tensor(0.0))

    @property
    def regularization(self) -> Tensor:  # [] positive
        """Lambda as it is now."""
        return self.log_regularization.exp()

    def scores(self, support: Tensor, support_labels: Tensor, query: Tensor, ways: int) -> Tensor:
        """:func:`r2d2_logits`."""
        return r2d2_logits(support, support_labels, query, ways, self.regularization)

    def logits(self, support: Tensor, support_labels: Tensor, query: Tensor, ways: int) -> Tensor:
        """``scale * scores + offset``."""
        return super().logits(support, support_labels, query, ways) + self.offset

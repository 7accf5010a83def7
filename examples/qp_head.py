"""A head that is a quadratic program of one's own: one binary support vector machine a class, against the rest.

Check it, from the root of the checkout::

    python -m fewshot_sla.check_head examples.qp_head.OneVersusRestHead
"""

import torch
from torch import Tensor, nn

from fewshot_sla.heads import Head
from fewshot_sla.solvers.qp.dense import solve_dense_qp


class OneVersusRestHead(Head):
    """Binary machines without intercept; for class w, with y_i = 1 for its rows and -1 for the others::

        minimise 1/2 a' (yy' * (X X' + r I)) a - sum(a)   subject to   0 <= a <= C,   logit = query' X' (y * a)

    Args:
        C: price of a margin violation.
        kernel_regularization: r.
    """

    def __init__(self, C: float = 0.1, kernel_regularization: float = 1.0):
        super().__init__()
        self.C, self.kernel_regularization = C, kernel_regularization

    def logits(
        self,
        support: Tensor,  # [T, S, D]
        support_labels: Tensor,  # [T, S] int64
        query: Tensor,  # [T, R, D]
        ways: int,
    ) -> Tensor:  # [T, R, ways]
        """Scores of the ways machines, which are solved in one batch of T * ways programs."""
        rows = support.double()
        sign = 2 * nn.functional.one_hot(support_labels, ways).mT.to(rows) - 1  # [T, ways, S]
        identity = torch.eye(rows.shape[1], dtype=rows.dtype, device=rows.device)
        kernel = rows @ rows.mT + self.kernel_regularization * identity
        duals = solve_dense_qp(
            Q=sign[..., :, None] * kernel[:, None] * sign[..., None, :],  # [T, ways, S, S]
            p=-torch.ones_like(identity[0]),  # the same for all programs
            G=torch.cat([identity, -identity]),
            h=torch.cat([self.C * torch.ones_like(identity[0]), torch.zeros_like(identity[0])]),
            solver="one-versus-rest SVM",
        ).value
        return query @ (rows.mT @ (sign * duals).mT).to(query.dtype)

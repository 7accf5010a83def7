"""Multinomial logistic regression with an L2 penalty, batched and differentiable."""

import torch
from torch import Tensor

from fewshot_sla.solvers.kernel_problem import batch_and_ways, check_kernel, labels_of
from fewshot_sla.solvers.logistic.function import LogisticDual
from fewshot_sla.solvers.logistic.newton import Fit, errors, residual
from fewshot_sla.solvers.optimality import largest
from fewshot_sla.solvers.solution import Solution, status_of

SOLVER = "logistic regression"
TOLERANCE = 1e-8
"""Largest relative residual that counts as solved."""
MEMORY = 512 * 2**20
"""Bytes that a solve may take beside its inputs and its result, unless told otherwise."""


def logistic_regression(
    kernel: Tensor,  # [*batch, S, S] symmetric positive semidefinite: inner products of the rows, X X'
    one_hot: Tensor,  # [*batch, S, W] 0 or 1, one 1 a row
    C: float | Tensor = 1.0,  # > 0; a tensor broadcasts to *batch
    *,
    bias: bool = True,
    tolerance: float = TOLERANCE,
    memory: int = MEMORY,
    check: bool = True,
) -> Solution:  # value [*batch, S+1, W]: dual variables alpha in rows 0..S-1, the intercept b in the last
    """Multinomial logistic regression by its dual variables; the weights are X' alpha::

        minimise 1/2 ||w||^2 + C sum over s of cross_entropy(x_s w + b, y_s)
        w = X' alpha,   alpha = C (Y - P),   1' alpha = 0,   logits of queries Q X' alpha + 1 b'

    P are the probabilities of the rows. The penalty leaves out the intercept, whose mean over the classes is 0 (softmax
    does not see it); the rest is strictly convex. The objective and its solution are those of scikit-learn's
    LogisticRegression.

    Whatever the number of features, the problem is one in the span of the S rows, to which the kernel reduces it
    exactly: it need not have full rank. A Newton step costs about 4/3 W S^3 multiplications and 4 W S^2 numbers of
    memory an episode, instead of (W min(S, D))^3 and (W min(S, D))^2 of the dense Hessian; there are 5 to 15 steps. The
    device is waited for once a step and a few times around. Gradients (K, C) come from the optimality conditions
    (:class:`~fewshot_sla.solvers.logistic.function.LogisticDual`); the labels carry none. With ``bias`` every class
    needs a row, or its intercept is minus infinity.

    Residuals of the returned point: dual, the largest entry of alpha / C - (Y - P), and primal, the largest entry of
    1' alpha / C, both relative to the largest of Y - P. There are no bounds, hence no gap.

    Precision: float64 inside whatever goes in, with autocast off; a value for float32 input is rounded to float32.

    Args:
        kernel: K; of it only the symmetric part counts.
        one_hot: Y.
        C: weight of the losses beside the penalty, as in scikit-learn.
        bias: whether there is an intercept; without one it is 0.
        tolerance: largest relative residual that counts as solved.
        memory: budget in bytes; a larger batch is solved in portions of episodes.
        check: raise when an episode is not solved; otherwise look at `status` of what is returned.

    Raises:
        UserError: shapes do not fit, a row of Y is not one-hot, C is out of range.
        NonFiniteInputError: NaN or infinity in K; names the episode.
        NotPositiveDefiniteError: K has a negative eigenvalue beyond rounding; names the episode.
        NotConvergedError: residuals above `tolerance`; names the episode.

    Rasmussen and Williams 2006, section 3.5, algorithm 3.3 (the Newton step, there without intercept); as a few-shot
    head: Tian et al. 2020 (arXiv 2003.11539).
    """
    with torch.autocast(kernel.device.type, enabled=False):
        batch, ways = batch_and_ways(SOLVER, kernel, one_hot, C)
        labels_of(SOLVER, one_hot)
        rows = kernel.shape[-1]
        dtype = torch.promote_types(kernel.dtype, torch.float32)
        price = torch.as_tensor(C, dtype=torch.float64, device=kernel.device).expand(batch).reshape(-1)
        matrix = kernel.double().expand(*batch, rows, rows).reshape(-1, rows, rows)
        matrix = (matrix + matrix.mT) / 2
        targets = one_hot.double().expand(*batch, rows, ways).reshape(-1, rows, ways)
        check_kernel(SOLVER, matrix, (price > 0) & torch.isfinite(price), "C must be positive and finite", dtype)
        alpha, intercept, steps = LogisticDual.apply(matrix, price, targets, bias, memory)
        primal, dual = _residuals(matrix.detach(), targets, price.detach(), alpha.detach(), intercept.detach(), bias)
    solution = Solution(
        value=torch.cat([alpha, intercept[:, None]], 1).to(dtype).reshape(*batch, rows + 1, ways),
        status=status_of(primal.maximum(dual), tolerance).reshape(batch),
        primal_residual=primal.reshape(batch),
        dual_residual=dual.reshape(batch),
        gap=torch.zeros_like(dual).reshape(batch),
        tolerance=tolerance,
        iterations=steps.reshape(batch),
    )
    return solution.raise_if_failed(SOLVER, "lower C, or scale the features down") if check else solution


def _residuals(
    kernel: Tensor, one_hot: Tensor, C: Tensor, alpha: Tensor, intercept: Tensor, bias: bool
) -> tuple[Tensor, Tensor]:  # [B], [B]
    logits = kernel @ alpha + intercept[:, None]
    size = largest(errors(logits, one_hot), 2).clamp_min(torch.finfo(logits.dtype).tiny)
    primal = largest(alpha.sum(-2)) / C / size if bias else torch.zeros_like(size)
    return primal, residual(Fit(alpha, intercept, logits), one_hot, C)

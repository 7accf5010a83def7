"""The dual of the Crammer-Singer multi-class support vector machine, solved by its structure."""

import torch
from torch import Tensor

from fewshot_sla.solvers.kernel_problem import batch_and_ways, check_kernel, labels_of
from fewshot_sla.solvers.solution import Solution, status_of
from fewshot_sla.solvers.svm.function import CrammerSingerDual
from fewshot_sla.solvers.svm.residuals import svm_residuals

SOLVER = "multi-class SVM"
TOLERANCE = 1e-8
"""Largest relative residual that counts as solved."""
MEMORY = 512 * 2**20
"""Bytes that a solve may take beside its inputs and its result, unless told otherwise."""


def crammer_singer(
    kernel: Tensor,  # [*batch, S, S] symmetric positive semidefinite
    one_hot: Tensor,  # [*batch, S, W] 0 or 1, one 1 a row
    C: float | Tensor,  # > 0; a tensor broadcasts to *batch
    *,
    regularization: float | Tensor = 0.0,  # >= 0; a tensor broadcasts to *batch
    tolerance: float = TOLERANCE,
    memory: int = MEMORY,
    check: bool = True,
) -> Solution:  # value alpha [*batch, S, W]
    """Dual variables of the multi-class SVM::

        minimise 1/2 tr(alpha' (K + r I) alpha) - tr(Y' alpha)   subject to   alpha <= C Y,   alpha 1 = 0

    Operator splitting (ADMM) finds which variables are free, semismooth Newton steps find their values, and an interior
    point method takes over for what those two leave. Nothing of size S W x S W is built: the work is about
    S^3 + 20 S^2 W multiplications and, for a Newton step, sum_m |F_m|^3 with F_m the rows in which class m is free (at
    most W S^3). Derivation, costs and limits: docs/solver.md.

    Every argument may be shared by the batch or batched; leading axes broadcast, and the gradient of a shared argument
    is the sum over the batch. Of K only the symmetric part counts, as in the objective. Gradients (K, r, C) come from
    the optimality conditions: :class:`~fewshot_sla.solvers.svm.function.CrammerSingerDual`. The labels carry
    none.

    Precision: float64 inside whatever goes in, with autocast off; a value for float32 input is rounded to float32.

    Args:
        kernel: K, inner products of the support rows.
        one_hot: Y.
        C: upper bound of the dual variables, price of a margin violation.
        regularization: r, added to the diagonal of K.
        tolerance: largest relative primal residual, dual residual and gap that counts as solved.
        memory: budget in bytes; a larger batch is solved in portions of episodes, a larger episode in portions of
            classes. The least that is needed is about 8 S (6 S + 24 W) bytes.
        check: raise when an episode is not solved; otherwise look at `status` of what is returned.

    Raises:
        UserError: shapes do not fit, a row of Y is not one-hot, C or r is out of range.
        NonFiniteInputError: NaN or infinity in K, C or r; names the episode.
        NotPositiveDefiniteError: K + r I has a negative eigenvalue beyond rounding; names the episode.
        NotConvergedError: residuals above `tolerance`; names the episode.

    Crammer and Singer 2001 (JMLR 2), eq. 11; Lee et al. 2019 (arXiv 1904.03758), eq. 9-11.
    """
    with torch.autocast(kernel.device.type, enabled=False):
        batch, ways = batch_and_ways(SOLVER, kernel, one_hot, C, regularization)
        rows = kernel.shape[-1]
        dtype = torch.promote_types(kernel.dtype, torch.float32)
        label = labels_of(SOLVER, one_hot).expand(*batch, rows).reshape(-1, rows)
        price, shift = (
            torch.as_tensor(x, dtype=torch.float64, device=kernel.device).expand(batch).reshape(-1)
            for x in (C, regularization)
        )
        matrix = kernel.double().expand(*batch, rows, rows).reshape(-1, rows, rows)
        identity = torch.eye(rows, dtype=matrix.dtype, device=matrix.device)
        matrix = torch.addcmul((matrix + matrix.mT) / 2, shift[:, None, None], identity)
        in_range = (price > 0) & torch.isfinite(price) & (shift >= 0)
        check_kernel(SOLVER, matrix, in_range, "C must be positive and finite, the regularization at least 0", dtype)
        alpha, iterations = CrammerSingerDual.apply(matrix, price, label, ways, memory)
        residuals = svm_residuals(matrix.detach(), price.detach(), label, alpha.detach())
    solution = Solution(
        value=alpha.to(dtype).reshape(*batch, rows, ways),
        status=status_of(torch.stack(residuals).amax(0), tolerance).reshape(batch),
        primal_residual=residuals.primal.reshape(batch),
        dual_residual=residuals.dual.reshape(batch),
        gap=residuals.gap.reshape(batch),
        tolerance=tolerance,
        iterations=iterations.reshape(batch),
    )
    return solution.raise_if_failed(SOLVER, "raise the regularization or lower C") if check else solution

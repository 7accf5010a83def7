"""The dual of the Crammer-Singer multi-class support vector machine, solved by its structure."""

import torch
from torch import Tensor

from episodes.errors import UserError
from fewshot_sla.solvers.errors import NonFiniteInputError, NotPositiveDefiniteError, all_finite, raise_unless
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
        batch, ways = _check_shapes(kernel, one_hot, C, regularization)
        rows = kernel.shape[-1]
        dtype = torch.promote_types(kernel.dtype, torch.float32)
        label = _labels(one_hot).expand(*batch, rows).reshape(-1, rows)
        price, shift = (
            torch.as_tensor(x, dtype=torch.float64, device=kernel.device).expand(batch).reshape(-1)
            for x in (C, regularization)
        )
        matrix = kernel.double().expand(*batch, rows, rows).reshape(-1, rows, rows)
        identity = torch.eye(rows, dtype=matrix.dtype, device=matrix.device)
        matrix = torch.addcmul((matrix + matrix.mT) / 2, shift[:, None, None], identity)
        _check_values(matrix, price, shift, dtype)
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


def _labels(one_hot: Tensor) -> Tensor:  # [*, S, W] -> [*, S] int64
    largest, label = one_hot.max(-1)
    if not bool(((largest == 1) & (one_hot.abs().sum(-1) == 1)).all()):
        raise UserError(f"{SOLVER}: every row of the one-hot matrix must hold one 1, else 0")
    return label


def _check_shapes(
    kernel: Tensor, one_hot: Tensor, C: float | Tensor, regularization: float | Tensor
) -> tuple[torch.Size, int]:  # the common batch shape, W
    if kernel.ndim < 2 or one_hot.ndim < 2 or not kernel.shape[-1] == kernel.shape[-2] == one_hot.shape[-2] > 0:
        raise UserError(
            f"a kernel [*, S, S] and a one-hot matrix [*, S, W] are needed, not {list(kernel.shape)} and "
            f"{list(one_hot.shape)}"
        )
    shapes = [kernel.shape[:-2], one_hot.shape[:-2], *(x.shape for x in (C, regularization) if isinstance(x, Tensor))]
    try:
        batch = torch.broadcast_shapes(*shapes)
    except RuntimeError as error:  # torch's way of saying that they do not broadcast
        raise UserError(f"{SOLVER}: leading axes {[list(shape) for shape in shapes]} do not fit together") from error
    if batch.numel() == 0 or one_hot.shape[-1] == 0:
        raise UserError(f"{SOLVER}: no episodes or no classes in {list(one_hot.shape)}")
    return batch, one_hot.shape[-1]


def _check_values(kernel: Tensor, C: Tensor, regularization: Tensor, dtype: torch.dtype) -> None:
    """Raise unless all is finite and the kernel semidefinite up to the rounding of the dtype it came in."""
    finite = all_finite(kernel, 2)
    size = kernel.diagonal(dim1=-2, dim2=-1).amax(-1)
    rounding = kernel.shape[-1] * torch.finfo(dtype).eps * torch.where(size > 0, size, 1.0)
    shifted = kernel.detach().clone()
    shifted.diagonal(dim1=-2, dim2=-1).add_(rounding[:, None])
    semidefinite = torch.linalg.cholesky_ex(shifted).info == 0
    in_range = (C > 0) & torch.isfinite(C) & (regularization >= 0)
    if bool((finite & semidefinite & in_range).all()):  # one read from the device for all three
        return
    advice = "look for NaN or infinity in what it is computed from"
    raise_unless(finite, NonFiniteInputError, SOLVER, "the kernel is not finite", advice)
    if not bool(in_range.all()):
        raise UserError(f"{SOLVER}: C must be positive and finite, the regularization at least 0")
    raise_unless(
        semidefinite, NotPositiveDefiniteError, SOLVER, "the kernel is not positive semidefinite", "regularise it"
    )

"""The same dual as crammer_singer.py through the dense QP: slow and small, an independent route to compare with."""

from dataclasses import replace

import torch
from torch import Tensor

from episodes.errors import UserError
from fewshot_sla.solvers.qp.dense import TOLERANCE, solve_dense_qp
from fewshot_sla.solvers.solution import Solution


def crammer_singer_dense(
    kernel: Tensor,  # [*batch, S, S] symmetric positive semidefinite
    one_hot: Tensor,  # [*batch, S, W] 0 or 1, one 1 a row
    C: float | Tensor,  # > 0; a tensor broadcasts to *batch
    *,
    regularization: float | Tensor = 0.0,  # >= 0; a tensor broadcasts to *batch
    tolerance: float = TOLERANCE,
    max_iterations: int = 40,
    check: bool = True,
) -> Solution:  # value alpha [*batch, S, W]
    """Dual variables of the multi-class SVM, through the dense QP with S*W variables::

        minimise 1/2 tr(alpha' (K + r I) alpha) - tr(Y' alpha)   subject to   alpha <= C Y,   alpha 1 = 0

    The Hessian is the Kronecker product (K + r I) x I_W; it is built, so memory grows as (S W)^2 and time as (S W)^3:
    fit for some hundred variables.

    Args:
        kernel: K, inner products of the support rows.
        one_hot: Y.
        C: upper bound of the dual variables, price of a margin violation.
        regularization: r, added to the diagonal of K. A kernel of linearly dependent rows needs r > 0.
        tolerance: see :func:`~fewshot_sla.solvers.qp.dense.solve_dense_qp`.
        max_iterations: of the interior point method.
        check: raise when an element is not solved.

    Raises:
        UserError: shapes do not fit, or qpth is not installed.
        SolverError: as :func:`~fewshot_sla.solvers.qp.dense.solve_dense_qp`; names the episode.

    Crammer and Singer 2001 (JMLR 2), eq. 11; Lee et al. 2019 (arXiv 1904.03758), eq. 9-11.
    """
    if kernel.ndim < 2 or one_hot.ndim < 2 or not kernel.shape[-1] == kernel.shape[-2] == one_hot.shape[-2]:
        raise UserError(
            f"a kernel [*, S, S] and a one-hot matrix [*, S, W] are needed, not {list(kernel.shape)} and "
            f"{list(one_hot.shape)}"
        )
    rows, ways = one_hot.shape[-2:]
    kernel, targets = kernel.double(), one_hot.double()
    C, regularization = (x[..., None] if isinstance(x, Tensor) else x for x in (C, regularization))
    shift = regularization[..., None] if isinstance(regularization, Tensor) else regularization
    hessian = _kron(kernel + shift * _eye(rows, kernel), _eye(ways, kernel))
    solution = solve_dense_qp(
        Q=hessian,
        p=-targets.flatten(-2),
        G=_eye(rows * ways, kernel),
        h=C * targets.flatten(-2),
        A=_kron(_eye(rows, kernel), kernel.new_ones(1, ways)),
        b=kernel.new_zeros(rows),
        tolerance=tolerance,
        max_iterations=max_iterations,
        check=check,
        solver="multi-class SVM",
    )
    return replace(solution, value=solution.value.unflatten(-1, (rows, ways)))


def _eye(size: int, like: Tensor) -> Tensor:
    return torch.eye(size, dtype=like.dtype, device=like.device)


def _kron(
    left: Tensor,  # [*batch, a, b]
    right: Tensor,  # [c, d]
) -> Tensor:  # [*batch, a*c, b*d]
    """Kronecker product with leading axes (torch.kron takes none)."""
    product = left[..., :, None, :, None] * right[:, None, :]
    return product.flatten(-4, -3).flatten(-2)

"""The dense quadratic program as a differentiable function: qpth's interior point forward, our adjoint backward."""

from typing import Any

import torch
from torch import Tensor

from episodes.errors import UserError
from fewshot_sla.solvers.errors import SingularSystemError, raise_unless
from fewshot_sla.solvers.once import first_derivative_only
from fewshot_sla.solvers.optimality import QPData, qp_residuals

STOP_AT = 1e-12
"""qpth's absolute stopping rule; within reach in float64 because problems come normalised to unit size."""
SMALLEST = 1e-14
"""Slacks and multipliers are kept at least this large in the adjoint, where their ratio is needed."""


class DifferentiableQP(torch.autograd.Function):
    """z*(Q, p, G, h, A, b) and its multipliers; coefficients float64 with one batch axis, Q symmetric.

    Backward solves the adjoint of the optimality conditions at the solution (Amos and Kolter 2017, arXiv 1703.00443,
    eq. 6-8) with one factorisation. With slack s, multiplier lambda and incoming gradient g::

        Q dz + G'dl + A'dn = -g,    G dz = (s / lambda) dl,    A dz = 0
        grad p = dz   grad Q = (dz z' + z dz')/2   grad h = -dl   grad G = dl z' + lambda dz'   (b, A as h, G)

    Where a constraint is weakly active (slack and multiplier both vanish) z* has only one-sided derivatives; the
    gradient then is a value between them. Multipliers carry no gradient; a second derivative is refused.
    """

    @staticmethod
    def forward(
        ctx: Any,
        Q: Tensor,
        p: Tensor,
        G: Tensor,
        h: Tensor,
        A: Tensor,
        b: Tensor,
        factor: Tensor,  # [B, n, n] Cholesky factor of Q
        max_iterations: int,
        tolerance: float,
        solver: str,
    ) -> tuple[Tensor, Tensor, Tensor]:  # z [B, n], multipliers [B, m], equality multipliers [B, e]
        """Solve the batch."""
        qp = QPData(Q, p, G, h, A, b)
        schur = _equality_schur(qp, factor, solver)
        if G.shape[-2]:
            z, multipliers, equality, slacks = _interior_point(qp, max_iterations, tolerance, solver)
        else:
            z, equality = _equality_only(qp, factor, schur)
            multipliers = slacks = torch.zeros_like(h)
        ctx.solver = solver
        ctx.save_for_backward(factor, G, A, z, multipliers, equality, slacks)
        ctx.mark_non_differentiable(multipliers, equality)
        return z, multipliers, equality

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        """Gradients of the coefficients that need one; shapes as in :meth:`forward`."""
        with torch.no_grad():
            found = _gradients(ctx, gradients[0])
        return *first_derivative_only("the dense QP", found), None, None, None, None


def _gradients(ctx: Any, gradient: Tensor) -> list[Tensor | None]:
    factor, G, A, z, multipliers, equality, slacks = ctx.saved_tensors
    dz, dl, dn = _adjoint(factor, G, A, multipliers, slacks, gradient, ctx.solver)
    need_Q, need_p, need_G, need_h, need_A, need_b = ctx.needs_input_grad[:6]
    return [
        (_outer(dz, z) + _outer(z, dz)) / 2 if need_Q else None,
        dz if need_p else None,
        _outer(dl, z) + _outer(multipliers, dz) if need_G else None,
        -dl if need_h else None,
        _outer(dn, z) + _outer(equality, dz) if need_A else None,
        -dn if need_b else None,
    ]


def _outer(x: Tensor, y: Tensor) -> Tensor:
    return x[..., :, None] * y[..., None, :]


def _equality_schur(qp: QPData, factor: Tensor, solver: str) -> Tensor:  # [B, e, e] Cholesky factor of A Q^-1 A'
    half = torch.linalg.solve_triangular(factor, qp.A.mT, upper=False)
    # A duplicated row leaves a pivot of rounding size rather than zero: measure pivots against the diagonal.
    schur = half.mT @ half
    lower, info = torch.linalg.cholesky_ex(schur)
    pivots = lower.diagonal(dim1=-2, dim2=-1).square()
    resolution = qp.A.shape[-2] * torch.finfo(pivots.dtype).eps
    independent = (info == 0) & (pivots > resolution * schur.diagonal(dim1=-2, dim2=-1)).all(-1)
    raise_unless(
        independent,
        SingularSystemError,
        solver,
        "equality constraints depend on each other",
        "drop redundant rows",
    )
    return lower


def _equality_only(qp: QPData, factor: Tensor, schur: Tensor) -> tuple[Tensor, Tensor]:
    """Closed form without inequalities: A Q^-1 A' nu = -(b + A Q^-1 p), z = -Q^-1 (p + A' nu)."""
    unconstrained = torch.cholesky_solve(qp.p[..., None], factor)
    nu = -torch.cholesky_solve(qp.b[..., None] + qp.A @ unconstrained, schur)
    z = -torch.cholesky_solve(qp.p[..., None] + qp.A.mT @ nu, factor)
    return z[..., 0], nu[..., 0]


def _interior_point(
    qp: QPData, max_iterations: int, tolerance: float, solver: str
) -> tuple[Tensor, Tensor, Tensor, Tensor]:  # z [B, n], multipliers [B, m], equality multipliers [B, e], slacks [B, m]
    """Run qpth on the batch, then once more, alone, on each problem that did not come out.

    qpth iterates the batch as a whole and stops as a whole, so one infeasible problem spoils the others; the second run
    is what keeps a failure where it belongs.
    """
    z, multipliers, equality, _ = found = _qpth(qp, max_iterations, solver)
    if qp.p.shape[0] > 1:
        worst = torch.stack(qp_residuals(qp, z, multipliers, equality)).amax(0)
        for element in torch.nonzero(~(worst <= tolerance)).flatten().tolist():
            one = slice(element, element + 1)
            alone = _qpth(QPData(*(coefficient[one] for coefficient in qp)), max_iterations, solver)
            for whole, part in zip(found, alone, strict=True):
                whole[one] = part
    return found


def _qpth(qp: QPData, max_iterations: int, solver: str) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Run qpth, quietly; NaN where it gives up. Whether the point is a solution is for the caller to verify."""
    try:
        from qpth.solvers.pdipm import batch as pdipm
    except ImportError as error:
        raise UserError(f"{solver} needs qpth, which is not installed: pip install qpth") from error
    mask = pdipm.factor_kkt_eye  # cached by size alone: a solve on another device would meet it there
    if mask is not None and mask.device != qp.Q.device:
        pdipm.factor_kkt_eye = None
    A, b = (qp.A, qp.b) if qp.A.shape[-2] else (qp.A.new_empty(0), qp.b.new_empty(0))
    quiet, stagnation = -1, 3
    z = multipliers = equality = slacks = None
    try:
        factors = pdipm.pre_factor_kkt(qp.Q, qp.G, A)
        z, equality, multipliers, slacks = pdipm.forward(
            qp.Q, qp.p, qp.G, qp.h, A, b, *factors, STOP_AT, quiet, stagnation, max_iterations
        )
    except torch.linalg.LinAlgError:  # a singular factorisation; qpth does not tell in which problem
        pass
    nan = torch.nan
    return (
        torch.full_like(qp.p, nan) if z is None else z,
        torch.full_like(qp.h, nan) if multipliers is None else multipliers,
        torch.full_like(qp.b, nan) if equality is None else equality,
        torch.full_like(qp.h, nan) if slacks is None else slacks,
    )


def _adjoint(
    factor: Tensor,  # [B, n, n]
    G: Tensor,
    A: Tensor,
    multipliers: Tensor,  # [B, m]
    slacks: Tensor,  # [B, m]
    gradient: Tensor,  # [B, n]
    solver: str,
) -> tuple[Tensor, Tensor, Tensor]:  # dz [B, n], dl [B, m], dn [B, e]
    """Solve the adjoint system by the Schur complement of Q.

    The rows of an inactive constraint are scaled by sqrt(lambda / s), so that every entry of the system stays bounded
    although s / lambda runs from 1e-12 to 1e12.
    """
    ratio = slacks.clamp_min(SMALLEST) / multipliers.clamp_min(SMALLEST)
    weight = ratio.rsqrt().clamp_max(1)
    half = torch.linalg.solve_triangular(factor, torch.cat([weight[..., None] * G, A], -2).mT, upper=False)
    diagonal = torch.cat([ratio.clamp_max(1), ratio.new_zeros(A.shape[:-1])], -1)
    target = torch.linalg.solve_triangular(factor, gradient[..., None], upper=False)
    u, info = torch.linalg.solve_ex(half.mT @ half + torch.diag_embed(diagonal), -(half.mT @ target))
    raise_unless(
        info == 0,
        SingularSystemError,
        solver,
        "the gradient is not defined: active constraints depend on each other",
        "move or drop a constraint",
    )
    dz = -torch.linalg.solve_triangular(factor.mT, target + half @ u, upper=True)
    rows = G.shape[-2]
    return dz[..., 0], weight * u[..., :rows, 0], u[..., rows:, 0]

"""The generic dense quadratic program, batched and differentiable, for heads that are a QP of their own."""

import torch
from torch import Tensor

from episodes.errors import UserError
from fewshot_sla.solvers.errors import NonFiniteInputError, NotPositiveDefiniteError, all_finite, raise_unless
from fewshot_sla.solvers.optimality import QPData, qp_residuals
from fewshot_sla.solvers.qp.qpth_function import DifferentiableQP
from fewshot_sla.solvers.solution import Solution, status_of

TOLERANCE = 1e-8
"""Largest relative residual that counts as solved."""


def solve_dense_qp(
    Q: Tensor,  # [*batch, n, n] symmetric positive definite
    p: Tensor,  # [*batch, n]
    G: Tensor | None = None,  # [*batch, m, n]
    h: Tensor | None = None,  # [*batch, m]
    A: Tensor | None = None,  # [*batch, e, n] of full row rank
    b: Tensor | None = None,  # [*batch, e]
    *,
    tolerance: float = TOLERANCE,
    max_iterations: int = 40,
    check: bool = True,
    solver: str = "dense QP",
) -> Solution:  # value [*batch, n]
    """Minimise 1/2 z'Qz + p'z subject to Gz <= h and Az = b, for every batch element.

    Every coefficient may be shared (no batch axes) or batched; leading axes broadcast as usual, and the gradient of a
    shared coefficient is the sum over the batch. Without G and h (A and b) there are no inequalities (equalities).
    Of Q only the symmetric part counts, as in the objective.

    Precision: float16 to float32 coefficients are solved in float64 and the value is cast back. In float32 qpth
    stagnates (on SVM duals at solutions off by 5e-4 of their bound, in float64 by 5e-8), for a saving of a third of the
    time. Nothing is added to any diagonal. Gradients come from the optimality conditions, see
    :class:`~fewshot_sla.solvers.qp.qpth_function.DifferentiableQP`.

    Args:
        Q: Hessian.
        p: linear term.
        G: inequality rows, given together with h.
        h: inequality bounds, finite.
        A: equality rows, given together with b.
        b: equality values.
        tolerance: largest relative primal residual, dual residual and gap that counts as solved.
        max_iterations: of the interior point method.
        check: raise when an element is not solved; otherwise look at `status` of what is returned.
        solver: name used in error messages.

    Raises:
        UserError: shapes do not fit, or inequalities are given and qpth is not installed.
        NonFiniteInputError: NaN or infinity in a coefficient; names the coefficient and the batch element.
        NotPositiveDefiniteError: Q is not positive definite; names the batch element.
        SingularSystemError: rows of A depend on each other; names the batch element.
        NotConvergedError: residuals above `tolerance` (infeasible, or too hard); names the batch element.

    Solver: qpth (Amos and Kolter 2017, arXiv 1703.00443), a primal-dual interior point method.
    """
    given = {"Q": Q, "p": p, "G": G, "h": h, "A": A, "b": b}
    batch = _check_shapes(given)
    dtype = torch.float32
    for coefficient in given.values():
        dtype = dtype if coefficient is None else torch.promote_types(dtype, coefficient.dtype)
    qp = QPData(**{name: _expand(name, given, batch) for name in given})
    _check_finite(qp, solver)
    qp, step = _normalise(qp)
    factor = _cholesky(qp.Q, solver)
    z, multipliers, equality = DifferentiableQP.apply(*qp, factor, max_iterations, tolerance, solver)
    residuals = qp_residuals(qp, z, multipliers, equality)
    solution = Solution(
        value=(step[:, None] * z).to(dtype).reshape(*batch, p.shape[-1]),
        status=status_of(torch.stack(residuals).amax(0), tolerance).reshape(batch),
        primal_residual=residuals.primal.reshape(batch),
        dual_residual=residuals.dual.reshape(batch),
        gap=residuals.gap.reshape(batch),
        tolerance=tolerance,
    )
    return solution.raise_if_failed(solver, "see that the constraints can hold together") if check else solution


def _check_shapes(given: dict[str, Tensor | None]) -> torch.Size:  # the common batch shape
    if (given["G"] is None) != (given["h"] is None) or (given["A"] is None) != (given["b"] is None):
        raise UserError("a QP takes G together with h and A together with b")
    vectors, pairs = ("p", "h", "b"), (("Q", "p"), ("G", "h"), ("A", "b"))
    shapes = {name: tuple(x.shape) for name, x in given.items() if x is not None}
    fits = all(len(shape) >= (1 if name in vectors else 2) for name, shape in shapes.items())
    fits = fits and all(
        shapes[matrix][-2:] == (shapes[vector][-1], shapes["p"][-1]) for matrix, vector in pairs if matrix in shapes
    )
    batch = None
    if fits:
        try:
            batch = torch.broadcast_shapes(*(s[: -1 if name in vectors else -2] for name, s in shapes.items()))
        except RuntimeError:  # torch's way of saying that they do not broadcast
            batch = None
    if batch is None or batch.numel() == 0 or shapes["p"][-1] == 0:
        raise UserError(
            "the coefficients of a QP are Q [*batch, n, n], p [*batch, n], G [*batch, m, n], h [*batch, m], "
            f"A [*batch, e, n], b [*batch, e] with n and the batch at least 1, not {shapes}"
        )
    return batch


def _expand(name: str, given: dict[str, Tensor | None], batch: torch.Size) -> Tensor:  # [B, ...] float64
    """Coefficient with one explicit batch axis; expanding here makes autograd sum a shared one's gradient."""
    coefficient, p = given[name], given["p"]
    assert p is not None
    if coefficient is None:
        coefficient = p.new_zeros((0, p.shape[-1]) if name in ("G", "A") else (0,))
    core = coefficient.shape[-1:] if name in ("p", "h", "b") else coefficient.shape[-2:]
    return coefficient.double().expand(*batch, *core).reshape(batch.numel(), *core)


def _check_finite(qp: QPData, solver: str) -> None:
    finite = torch.stack([all_finite(coefficient, coefficient.ndim - 1) for coefficient in qp])
    if not bool(finite.all()):  # one synchronisation in the good case
        for name, ok in zip(qp._fields, finite, strict=True):
            advice = "look for NaN or infinity in what it is computed from"
            raise_unless(ok, NonFiniteInputError, solver, f"{name} is not finite", advice)


def _normalise(qp: QPData) -> tuple[QPData, Tensor]:  # the same problem at unit size; step [B] with z = step * z_unit
    """Divide objective and variable so that diag(Q) and p have largest entry 1, and absolute tolerances a meaning.

    The factors are constants to autograd; the value does not depend on them.
    """
    with torch.no_grad():
        curvature = qp.Q.diagonal(dim1=-2, dim2=-1).abs().amax(-1)
        slope = qp.p.abs().amax(-1)
        curvature = torch.where(curvature > 0, curvature, 1.0)
        slope = torch.where(slope > 0, slope, curvature)
        step = slope / curvature
    symmetric = (qp.Q + qp.Q.mT) / 2
    scaled = QPData(
        Q=symmetric / curvature[:, None, None],
        p=qp.p / slope[:, None],
        G=qp.G,
        h=qp.h / step[:, None],
        A=qp.A,
        b=qp.b / step[:, None],
    )
    return scaled, step


def _cholesky(Q: Tensor, solver: str) -> Tensor:
    with torch.no_grad():
        factor, info = torch.linalg.cholesky_ex(Q)
    raise_unless(
        info == 0, NotPositiveDefiniteError, solver, "Q is not positive definite", "add a regulariser to its diagonal"
    )
    return factor

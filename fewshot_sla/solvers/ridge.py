"""Ridge regression in closed form, batched: one Cholesky factorisation of the smaller of two equivalent systems."""

from dataclasses import replace

import torch
from torch import Tensor

from fewshot_sla.solvers.errors import NonFiniteInputError, NotPositiveDefiniteError, all_finite, raise_unless
from fewshot_sla.solvers.solution import Solution, status_of

SOLVER = "ridge regression"
ADVICE = "raise the regularization or give the features in float64"


def ridge_regression(
    inputs: Tensor,  # [*batch, S, D] float32 or float64
    targets: Tensor,  # [*batch, S, W]
    regularization: float | Tensor,  # lambda >= 0
    *,
    check: bool = True,
) -> Solution:  # value [*batch, D, W]
    """Weights that minimise ||X w - Y||^2 + lambda ||w||^2 for every batch element.

    Two forms of the same solution, chosen by shape (the push-through, or Woodbury, identity)::

        w = X' (X X' + lambda I_S)^-1 Y     if S <= D
          = (X' X + lambda I_D)^-1 X' Y     if D < S

    Computed in the dtype of `inputs`, with autocast off; gradients by autograd through the closed form. The dual
    residual is that of the linear system relative to its right-hand side; there are no constraints, hence no gap.

    Args:
        inputs: rows X.
        targets: one column a class.
        regularization: lambda, the only thing added to the diagonal.
        check: raise when the residual is above eps ** (1/3) (5e-3 in float32, 6e-6 in float64).

    Raises:
        NonFiniteInputError: NaN or infinity in inputs or targets; names the batch element.
        NotPositiveDefiniteError: the factorisation broke down; names the batch element.
        NotConvergedError: the system is too ill-conditioned for the dtype (with `check`).

    Hoerl and Kennard 1970; as a few-shot head: Bertinetto et al. 2019 (arXiv 1805.08136), eq. 4-5.
    """
    with torch.autocast(inputs.device.type, enabled=False):
        rows, dimension = inputs.shape[-2:]
        if rows <= dimension:
            solution = _solve(inputs @ inputs.mT, targets, regularization, inputs, targets)
            value = inputs.mT @ solution.value
        else:
            solution = _solve(inputs.mT @ inputs, inputs.mT @ targets, regularization, inputs, targets)
            value = solution.value
    if check:
        solution.raise_if_failed(SOLVER, ADVICE)
    return replace(solution, value=value)


def _solve(
    gram: Tensor,  # [*batch, n, n]
    right: Tensor,  # [*batch, n, W]
    regularization: float | Tensor,
    inputs: Tensor,
    targets: Tensor,
) -> Solution:  # value [*batch, n, W] = (gram + lambda I)^-1 right
    matrix = gram + regularization * torch.eye(gram.shape[-1], dtype=gram.dtype, device=gram.device)
    factor, info = torch.linalg.cholesky_ex(matrix)
    if bool((info != 0).any()):  # one read from the device; the reason is looked for only now
        finite = all_finite(inputs, 2) & all_finite(targets, 2)
        raise_unless(finite, NonFiniteInputError, SOLVER, "features are not finite", "look for a diverged backbone")
        raise_unless(
            info == 0, NotPositiveDefiniteError, SOLVER, "the regularised Gram matrix is not positive definite", ADVICE
        )
    value = torch.cholesky_solve(right, factor)
    with torch.no_grad():
        tiny = torch.finfo(value.dtype).tiny
        residual = (matrix @ value - right).abs().amax((-2, -1)) / right.abs().amax((-2, -1)).clamp_min(tiny)
    tolerance = torch.finfo(value.dtype).eps ** (1 / 3)
    zeros = torch.zeros_like(residual)
    return Solution(value, status_of(residual, tolerance), zeros, residual, zeros, tolerance)

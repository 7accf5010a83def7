"""The multi-class SVM's dual as a differentiable function: a structured solve forward, another one backward."""

from typing import Any

import torch
from torch import Tensor

from fewshot_sla.solvers.once import first_derivative_only
from fewshot_sla.solvers.svm.face import face_width, solve_on_face
from fewshot_sla.solvers.svm.rows import dual_rows
from fewshot_sla.solvers.svm.structured import solve_dual

WEAKLY_ACTIVE = 1e-9
"""In the gradient, a variable this near to its bound (relative to the episode's largest) counts as bound."""


class CrammerSingerDual(torch.autograd.Function):
    """alpha*(K, C) for B episodes; float64.

    Backward solves the adjoint of the optimality conditions on the face of the solution, with one structured solve.
    With incoming gradient g, q zero where alpha is bound, and E marking the own classes that are at their bound C::

        (K q + nu)_im = g_im  where alpha_im is free,    sum_m q_im = 0
        grad K = -(q alpha' + alpha q') / 2,    grad C = <E, g - K q - nu>

    Where a bound is weakly active (its multiplier vanishes too) alpha* has only one-sided derivatives; the gradient
    then is the one of the face where that variable stays at its bound. It is never NaN for that reason. A second
    derivative is refused.
    """

    @staticmethod
    def forward(
        ctx: Any,
        kernel: Tensor,  # [B, S, S] symmetric
        C: Tensor,  # [B]
        label: Tensor,  # [B, S] int64
        ways: int,
        memory: int,  # bytes
    ) -> tuple[Tensor, Tensor]:  # alpha [B, S, W], iterations [B]
        """Solve the batch, in portions of episodes that keep to the memory budget."""
        rows = kernel.shape[-1]
        portion = max(1, memory // (8 * rows * max(6 * rows, 24 * ways)))
        parts = [
            solve_dual(K, c, y, ways, memory)
            for K, c, y in zip(kernel.split(portion), C.split(portion), label.split(portion), strict=True)
        ]
        alpha, iterations = (torch.cat(part) if len(parts) > 1 else part[0] for part in zip(*parts, strict=True))
        ctx.memory, ctx.portion = memory, portion
        ctx.save_for_backward(kernel, C, label, alpha)
        ctx.mark_non_differentiable(iterations)
        return alpha, iterations

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        """Gradients of kernel and C."""
        with torch.no_grad():
            kernel, C, label, alpha = (part.split(ctx.portion) for part in ctx.saved_tensors)
            portions = zip(kernel, C, label, alpha, gradients[0].split(ctx.portion), strict=True)
            parts = [_adjoint(*portion, memory=ctx.memory) for portion in portions]
            found = [torch.cat(part) for part in zip(*parts, strict=True)]
        return *first_derivative_only("the multi-class SVM", found), None, None, None


def _adjoint(
    kernel: Tensor,  # [B, S, S]
    C: Tensor,  # [B]
    label: Tensor,  # [B, S]
    alpha: Tensor,  # [B, S, W]
    gradient: Tensor,  # [B, S, W]
    memory: int,
) -> tuple[Tensor, Tensor]:  # [B, S, S], [B]
    upper = dual_rows(label[..., None], C[:, None, None], alpha.shape[-1]).upper
    free = upper - alpha > WEAKLY_ACTIVE * alpha.abs().amax((-2, -1), keepdim=True)
    kappa = kernel.diagonal(dim1=-2, dim2=-1).amax(-1)[:, None, None]
    kappa = torch.where(kappa > 0, kappa, 1.0)
    hessian = kernel / kappa
    no_sums = torch.zeros_like(alpha[..., :1])
    width = int(face_width(free).max())
    q, nu = solve_on_face(hessian, free, gradient, no_sums, width, memory=memory)
    left = gradient - hessian @ q
    alone = free & (free.sum(-1, keepdim=True) == 1)
    nu = nu + torch.where(alone, left, 0.0).sum(-1, keepdim=True)
    price = torch.where((upper > 0) & ~free, left - nu, 0.0).sum((-2, -1))
    q = q / kappa
    outer = q @ alpha.mT
    return -(outer + outer.mT) / 2, price

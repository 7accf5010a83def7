"""Multinomial logistic regression as a differentiable function of its kernel: Newton forward, one solve backward."""

from typing import Any

import torch
from torch import Tensor

from fewshot_sla.solvers.logistic.curvature import curvature
from fewshot_sla.solvers.logistic.newton import minimise
from fewshot_sla.solvers.once import first_derivative_only


class LogisticDual(torch.autograd.Function):
    """(alpha*, b*)(K, C) for B episodes; float64.

    Backward solves the adjoint of the optimality conditions alpha = C (Y - P(K alpha + 1 b')), 1' alpha = 0, by one
    factorisation at the solution. With incoming gradients g of alpha and h of b (less its mean), and G as in
    :class:`~fewshot_sla.solvers.logistic.curvature.Curvature`::

        U = G (g + 1 z'),  z such that 1' U = h'
        grad K = -(U alpha' + alpha U') / 2,    grad C = (<g, alpha> - <U, K alpha>) / C

    A second derivative is refused.
    """

    @staticmethod
    def forward(
        ctx: Any,
        kernel: Tensor,  # [B, S, S] symmetric
        C: Tensor,  # [B]
        one_hot: Tensor,  # [B, S, W]
        bias: bool,
        memory: int,  # bytes
    ) -> tuple[Tensor, Tensor, Tensor]:  # alpha [B, S, W], intercept [B, W], steps [B]
        """Solve the batch, in portions of episodes that keep to the memory budget."""
        rows, ways = one_hot.shape[-2:]
        portion = max(1, memory // (8 * rows * (4 * ways * rows + 24 * ways)))
        parts = [
            minimise(K, Y, c, bias)
            for K, Y, c in zip(kernel.split(portion), one_hot.split(portion), C.split(portion), strict=True)
        ]
        alpha, intercept, steps = (torch.cat(part) if len(parts) > 1 else part[0] for part in zip(*parts, strict=True))
        ctx.bias, ctx.portion = bias, portion
        ctx.save_for_backward(kernel, C, alpha, intercept)
        ctx.mark_non_differentiable(steps)
        return alpha, intercept, steps

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        """Gradients of kernel and C."""
        with torch.no_grad():
            saved = (part.split(ctx.portion) for part in (*ctx.saved_tensors, *gradients[:2]))
            parts = [_adjoint(ctx.bias, *portion) for portion in zip(*saved, strict=True)]
            found = [torch.cat(part) for part in zip(*parts, strict=True)]
        return *first_derivative_only("logistic regression", found), None, None, None


def _adjoint(
    bias: bool,
    kernel: Tensor,  # [B, S, S]
    C: Tensor,  # [B]
    alpha: Tensor,  # [B, S, W]
    intercept: Tensor,  # [B, W]
    of_alpha: Tensor,  # [B, S, W]
    of_intercept: Tensor,  # [B, W]
) -> tuple[Tensor, Tensor]:  # [B, S, S], [B]
    products = kernel @ alpha
    probabilities = (products + intercept[:, None]).softmax(-1)
    # The mean of the intercept is 0 whatever happens: a gradient along it is no gradient.
    of_intercept = of_intercept - of_intercept.mean(-1, keepdim=True)
    u, _ = curvature(kernel, probabilities, C, bias).solve(of_alpha, of_intercept)
    outer = u @ alpha.mT
    price = ((of_alpha * alpha).sum((-2, -1)) - (u * products).sum((-2, -1))) / C
    return -(outer + outer.mT) / 2, price

"""Gradients that refuse to be differentiated again, instead of silently counting as constants."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor


class _FirstDerivativeOnly(torch.autograd.Function):
    """Identity that refuses to be differentiated."""

    @staticmethod
    def forward(ctx: Any, gradient: Tensor, of: str) -> Tensor:
        ctx.of = of
        return gradient.view_as(gradient)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        raise RuntimeError(f"{ctx.of} has no second derivative: do not differentiate its gradient (create_graph)")


def first_derivative_only(of: str, gradients: Sequence[Tensor | None]) -> list[Tensor | None]:
    """Mark what a backward pass returns, computed without a graph, as not differentiable again.

    torch's `once_differentiable` says "trying to differentiate twice a function that was marked with
    @once_differentiable"; this names the function and what to leave out.
    """
    if not torch.is_grad_enabled():  # not create_graph
        return list(gradients)
    return [None if g is None else _FirstDerivativeOnly.apply(g.requires_grad_(), of) for g in gradients]

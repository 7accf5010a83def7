"""Gradients that are shortened where they are too long."""

from collections.abc import Iterable

import torch
from torch import nn


def clip_gradients(parameters: Iterable[nn.Parameter], longest: float) -> None:
    """Multiply all gradients by ``min(1, longest / norm)``; norm is the root of the sum of the squares of all entries.

    Pascanu, Mikolov and Bengio, "On the difficulty of training recurrent neural networks", ICML 2013, algorithm 1. The
    device is not waited for. A norm that is not finite is not hidden: at least one gradient is NaN then, and so is what
    is computed with the weights that come of it. torch's function alone makes all gradients 0 where squares of finite
    entries are too large for their type.

    Args:
        parameters: those without a gradient are left alone.
        longest: norm that gradients may have, above 0.
    """
    with_gradient = [parameter for parameter in parameters if parameter.grad is not None]
    norm = nn.utils.clip_grad_norm_(with_gradient, longest)
    if with_gradient:
        gradient = with_gradient[0].grad
        assert gradient is not None
        gradient.add_(torch.zeros_like(norm) * norm)  # 0, but NaN if the norm is infinite or NaN

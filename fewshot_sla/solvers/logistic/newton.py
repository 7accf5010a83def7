"""Damped Newton steps on the dual variables of multinomial logistic regression, for many episodes at once."""

from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import softplus

from fewshot_sla.solvers.logistic.curvature import curvature
from fewshot_sla.solvers.optimality import largest

MOST_STEPS = 60
TARGET = 1e-11
"""Residual at which an episode takes no further step; Newton's last step usually ends far below."""
STEP_SIZES = 16
"""Step sizes tried at once: 1, 1/2, 1/4, ..."""
SUFFICIENT = 1e-4
"""Share of the decrease that the slope promises which a step must keep (Armijo)."""
ROUNDING = 1e-13
"""Relative to the objective: what it may grow by because of rounding."""


class Fit(NamedTuple):
    """A point of the problem, and what it predicts."""

    alpha: Tensor  # [B, S, W] dual variables
    intercept: Tensor  # [B, W]
    logits: Tensor  # [B, S, W] K alpha + 1 intercept'

    def at(self, rows: Tensor) -> "Fit":  # [n] int64, or a mask
        """Some of the episodes."""
        return Fit(self.alpha[rows], self.intercept[rows], self.logits[rows])


@torch.no_grad()
def minimise(
    kernel: Tensor,  # [B, S, S] symmetric positive semidefinite, float64
    one_hot: Tensor,  # [B, S, W]
    C: Tensor,  # [B]
    bias: bool,
) -> tuple[Tensor, Tensor, Tensor]:  # alpha [B, S, W], intercept [B, W], steps [B] int64
    """Newton's method from zero; the device is waited for once a step.

    A step solves for the point where the optimality conditions, with the probabilities made linear, hold; of the step
    sizes 1, 1/2, 1/4, ... the first is taken that decreases the convex objective enough, so it converges from anywhere
    (Boyd and Vandenberghe 2004, section 9.5).
    """
    zero = torch.zeros_like(one_hot)
    found = Fit(zero, zero[:, 0], zero)
    steps = torch.zeros(len(kernel), dtype=torch.int64, device=kernel.device)
    for _ in range(MOST_STEPS):
        left = (residual(found, one_hot, C) > TARGET).nonzero()[:, 0]
        if not len(left):
            break
        moved = _step(kernel[left], one_hot[left], C[left], found.at(left), bias)
        found = Fit(*(old.index_copy(0, left, new) for old, new in zip(found, moved, strict=True)))
        steps[left] += 1
    return found.alpha, found.intercept, steps


def errors(
    logits: Tensor,  # [B, S, W]
    one_hot: Tensor,  # [B, S, W]
) -> Tensor:  # [B, S, W]
    """Y - P; of a row's own class without subtracting from 1 what is nearly 1."""
    others = logits.softmax(-1) * (1 - one_hot)
    return one_hot * others.sum(-1, keepdim=True) - others


def cross_entropies(
    logits: Tensor,  # [*, B, S, W]
    one_hot: Tensor,  # [B, S, W]
) -> Tensor:  # [*, B]
    """Sum over the rows; to full relative precision where all of them are right by far, as :func:`errors`."""
    own = (logits * one_hot).sum(-1, keepdim=True)
    return softplus((logits - own).masked_fill(one_hot > 0, -torch.inf).logsumexp(-1)).sum(-1)


def residual(
    fit: Fit,
    one_hot: Tensor,  # [B, S, W]
    C: Tensor,  # [B]
) -> Tensor:  # [B]
    """How far the dual variables are from C (Y - P), relative to the largest entry of that."""
    wrong = errors(fit.logits, one_hot)
    size = largest(wrong, 2).clamp_min(torch.finfo(wrong.dtype).tiny)
    return largest(fit.alpha / C[:, None, None] - wrong, 2) / size


def _step(kernel: Tensor, one_hot: Tensor, C: Tensor, start: Fit, bias: bool) -> Fit:
    """One damped Newton step of every episode."""
    probabilities = start.logits.softmax(-1)
    pull = C[:, None, None] * errors(start.logits, one_hot)
    # The optimality conditions alpha = C (Y - P(F)), 1' alpha = 0, with P linear about the start, in the change of
    # alpha: what is lost to rounding in one step is made good by the next.
    missing = pull - start.alpha
    taken, intercept = curvature(kernel, probabilities, C, bias).solve(kernel @ missing, pull.sum(-2))
    alpha = missing - taken
    direction = Fit(alpha, intercept, kernel @ alpha + intercept[:, None])
    size = _step_size(one_hot, C, start, direction, pull)
    alpha = start.alpha + size[:, None, None] * direction.alpha
    intercept = start.intercept + size[:, None] * direction.intercept
    return Fit(alpha, intercept, kernel @ alpha + intercept[:, None])


def _step_size(one_hot: Tensor, C: Tensor, start: Fit, direction: Fit, pull: Tensor) -> Tensor:  # [B]
    """The largest of the step sizes that decreases the objective enough; the smallest if none does."""
    sizes = 0.5 ** torch.arange(STEP_SIZES, dtype=C.dtype, device=C.device)[:, None]  # [n, 1]
    along = direction.logits - direction.intercept[:, None]  # K times the change of alpha
    linear = (start.alpha * along).sum((-2, -1))
    square = (direction.alpha * along).sum((-2, -1))
    logits = start.logits + sizes[..., None, None] * direction.logits  # [n, B, S, W]
    before = C * cross_entropies(start.logits, one_hot)
    change = C * cross_entropies(logits, one_hot) - before + sizes * linear + sizes**2 * square / 2  # of the objective
    slope = ((start.alpha - pull) * direction.logits).sum((-2, -1))
    penalty = (start.alpha * start.logits).sum((-2, -1)).abs() / 2  # 1' alpha = 0: the intercept drops out
    enough = change <= SUFFICIENT * sizes * slope + ROUNDING * (before + penalty)
    enough[-1] = True
    return sizes[:, 0][enough.to(torch.uint8).argmax(0)]  # argmax: the first that is

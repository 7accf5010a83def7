"""A primal-dual interior point method for the multi-class SVM's dual: slower, for what splitting leaves unsolved."""

import torch
from torch import Tensor

from fewshot_sla.solvers.optimality import largest
from fewshot_sla.solvers.svm.face import solve_on_face
from fewshot_sla.solvers.svm.newton import fixed_point
from fewshot_sla.solvers.svm.rows import DualRows
from fewshot_sla.solvers.svm.state import State

ITERATIONS = 100
CENTRING = 0.1
"""Each step aims at this part of the current mean complementarity."""
COMPLEMENTARY = 1e-20
"""Mean complementarity, relative to its terms, at which to stop: its root is the error at a weakly active bound."""
STATIONARY = 1e-14
"""The same for stationarity."""
STUCK = 1e-6
"""A step of this length or less is the last."""
TO_THE_BORDER = 0.99
"""Part of the way to the border of the feasible set that a step may go."""


def interior_point(
    state: State,
    memory: int,  # bytes
) -> None:
    """Follow the central path of: minimise 1/2 tr(a'Ha) - tr(L'a) over the dual rows; leave where it ends in `state`.

    With slacks s = upper - a and multipliers M, Newton steps for::

        H a - L + M + nu 1' = 0,    a 1 = 0,    s M = sigma mu   (entrywise)

    each of which is a solve on the whole face with the barrier term M / s on its diagonal. Unlike the splitting, its
    number of steps hardly depends on how ill-conditioned H is, and a singular H does no harm.

    Wright 1997, Primal-Dual Interior-Point Methods, chapter 5.
    """
    hessian, linear, rows = state.hessian, state.linear, state.rows
    a = _inside(rows)
    slack = rows.upper - a
    gradient = hessian @ a - linear
    scale = largest(gradient, 2, keepdim=True).clamp_min(1)
    nu = -gradient.amax(-1, keepdim=True) - scale
    multiplier = -gradient - nu
    everything = torch.ones_like(a, dtype=torch.bool)
    moving = torch.ones_like(rows.bound, dtype=torch.bool)
    for _ in range(ITERATIONS):
        complementarity = (slack * multiplier).mean((-2, -1), keepdim=True)
        stationarity = hessian @ a - linear + multiplier + nu
        open_gap = complementarity > COMPLEMENTARY * scale * largest(a, 2, keepdim=True)
        moving = moving & (open_gap | (largest(stationarity, 2, keepdim=True) > STATIONARY * scale))
        if not bool(moving.any()):
            break
        state.iterations += moving[:, 0, 0].long()
        excess = multiplier - CENTRING * complementarity / slack
        barrier, sums = multiplier / slack, -a.sum(-1, keepdim=True)
        step, dual_step = solve_on_face(
            hessian, everything, excess - stationarity, sums, a.shape[1], memory=memory, diagonal=barrier
        )
        multiplier_step = barrier * step - excess
        length = torch.minimum(_longest(slack, -step), _longest(multiplier, multiplier_step)).nan_to_num(0.0)
        moving = moving & (length > STUCK)
        a, slack, nu, multiplier = (
            torch.where(moving, x + length * dx, x)
            for x, dx in ((a, step), (slack, -step), (nu, dual_step), (multiplier, multiplier_step))
        )
    state.free = slack * scale > multiplier * largest(a, 2, keepdim=True)
    state.p = _to_bounds(a, ~state.free, rows)
    better = (residual := fixed_point(state, state.p)[-1]) < state.residual
    state.point, state.residual = torch.where(better, state.p, state.point), torch.minimum(residual, state.residual)


def _inside(rows: DualRows) -> Tensor:
    """A strictly feasible point: every class but the own one gets an equal, negative share."""
    ways = rows.upper.shape[-1]
    share = (rows.bound / (2 * ways)).clamp_max(1)
    return torch.where(rows.upper > 0, (ways - 1) * share, -share)


def _longest(x: Tensor, step: Tensor) -> Tensor:  # [B, 1, 1]
    """Longest step that keeps x positive, at most 1."""
    reach = torch.where(step < 0, -x / step, torch.inf).amin((-2, -1), keepdim=True)
    return (TO_THE_BORDER * reach).clamp_max(1)


def _to_bounds(a: Tensor, bound: Tensor, rows: DualRows) -> Tensor:
    """Put the bound variables at their bounds and spread what that changes in a row's sum over the free ones."""
    a = torch.where(bound, rows.upper, a)
    share = a.sum(-1, keepdim=True) / (~bound).sum(-1, keepdim=True).clamp_min(1)
    return torch.minimum(torch.where(bound, a, a - share), rows.upper)

"""Semismooth Newton for the multi-class SVM's dual: the exact solution, once the free variables are known."""

import torch
from torch import Tensor

from fewshot_sla.solvers.optimality import largest
from fewshot_sla.solvers.svm.face import solve_on_face
from fewshot_sla.solvers.svm.rows import project
from fewshot_sla.solvers.svm.state import State

EXACT = 1e-13
"""Fixed-point residual, relative to the largest variable, at which an episode is done."""
CLOSE = 1e-11
"""The same for an episode whose last Newton step did not halve it: there, rounding has the last word."""


def newton_step(
    state: State,
    width: int,  # face_width(state.free), at least
    memory: int,  # bytes
) -> Tensor:  # [B] bool, whether the episode is done
    """One semismooth Newton step for the fixed point ``p = project(p + (L - Hp) / beta)``, in place.

    The variables that the last projection left free solve the optimality conditions, the others go to their bounds.
    Exact after one step if the guess of the free variables was right. The splitting goes on from the new point only if
    that halves the residual, so that it converges whatever the Newton steps do: there are finitely many halvings before
    the residual is that of rounding, and between them it is left alone.
    """
    rows, p, free = state.rows, state.p, state.free
    p = torch.where(free, p, rows.upper)
    right = torch.baddbmm(state.linear, state.hessian, p, alpha=-1)
    sums = -p.sum(-1, keepdim=True)
    step, _ = solve_on_face(state.hessian, free, right, sums, width, memory=memory)
    p = p + step
    point, free, pulled, residual = fixed_point(state, p)
    halved = residual <= state.residual / 2
    better = residual < state.residual
    state.a, state.u = torch.where(halved, point, state.a), torch.where(halved, pulled - point, state.u)
    state.point = torch.where(better, point, state.point)
    state.residual = torch.where(better, residual, state.residual)
    state.p, state.free = p, free
    state.iterations += 1
    return ((state.residual <= EXACT) | (~halved & (state.residual <= CLOSE)))[:, 0, 0]


def fixed_point(
    state: State,
    p: Tensor,  # [B, S, W]
) -> tuple[Tensor, Tensor, Tensor, Tensor]:  # project(pulled), what is free there, pulled, residual [B, 1, 1]
    """A projected gradient step from p; p is the solution if and only if it leads back to p.

    The residual is |p - project(pulled)|, relative to the smaller of the variables and the linear term's pull: at a
    singular H variables may be large, and an error that is small beside them still large beside the gradient.
    """
    pulled = p + torch.baddbmm(state.linear, state.hessian, p, alpha=-1) / state.weight
    point, free = project(pulled, state.rows)
    size = torch.minimum(
        largest(point, 2, keepdim=True), largest(state.linear, 2, keepdim=True) / state.weight
    ).clamp_min(torch.finfo(p.dtype).tiny)
    return point, free, pulled, largest(p - point, 2, keepdim=True) / size

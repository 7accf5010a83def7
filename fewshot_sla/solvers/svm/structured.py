"""The course of a structured solve: normalise, alternate splitting and Newton steps, rescue the rest, scale back."""

import torch
from torch import Tensor

from fewshot_sla.solvers.svm.face import face_width
from fewshot_sla.solvers.svm.interior_point import interior_point
from fewshot_sla.solvers.svm.newton import newton_step
from fewshot_sla.solvers.svm.rows import dual_rows
from fewshot_sla.solvers.svm.splitting import split
from fewshot_sla.solvers.svm.state import State, start

NEWTON_STEPS = 3
"""Newton steps after each block of splitting iterations."""
BLOCKS = 6
"""Blocks of splitting iterations, with Newton steps after each, before the interior point method takes over."""


def solve_dual(
    kernel: Tensor,  # [B, S, S] symmetric positive semidefinite, float64
    C: Tensor,  # [B] > 0
    label: Tensor,  # [B, S] int64
    ways: int,
    memory: int,  # bytes
) -> tuple[Tensor, Tensor]:  # alpha [B, S, W], iterations [B]
    """Solve the dual of :func:`.crammer_singer.crammer_singer`, without looking whether it worked.

    It is solved with 1 as the largest diagonal entry of the Hessian and variables of size 1. With kappa the largest
    diagonal entry of K and s = min(1, kappa C): alpha = (s / kappa) a, K = kappa H, the bound of a is max(1, kappa C),
    and its linear term is Y / s.
    """
    kappa = kernel.diagonal(dim1=-2, dim2=-1).amax(-1)[:, None, None]
    kappa = torch.where(kappa > 0, kappa, 1.0)
    price = C[:, None, None]
    size = (kappa * price).clamp_max(1)
    rows = dual_rows(label[..., None], (kappa * price).clamp_min(1), ways)
    linear = dual_rows(label[..., None], 1 / size, ways).upper
    point, iterations = _iterate(start(kernel / kappa, linear, rows), memory)
    # Where the unit problem is at its bound alpha must be C exactly, not up to the rounding of s, kappa and C.
    bound = dual_rows(label[..., None], price, ways).upper
    return torch.where(point < rows.upper, torch.minimum(point * (size / kappa), bound), bound), iterations


def _iterate(state: State, memory: int) -> tuple[Tensor, Tensor]:  # point [B, S, W], iterations [B]
    """Alternate splitting and Newton steps until every episode is done, or hand over to the interior point method.

    An episode that is done takes no further part, and each goes by its own numbers only. One host synchronisation a
    Newton step tells which are done, and how large the blocks of the next step are.
    """
    point, iterations = torch.empty_like(state.point), torch.empty_like(state.iterations)
    for block in range(BLOCKS + 1):
        if block < BLOCKS:
            split(state, block_length(state.hessian.shape[-1]))
        else:
            interior_point(state, memory)
        width = int(face_width(state.free).amax())
        for _ in range(NEWTON_STEPS):
            done = newton_step(state, width, memory)
            left, width = torch.stack([(~done).sum(), torch.where(done, 0, face_width(state.free)).amax()]).tolist()
            if left == 0:
                point[state.episode], iterations[state.episode] = state.point, state.iterations
                return point, iterations
            if left < len(done):
                finished, state = state.select(done.nonzero()[:, 0]), state.select((~done).nonzero()[:, 0])
                point[finished.episode], iterations[finished.episode] = finished.point, finished.iterations
    point[state.episode], iterations[state.episode] = state.point, state.iterations
    return point, iterations


def block_length(rows: int) -> int:
    """Splitting iterations before Newton's method is tried: small problems settle sooner (see docs/solver.md)."""
    return min(20, 4 + rows // 3)

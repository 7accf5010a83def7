"""The multi-class SVM's dual at unit size, and how far each episode of a batch has come in solving it."""

from dataclasses import dataclass, fields, replace

import torch
from torch import Tensor

from fewshot_sla.solvers.positive_definite import positive_definite_inverse
from fewshot_sla.solvers.svm.rows import DualRows, project


@dataclass
class State:
    """B episodes of: minimise 1/2 tr(a'Ha) - tr(L'a) over the dual rows, and how far each has come.

    Invariant: `point` is feasible, and `residual` is its fixed-point residual or larger.
    """

    episode: Tensor  # [B] int64, position in the batch
    hessian: Tensor  # [B, S, S] H, largest diagonal entry 1
    linear: Tensor  # [B, S, W] L
    rows: DualRows  # the feasible set
    weight: Tensor  # [B, 1, 1] beta, penalty of the splitting
    inverse: Tensor  # [B, S, S] (H + beta I)^-1
    a: Tensor  # [B, S, W] the splitting's feasible variable
    u: Tensor  # [B, S, W] its scaled multiplier
    p: Tensor  # [B, S, W] Newton's point, which may be infeasible
    free: Tensor  # [B, S, W] bool
    point: Tensor  # [B, S, W] the best point so far
    residual: Tensor  # [B, 1, 1] of `point`
    iterations: Tensor  # [B] int64, splitting iterations and Newton steps

    def select(self, index: Tensor) -> "State":  # [b] int64
        """The same for some of the episodes."""
        rows = self.rows._replace(
            label=self.rows.label[index], bound=self.rows.bound[index], upper=self.rows.upper[index]
        )
        parts = {part.name: getattr(self, part.name)[index] for part in fields(self) if part.name != "rows"}
        return replace(self, rows=rows, **parts)


def start(
    hessian: Tensor,  # [B, S, S]
    linear: Tensor,  # [B, S, W]
    rows: DualRows,
) -> State:
    """State before the first iteration: the solution for H = beta I, beta being the mean eigenvalue."""
    mean = hessian.diagonal(dim1=-2, dim2=-1).mean(-1)[:, None, None]
    weight = torch.where(mean > 0, mean, 1.0)
    shifted = hessian.clone()
    shifted.diagonal(dim1=-2, dim2=-1).add_(weight[..., 0])
    a, free = project(linear / weight, rows)
    return State(
        episode=torch.arange(len(hessian), device=hessian.device),
        hessian=hessian,
        linear=linear,
        rows=rows,
        weight=weight,
        inverse=positive_definite_inverse(shifted),
        a=a,
        u=torch.zeros_like(a),
        p=a,
        free=free,
        point=a,
        residual=torch.full_like(weight, torch.inf),
        iterations=torch.zeros_like(weight[:, 0, 0], dtype=torch.int64),
    )

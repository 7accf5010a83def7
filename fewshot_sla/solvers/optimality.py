"""What is optimal, apart from how it is found: the Karush-Kuhn-Tucker residuals of a convex quadratic program."""

from typing import NamedTuple

import torch
from torch import Tensor

FLOOR = 1e-3
"""Residuals are relative to the terms they sum, but to no less than this (in a problem normalised to unit size)."""


class QPData(NamedTuple):
    """Minimise 1/2 z'Qz + p'z subject to Gz <= h, Az = b; a batch of B such problems, m and e may be 0."""

    Q: Tensor  # [B, n, n]
    p: Tensor  # [B, n]
    G: Tensor  # [B, m, n]
    h: Tensor  # [B, m]
    A: Tensor  # [B, e, n]
    b: Tensor  # [B, e]


class Residuals(NamedTuple):
    """Relative residuals of the optimality conditions, all >= 0."""

    primal: Tensor  # [B]
    dual: Tensor  # [B]
    gap: Tensor  # [B]


@torch.no_grad()
def qp_residuals(
    qp: QPData,
    z: Tensor,  # [B, n]
    multipliers: Tensor,  # [B, m] of Gz <= h, expected >= 0
    equality_multipliers: Tensor,  # [B, e] of Az = b
) -> Residuals:
    """Violation of feasibility, of stationarity, and the duality gap of a point::

        primal = max over rows of (Gz - h)_+ and |Az - b|, each over |G||z|, |h| (|A||z|, |b|) of its row
        dual   = max(|Qz + p + G'lambda + A'nu|, (-lambda)_+), over the largest of those four terms
        gap    = |z'Qz + p'z + h'lambda + b'nu|, over the largest of those four terms

    Boyd and Vandenberghe 2004, eq. 5.49.
    """
    inequality = ((qp.G @ z[..., None])[..., 0] - qp.h).clamp_min(0) / _row_scale(qp.G, z, qp.h)
    equality = ((qp.A @ z[..., None])[..., 0] - qp.b).abs() / _row_scale(qp.A, z, qp.b)
    Qz = (qp.Q @ z[..., None])[..., 0]
    terms = (Qz, qp.p, (multipliers[:, None] @ qp.G)[:, 0], (equality_multipliers[:, None] @ qp.A)[:, 0])
    size = torch.stack([largest(term) for term in terms]).amax(0).clamp_min(FLOOR)
    products = torch.stack(
        [(z * Qz).sum(-1), (qp.p * z).sum(-1), (qp.h * multipliers).sum(-1), (qp.b * equality_multipliers).sum(-1)]
    )
    stationarity = largest(terms[0] + terms[1] + terms[2] + terms[3])
    return Residuals(
        primal=largest(inequality).maximum(largest(equality)),
        dual=stationarity.maximum(largest((-multipliers).clamp_min(0))) / size,
        gap=products.sum(0).abs() / products.abs().amax(0).clamp_min(FLOOR),
    )


def _row_scale(matrix: Tensor, z: Tensor, right: Tensor) -> Tensor:
    return (matrix.abs() @ z.abs()[..., None])[..., 0].maximum(right.abs()).clamp_min(FLOOR)


def largest(
    x: Tensor,
    axes: int = 1,  # how many of the last axes
    keepdim: bool = False,
) -> Tensor:
    """Maximum norm over the last axes, 0 where there is nothing."""
    if 0 in x.shape[-axes:]:
        return x.new_zeros(x.shape[:-axes] + (1,) * axes * keepdim)
    return x.abs().amax(tuple(range(-axes, 0)), keepdim=keepdim)

"""The optimality conditions with the bound variables held fixed: one small system a class, coupled row by row."""

import torch
from torch import Tensor

from fewshot_sla.solvers.positive_definite import positive_definite_inverse

BYTES_PER_ENTRY = 56
"""Peak memory of inverting one entry of a class's block: value, factor, inverse, index, and a temporary."""


def solve_on_face(
    hessian: Tensor,  # [B, S, S] symmetric positive semidefinite, largest diagonal entry 1
    free: Tensor,  # [B, S, W] bool
    right: Tensor,  # [B, S, W]
    row_sums: Tensor,  # [B, S, 1]
    width: int,  # at least the largest number of coupled rows that any class has
    *,
    memory: int,  # bytes
    diagonal: Tensor | None = None,  # [B, S, W] >= 0
) -> tuple[Tensor, Tensor]:  # x [B, S, W], nu [B, S, 1]
    """Solve for x, zero where not free, and one multiplier a row::

        (H x_m + nu)_i = right_im  where (i, m) is free,    sum_m x_im = row_sums_i

    A row with a single free variable is settled by its sum (its nu is returned as 0). For the others, class m has the
    block H_m of the rows F_m where it is free. With inverses R_m = H_m^-1 (embedded in S x S)::

        (sum_m R_m) nu = sum_m R_m right_m - row_sums,    x_m = R_m (right_m - nu)

    S times the machine epsilon is added to the diagonals, lest rounding make a block indefinite.
    Cost: about sum_m |F_m|^3 + S^3 / 3 multiplications, memory sum_m |F_m|^2 + S^2 numbers. Where that would exceed
    `memory`, classes are taken in portions, and blocks inverted a second time instead of kept.

    Args:
        hessian: H.
        free: which variables may move.
        right: right-hand side; only its free entries count.
        row_sums: what the free variables of each row sum to.
        width: see :func:`face_width`; given so that it can share the caller's host synchronisation.
        memory: budget of the blocks.
        diagonal: added to the diagonal of the blocks, a column a class (the barrier term of an interior point method).
    """
    count = free.sum(-1, keepdim=True)
    settled = torch.where(free & (count == 1), row_sums, 0.0)
    coupled = free & (count > 1)
    if width == 0:
        return settled, torch.zeros_like(row_sums)
    blocks = _Blocks(hessian, coupled.mT, width, diagonal)
    portions = _portions(free.shape[0], free.shape[-1], width, memory)
    right = (right - hessian @ settled).mT  # [B, W, S]
    schur = torch.zeros_like(hessian).flatten(1)
    sums = torch.zeros_like(row_sums[..., 0])
    kept = []
    for portion in portions:
        rows, valid, entries, inverse = blocks.invert(portion)
        part = _apply(inverse, _gather(right[:, portion], rows, valid))
        schur.scatter_add_(1, entries.flatten(1), inverse.flatten(1))
        sums.scatter_add_(1, rows.flatten(1), part.flatten(1))
        kept.append((rows, valid, inverse) if len(portions) == 1 else None)
    nu = _solve_schur(schur.view_as(hessian), sums - row_sums[..., 0], count[..., 0] > 1)
    x = torch.zeros_like(right)
    for portion, block in zip(portions, kept, strict=True):
        if block is None:
            rows, valid, _, inverse = blocks.invert(portion)
        else:
            rows, valid, inverse = block
        part = _apply(inverse, _gather(right[:, portion] - nu[:, None], rows, valid))
        x[:, portion].scatter_add_(-1, rows, part)
    return settled + x.mT, nu[..., None]


def face_width(free: Tensor) -> Tensor:  # free [B, S, W] bool -> [B] int64
    """Largest number of rows, of those with more than one free variable, in which a class is free."""
    return (free & (free.sum(-1, keepdim=True) > 1)).sum(-2).amax(-1)


class _Blocks:
    """The blocks H_m of an episode's classes, gathered and padded to one width, as far as asked for."""

    def __init__(self, hessian: Tensor, coupled: Tensor, width: int, diagonal: Tensor | None):
        self.hessian, self.coupled, self.width = hessian, coupled, width
        self.diagonal = None if diagonal is None else diagonal.mT
        self.shift = hessian.shape[-1] * torch.finfo(hessian.dtype).eps

    def invert(self, classes: slice) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Rows [B, w, f], which of them are not padding, their entries in S x S [B, w, f * f], inverse [B, w, f, f]."""
        free = self.coupled[:, classes]
        order = free.to(torch.uint8).sort(dim=-1, descending=True, stable=True).indices
        rows = order[..., : self.width]
        valid = free.gather(-1, rows).to(self.hessian.dtype)
        entries = (rows[..., :, None] * free.shape[-1] + rows[..., None, :]).flatten(1)
        block = self.hessian.flatten(1).gather(1, entries).view(*rows.shape, self.width)
        block.mul_(valid[..., :, None]).mul_(valid[..., None, :])
        extra = self.shift if self.diagonal is None else self.diagonal[:, classes].gather(-1, rows) + self.shift
        block.diagonal(dim1=-2, dim2=-1).add_(torch.where(valid > 0, extra, 1.0))
        inverse = positive_definite_inverse(block)
        inverse.diagonal(dim1=-2, dim2=-1).mul_(valid)
        return rows, valid, entries, inverse


def _portions(episodes: int, ways: int, width: int, memory: int) -> list[slice]:
    step = max(1, memory // (episodes * width * width * BYTES_PER_ENTRY))
    return [slice(start, min(start + step, ways)) for start in range(0, ways, step)]


def _gather(right: Tensor, rows: Tensor, valid: Tensor) -> Tensor:
    return right.gather(-1, rows) * valid


def _apply(inverse: Tensor, right: Tensor) -> Tensor:
    return (inverse @ right[..., None])[..., 0]


def _solve_schur(schur: Tensor, right: Tensor, coupled: Tensor) -> Tensor:  # [B, S]
    schur.diagonal(dim1=-2, dim2=-1).add_((~coupled).to(schur.dtype))
    right = torch.where(coupled, right, 0.0)
    return torch.cholesky_solve(right[..., None], torch.linalg.cholesky_ex(schur).L)[..., 0]

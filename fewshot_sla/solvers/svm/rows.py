"""The feasible set of the multi-class SVM's dual, row by row: projection onto it, and which variables are free."""

from typing import NamedTuple

import torch
from torch import Tensor


class DualRows(NamedTuple):
    """Rows a with a <= bound * Y (entrywise) and a 1 = 0; bound * Y - a is a point of a simplex of size `bound`.

    A variable is *bound* where it meets its upper limit (`bound` for the row's own class, 0 for the others), otherwise
    *free*.
    """

    label: Tensor  # [B, S, 1] int64, the row's own class
    bound: Tensor  # [B, 1, 1] > 0
    upper: Tensor  # [B, S, W] bound * Y
    counter: Tensor  # [W] 0..W-1


def dual_rows(
    label: Tensor,  # [B, S, 1] int64
    bound: Tensor,  # [B, 1, 1]
    ways: int,
) -> DualRows:
    """The set for given labels and bound."""
    upper = bound.new_zeros(*label.shape[:2], ways).scatter_(-1, label, bound.expand(label.shape))
    return DualRows(label, bound, upper, torch.arange(ways, dtype=bound.dtype, device=bound.device))


def project(
    z: Tensor,  # [B, S, W]
    rows: DualRows,
) -> tuple[Tensor, Tensor]:  # a [B, S, W], free [B, S, W] bool
    """Nearest point of the set: ``a = min(z - tau, bound * Y)`` with the row constant tau that makes a 1 = 0.

    The row's own class is decided first. Written as a projection onto a simplex of size `bound`, everything would be a
    difference of numbers of that size, and a bound of 1e12 (separable rows, large C) would leave four digits.
    Sorting finds tau exactly: Held, Wolfe and Crowder 1974; Duchi et al. 2008, figure 1.
    """
    own = z.gather(-1, rows.label)
    # Where the own class just meets its bound, do the others take up all of it? If not it is bound too.
    inside = (own - rows.bound - z).clamp_min(0).sum(-1, keepdim=True) <= rows.bound
    terms = z.scatter(-1, rows.label, -torch.inf).sort(-1).values  # the own class first, then the others, ascending
    terms[..., :1] = torch.where(inside, own, rows.bound)
    constant = terms.cumsum(-1) / (rows.counter + inside)  # tau, were only the k smallest others free, k = 0..W-1
    last = (terms < constant)[..., 1:].sum(-1, keepdim=True)  # the k-th is free if it lies below that
    shifted = z - constant.gather(-1, last)
    return torch.minimum(shifted, rows.upper), shifted < rows.upper

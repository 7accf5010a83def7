"""Inverses of many small positive definite matrices at once."""

import torch
from torch import Tensor


def positive_definite_inverse(
    matrix: Tensor,  # [*batch, n, n] symmetric positive definite
) -> Tensor:  # [*batch, n, n]
    """Inverse through the Cholesky factor; without meaning where the matrix is not positive definite, but no error.

    On the CPU LAPACK's potri takes the fewest operations. On a GPU potri would be called matrix by matrix, so there the
    factor is inverted by the batched triangular solve instead.
    """
    factor = torch.linalg.cholesky_ex(matrix).L
    return torch.cholesky_inverse(factor) if factor.device.type == "cpu" else inverse_by_triangles(factor)


def inverse_by_triangles(
    factor: Tensor,  # [*batch, n, n] lower triangular
) -> Tensor:  # [*batch, n, n] (factor factor')^-1
    """L^-T L^-1 in two batched operations."""
    identity = torch.eye(factor.shape[-1], dtype=factor.dtype, device=factor.device).expand_as(factor)
    half = torch.linalg.solve_triangular(factor, identity, upper=False)
    return half.mT @ half

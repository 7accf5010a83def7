"""Small episodes for tests of heads: float64, uneven shots in shuffled rows."""

import torch
from torch import Tensor


def problem(dimension: int = 6) -> tuple[Tensor, Tensor, Tensor, int]:
    generator = torch.Generator().manual_seed(1)
    support, query = (torch.randn(3, n, dimension, generator=generator, dtype=torch.float64) for n in (7, 4))
    labels = torch.tensor([[0, 1, 2, 2, 1, 0, 0], [2, 0, 1, 1, 1, 1, 1], [1, 1, 0, 2, 0, 2, 0]])
    return support, labels, query, 3

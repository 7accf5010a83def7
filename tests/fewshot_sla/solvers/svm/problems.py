"""Problems that the tests of the multi-class SVM's solvers share."""

from collections.abc import Sequence

import torch
from torch import Tensor

KINDS = ("ordinary", "zero", "identical", "duplicated", "tiny", "huge", "orthogonal")


def draw(
    ways: int,
    shots: Sequence[int],
    dimension: int,
    batch: int = 3,
    seed: int = 0,
    kind: str = "ordinary",
) -> tuple[Tensor, Tensor]:  # X [B, S, D], Y [B, S, W] float64
    """Rows of a class-mean model after ReLU, or a degenerate version of them, and their one-hot labels."""
    generator = torch.Generator().manual_seed(seed)
    labels = torch.arange(ways).repeat_interleave(torch.tensor(shots))
    means = torch.randn(batch, ways, dimension, generator=generator, dtype=torch.float64)
    noise = torch.randn(batch, len(labels), dimension, generator=generator, dtype=torch.float64)
    X = (means[:, labels] + noise).relu() / dimension**0.5
    rows = len(labels)
    changed = {
        "ordinary": X,
        "zero": 0 * X,
        "identical": X[:, :1].expand_as(X),
        "duplicated": X[:, torch.arange(rows) // 2 * 2],
        "tiny": 1e-6 * X,
        "huge": 1e6 * X,
        "orthogonal": torch.eye(rows, max(rows, dimension), dtype=X.dtype).expand(batch, -1, -1),
    }
    return changed[kind], torch.eye(ways, dtype=torch.float64)[labels].expand(batch, -1, -1)


def gram(X: Tensor, regularization: float = 0.0) -> Tensor:
    """X X' + r I."""
    return X @ X.mT + regularization * torch.eye(X.shape[-2], dtype=X.dtype, device=X.device)


def objective(kernel: Tensor, one_hot: Tensor, alpha: Tensor) -> Tensor:
    """Crammer and Singer 2001, eq. 11, as a minimisation."""
    return 0.5 * (alpha * (kernel @ alpha)).sum((-2, -1)) - (one_hot * alpha).sum((-2, -1))


def worst_violation(kernel: Tensor, one_hot: Tensor, C: float, alpha: Tensor) -> float:
    """Slow, separate check of optimality: how much a feasible exchange between two classes of a row would gain.

    alpha is optimal if and only if no row can move weight from one class to another and lower the objective. The gain
    of moving t from class m to class k in row i is t (G_ik - G_im) with G = Y - K alpha, possible while k has slack.
    """
    gradient = one_hot - kernel @ alpha
    size = max(1.0, float((kernel @ alpha).abs().max()))
    worst = float(alpha.sum(-1).abs().max()) / max(float(alpha.abs().max()), 1e-300)
    for row in range(alpha.shape[0]):
        slack = C * one_hot[row] - alpha[row]
        scale = float(alpha[row].abs().max()) or C
        for k in range(alpha.shape[1]):
            if float(slack[k]) > 1e-7 * scale:
                gain = float(gradient[row, k] - gradient[row].min())
                worst = max(worst, gain / size)
    return worst

"""MetaOptNet-RR against the quadratic program of its paper, solved in two other ways."""

import numpy as np
import pytest
import torch
from torch import Tensor

from episodes.errors import UserError
from fewshot_sla.heads import RidgeHead
from fewshot_sla.heads.base import one_hot
from fewshot_sla.heads.ridge import ridge_logits
from fewshot_sla.solvers.errors import NonFiniteInputError
from fewshot_sla.solvers.qp.dense import solve_dense_qp


def problem(dimension: int) -> tuple[Tensor, Tensor, Tensor, int]:
    generator = torch.Generator().manual_seed(1)
    support, query = (torch.randn(3, n, dimension, generator=generator, dtype=torch.float64) for n in (7, 4))
    labels = torch.tensor([[0, 1, 2, 2, 1, 0, 0], [2, 0, 1, 1, 1, 1, 1], [1, 1, 0, 2, 0, 2, 0]])
    return support, labels, query, 3


def slow_ridge(support: Tensor, labels: Tensor, query: Tensor, ways: int, regularization: float) -> Tensor:
    """Lee et al. 2019, section 4.2: one linear system a class and an episode, in numpy."""
    logits = np.empty((*query.shape[:2], ways))
    for t in range(support.shape[0]):
        X, Z = support[t].numpy(), query[t].numpy()
        for w in range(ways):
            y = (labels[t] == w).numpy().astype(float)
            alpha = np.linalg.solve(X @ X.T + regularization * np.eye(len(X)), 2 * y)
            logits[t, :, w] = Z @ X.T @ alpha
    return torch.from_numpy(logits)


@pytest.mark.parametrize("dimension", [3, 7, 20])  # D < S, D = S, D > S
@pytest.mark.parametrize("regularization", [0.5, 50.0])
def test_equals_the_loop(dimension: int, regularization: float) -> None:
    expected = slow_ridge(*problem(dimension), regularization)
    torch.testing.assert_close(ridge_logits(*problem(dimension), regularization), expected)


@pytest.mark.parametrize("dimension", [3, 20])
def test_equals_the_papers_quadratic_program_solved_by_qpth(dimension: int) -> None:
    support, labels, query, ways = problem(dimension)
    rows = support.shape[1]
    hessian = support @ support.mT + 50.0 * torch.eye(rows, dtype=torch.float64)
    targets = one_hot(labels, ways, torch.float64)
    # The paper's code has no inequality either; it hands qpth one that never binds, 0 a <= 1 ... ours is a <= 10.
    columns = [
        solve_dense_qp(hessian, -2 * targets[..., w], torch.eye(rows), torch.full((rows,), 10.0)).value
        for w in range(ways)
    ]
    expected = query @ support.mT @ torch.stack(columns, -1)
    torch.testing.assert_close(ridge_logits(*problem(dimension)), expected, rtol=1e-6, atol=1e-8)


def test_module_is_function_and_names_the_episode_with_nan() -> None:
    support, labels, query, ways = problem(20)
    torch.testing.assert_close(
        RidgeHead(scale=2.0)(support, labels, query, ways), 2 * ridge_logits(support, labels, query, ways)
    )
    support[1, 2, 3] = torch.nan
    with pytest.raises(NonFiniteInputError, match="episode 1 of 3: features are not finite"):
        RidgeHead()(support, labels, query, ways)


@pytest.mark.parametrize("value", [0.0, -1.0, float("nan"), float("inf")])
def test_refuses_a_regularization_that_is_not_positive(value: float) -> None:
    with pytest.raises(UserError, match="regularization"):
        RidgeHead(regularization=value)

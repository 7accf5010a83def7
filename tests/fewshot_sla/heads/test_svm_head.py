"""MetaOptNet-SVM against the kernel expansion of its paper, with the dual solved by cvxpy."""

import cvxpy
import numpy as np
import pytest
import torch
from torch import Tensor

from episodes.errors import UserError
from fewshot_sla.heads import SVMHead
from fewshot_sla.heads.svm import svm_logits
from fewshot_sla.solvers.errors import NonFiniteInputError


def problem() -> tuple[Tensor, Tensor, Tensor, int]:
    generator = torch.Generator().manual_seed(2)
    support, query = (torch.randn(3, n, 10, generator=generator, dtype=torch.float64) for n in (7, 4))
    labels = torch.tensor([[0, 1, 2, 2, 1, 0, 0], [2, 0, 1, 1, 1, 1, 1], [1, 1, 0, 2, 0, 2, 0]])
    return support, labels, query, 3


def slow_svm(support: Tensor, labels: Tensor, query: Tensor, ways: int, C: float, r: float) -> Tensor:
    """Lee et al. 2019, eq. 9-11, an episode at a time; logits by the kernel expansion."""
    logits = np.empty((*query.shape[:2], ways))
    for t in range(support.shape[0]):
        X, Y = support[t].numpy(), np.eye(ways)[labels[t].numpy()]
        factor = np.linalg.cholesky(X @ X.T + r * np.eye(len(X)))
        alpha = cvxpy.Variable(Y.shape)
        objective = 0.5 * cvxpy.sum_squares(factor.T @ alpha) - cvxpy.sum(cvxpy.multiply(Y, alpha))
        cvxpy.Problem(cvxpy.Minimize(objective), [alpha <= C * Y, cvxpy.sum(alpha, axis=1) == 0]).solve("CLARABEL")
        logits[t] = query[t].numpy() @ X.T @ alpha.value
    return torch.from_numpy(logits)


@pytest.mark.parametrize(("C", "r"), [(0.1, 1.0), (1.0, 0.1), (0.01, 5.0)])
def test_equals_the_loop(C: float, r: float) -> None:
    torch.testing.assert_close(svm_logits(*problem(), C, r), slow_svm(*problem(), C, r), rtol=1e-4, atol=1e-5)


def test_float32_features_are_solved_in_float64() -> None:
    support, labels, query, ways = problem()
    support, query = support.float(), query.float()
    logits = SVMHead(scale=2.0)(support, labels, query, ways)
    assert logits.dtype == torch.float32
    expected = 2 * svm_logits(support.double(), labels, query.double(), ways)
    torch.testing.assert_close(logits.double(), expected, rtol=1e-5, atol=1e-6)


def test_names_the_episode_with_nan() -> None:
    support, labels, query, ways = problem()
    support[2, 0, 0] = torch.nan
    with pytest.raises(NonFiniteInputError, match="multi-class SVM: episode 2 of 3: the kernel is not finite"):
        SVMHead()(support, labels, query, ways)


@pytest.mark.parametrize("arguments", [{"C": 0.0}, {"C": -1.0}, {"kernel_regularization": -0.1}, {"scale": 0.0}])
def test_refuses_impossible_settings(arguments: dict[str, float]) -> None:
    with pytest.raises(UserError, match=next(iter(arguments))):
        SVMHead(**arguments)

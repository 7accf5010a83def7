"""MetaOptNet-SVM against the kernel expansion of its paper, with the dual solved by cvxpy."""

import warnings

import cvxpy
import numpy as np
import pytest
import torch
from jsonargparse import ArgumentParser
from sklearn.svm import LinearSVC
from torch import Tensor

from episodes.errors import UserError
from examples.qp_head import OneVersusRestHead
from fewshot_sla.heads import Head, SVMHead
from fewshot_sla.heads.conformance import run_checks
from fewshot_sla.heads.svm import SOLVERS, DualSolver, svm_logits
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


@pytest.mark.parametrize("solver", SOLVERS.values())
@pytest.mark.parametrize(("C", "r"), [(0.1, 1.0), (1.0, 0.1), (0.01, 5.0)])
def test_equals_the_loop(C: float, r: float, solver: DualSolver) -> None:
    expected = slow_svm(*problem(), C, r)
    torch.testing.assert_close(svm_logits(*problem(), C, r, solver), expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("queries", [1, 400])
@pytest.mark.parametrize("dimension", [3, 200])
def test_either_order_of_the_product(queries: int, dimension: int) -> None:
    generator = torch.Generator().manual_seed(0)
    support, query = (torch.randn(2, n, dimension, generator=generator).double() for n in (12, queries))
    labels = (torch.arange(12) % 6).expand(2, -1)
    logits = svm_logits(support, labels, query, 6)
    one_by_one = torch.cat([svm_logits(support, labels, q, 6) for q in query.split(1, 1)], 1)
    torch.testing.assert_close(logits, one_by_one)
    torch.testing.assert_close(
        logits, svm_logits(support, labels, query, 6, solver=SOLVERS["qpth"]), rtol=1e-5, atol=1e-6
    )


def test_the_conformance_checks_on_the_dense_solver() -> None:
    """qpth divides by zero on perfectly symmetric data, and says so; otherwise it is a head like any other."""
    failed = {result.name for result in run_checks(lambda: SVMHead(solver="qpth")) if not result.passed}
    assert failed <= {"finite"}


def test_float32_features_are_solved_in_float64() -> None:
    support, labels, query, ways = problem()
    support, query = support.float(), query.float()
    logits = SVMHead(scale=2.0)(support, labels, query, ways)
    assert logits.dtype == torch.float32
    expected = 2 * svm_logits(support.double(), labels, query.double(), ways)
    torch.testing.assert_close(logits.double(), expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(("solver", "what"), [("structured", "the kernel"), ("qpth", "Q")])
def test_names_the_episode_with_nan(solver: str, what: str) -> None:
    support, labels, query, ways = problem()
    support[2, 0, 0] = torch.nan
    with pytest.raises(NonFiniteInputError, match=f"multi-class SVM: episode 2 of 3: {what} is not finite"):
        SVMHead(solver=solver)(support, labels, query, ways)


@pytest.mark.parametrize(
    "arguments",
    [{"C": 0.0}, {"C": -1.0}, {"kernel_regularization": -0.1}, {"scale": 0.0}, {"solver": "magic"}],
)
def test_refuses_impossible_settings(arguments: dict[str, float]) -> None:
    with pytest.raises(UserError, match="structured, qpth" if "solver" in arguments else next(iter(arguments))):
        SVMHead(**arguments)


def test_is_built_from_yaml() -> None:
    parser = ArgumentParser(exit_on_error=False)
    parser.add_subclass_arguments(Head, "head")
    node = {"class_path": "fewshot_sla.heads.SVMHead", "init_args": {"C": 0.5, "solver": "qpth"}}
    head = parser.instantiate(parser.parse_object({"head": node})).head
    assert isinstance(head, SVMHead)
    assert (head.C, head.solver, SVMHead().solver) == (0.5, "qpth", "structured")


def test_sixty_classes_in_little_memory() -> None:
    """60-way 5-shot has 18,000 variables: a dense Hessian would take 2.4 GiB an episode."""
    generator = torch.Generator().manual_seed(0)
    labels = torch.arange(60).repeat_interleave(5)
    means = torch.randn(1, 60, 64, generator=generator)
    support = (means[:, labels] + torch.randn(1, 300, 64, generator=generator)).relu().requires_grad_()
    logits = SVMHead()(support, labels[None], means.relu(), 60)
    assert float((logits.argmax(-1) == torch.arange(60)).double().mean()) > 0.9
    (gradient,) = torch.autograd.grad(torch.nn.functional.cross_entropy(logits[0], torch.arange(60)), support)
    assert bool(torch.isfinite(gradient).all())


def test_the_example_of_a_quadratic_program_of_ones_own_is_a_head() -> None:
    assert [f"{r.name}: {r.detail}" for r in run_checks(OneVersusRestHead) if not r.passed] == []


def test_the_example_equals_scikit_learn() -> None:
    support, labels, query, ways = problem()
    logits = OneVersusRestHead(C=0.5, kernel_regularization=1e-9)(support, labels, query, ways)
    for t in range(3):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", FutureWarning)
            machine = LinearSVC(loss="hinge", C=0.5, fit_intercept=False, tol=1e-10, max_iter=1_000_000, random_state=0)
            machine.fit(support[t].numpy(), labels[t].numpy())
        expected = torch.from_numpy(machine.decision_function(query[t].numpy()))
        torch.testing.assert_close(logits[t], expected, rtol=1e-4, atol=1e-4)

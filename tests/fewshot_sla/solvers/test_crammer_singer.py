"""The multi-class SVM's dual against cvxpy, scikit-learn, its optimality conditions and finite differences."""

import warnings

import cvxpy
import numpy as np
import pytest
import torch
from sklearn.svm import LinearSVC
from torch import Tensor

from episodes.errors import UserError
from fewshot_sla.solvers.crammer_singer_dense import crammer_singer_dense
from fewshot_sla.solvers.errors import NotConvergedError, NotPositiveDefiniteError


def draw(ways: int, shots: tuple[int, ...], dimension: int, batch: int = 3, seed: int = 0) -> tuple[Tensor, Tensor]:
    """Rows of a class-mean model after ReLU, and their one-hot labels."""
    generator = torch.Generator().manual_seed(seed)
    labels = torch.arange(ways).repeat_interleave(torch.tensor(shots))
    means = torch.randn(batch, ways, dimension, generator=generator, dtype=torch.float64)
    noise = torch.randn(batch, len(labels), dimension, generator=generator, dtype=torch.float64)
    one_hot = torch.eye(ways, dtype=torch.float64)[labels].expand(batch, -1, -1)
    return (means[:, labels] + noise).relu() / dimension**0.5, one_hot


def objective(kernel: Tensor, one_hot: Tensor, alpha: Tensor) -> Tensor:
    """Crammer and Singer 2001, eq. 11, as a minimisation."""
    return 0.5 * (alpha * (kernel @ alpha)).sum((-2, -1)) - (one_hot * alpha).sum((-2, -1))


def by_cvxpy(kernel: Tensor, one_hot: Tensor, C: float) -> tuple[float, Tensor]:
    Y = one_hot.numpy()
    alpha = cvxpy.Variable(Y.shape)
    factor = np.linalg.cholesky(kernel.numpy())
    value = 0.5 * cvxpy.sum_squares(factor.T @ alpha) - cvxpy.sum(cvxpy.multiply(Y, alpha))
    program = cvxpy.Problem(cvxpy.Minimize(value), [alpha <= C * Y, cvxpy.sum(alpha, axis=1) == 0])
    exact = {name: 1e-13 for name in ("tol_gap_abs", "tol_gap_rel", "tol_feas")}
    return float(program.solve("CLARABEL", **exact)), torch.from_numpy(alpha.value)


@pytest.mark.parametrize(("ways", "shots"), [(2, (1, 1)), (5, (1,) * 5), (3, (1, 4, 2))])
@pytest.mark.parametrize("C", [1e-3, 0.1, 10.0])
def test_objective_and_solution_equal_cvxpy(ways: int, shots: tuple[int, ...], C: float) -> None:
    X, Y = draw(ways, shots, 12)
    kernel = X @ X.mT + torch.eye(Y.shape[1], dtype=X.dtype)
    solution = crammer_singer_dense(X @ X.mT, Y, C, regularization=1.0)
    assert float(solution.worst_residual.max()) <= 1e-8
    for t in range(3):
        value, alpha = by_cvxpy(kernel[t], Y[t], C)
        assert float(objective(kernel[t], Y[t], solution.value[t])) == pytest.approx(value, rel=1e-6, abs=1e-9)
        torch.testing.assert_close(solution.value[t], alpha, rtol=1e-4, atol=1e-5 * max(C, 1))


@pytest.mark.parametrize("C", [0.1, 1.0])
def test_equals_scikit_learn_where_the_problems_coincide(C: float) -> None:
    """No kernel regulariser, no intercept: the weights X' alpha are LinearSVC's."""
    X, Y = draw(4, (3, 5, 4, 4), 30)
    weights = X.mT @ crammer_singer_dense(X @ X.mT, Y, C).value
    for t in range(3):
        labels = Y[t].argmax(-1).numpy()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", FutureWarning)
            machine = LinearSVC(
                multi_class="crammer_singer", C=C, fit_intercept=False, tol=1e-10, max_iter=1_000_000, random_state=0
            ).fit(X[t].numpy(), labels)
        torch.testing.assert_close(weights[t], torch.from_numpy(machine.coef_.T), rtol=1e-4, atol=1e-5)
        queries = torch.randn(50, 30, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
        assert ((queries @ weights[t]).argmax(-1).numpy() == machine.predict(queries.numpy())).all()


def test_optimality_conditions_by_hand() -> None:
    """alpha <= C Y, rows sum to 0, and K alpha - Y is a row constant minus a multiplier that is 0 where not bound."""
    X, Y = draw(5, (2,) * 5, 16)
    C, kernel = 0.1, X @ X.mT + torch.eye(10, dtype=X.dtype)
    alpha = crammer_singer_dense(kernel, Y, C).value
    assert float((alpha - C * Y).max()) <= 1e-9
    assert float(alpha.sum(-1).abs().max()) <= 1e-9
    reduced = Y - kernel @ alpha  # = multiplier + row constant
    free = alpha < C * Y - 1e-6
    assert bool(free.any())
    row_constant = torch.where(free, reduced, torch.inf).amin(-1, keepdim=True)
    has_free = free.any(-1, keepdim=True)
    assert float((reduced - row_constant)[free].abs().max()) <= 1e-6
    assert bool(((reduced - row_constant)[has_free.expand_as(reduced)] >= -1e-6).all())


@pytest.mark.parametrize("batch", [1, 3])
def test_gradients_of_kernel_price_and_regularization(batch: int) -> None:
    X, Y = draw(3, (2, 1, 2), 8, batch=batch, seed=3)
    C, regularization = (torch.tensor(v, dtype=torch.float64, requires_grad=True) for v in (0.3, 0.5))

    def solve(X: Tensor, C: Tensor, regularization: Tensor) -> Tensor:
        return crammer_singer_dense(X @ X.mT, Y, C, regularization=regularization).value

    inputs = (X.requires_grad_(), C, regularization)
    assert torch.autograd.gradcheck(solve, inputs, eps=1e-5, atol=1e-5, rtol=1e-4)


def test_a_shared_kernel_gets_the_sum_of_the_gradients() -> None:
    X, Y = draw(3, (1, 2, 1), 8, batch=1)
    orders = torch.stack([Y[0], Y[0].roll(1, -1), Y[0].roll(2, -1)])
    kernel = (X[0] @ X[0].mT + torch.eye(4)).requires_grad_()
    weights = torch.randn(3, 4, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    (shared,) = torch.autograd.grad((crammer_singer_dense(kernel, orders, 0.3).value * weights).sum(), kernel)
    each = [
        torch.autograd.grad((crammer_singer_dense(kernel, orders[t], 0.3).value * weights[t]).sum(), kernel)[0]
        for t in range(3)
    ]
    torch.testing.assert_close(shared, sum(each), rtol=1e-5, atol=1e-7)


def test_dependent_rows_need_the_named_regulariser() -> None:
    X, Y = draw(3, (2, 2, 2), 3)
    with pytest.raises(NotPositiveDefiniteError, match="multi-class SVM: episode 0 of 3"):
        crammer_singer_dense(X @ X.mT, Y, 0.1)
    assert bool(crammer_singer_dense(X @ X.mT, Y, 0.1, regularization=1.0).converged.all())


def test_shapes_that_do_not_fit() -> None:
    with pytest.raises(UserError, match="kernel"):
        crammer_singer_dense(torch.eye(3), torch.eye(4), 0.1)


@pytest.mark.parametrize("C", [1e-4, 0.1, 1.0, 1e4])
@pytest.mark.parametrize("kind", ["ordinary", "zero", "identical", "tiny", "huge", "orthogonal"])
def test_hard_problems_are_solved_or_named(kind: str, C: float) -> None:
    X, Y = draw(4, (3, 1, 2, 4), 20)
    change = {
        "ordinary": X,
        "zero": 0 * X,
        "identical": X[:, :1].expand_as(X),
        "tiny": 1e-6 * X,
        "huge": 1e6 * X,
        "orthogonal": torch.eye(10, 20, dtype=X.dtype).expand_as(X),
    }
    X = change[kind]
    try:
        solution = crammer_singer_dense(X @ X.mT, Y, C, regularization=1.0)
    except NotConvergedError:
        # qpth divides by a step that is exactly 0 on perfectly symmetric data, and stalls on scales 1e12 apart.
        assert (kind, C) not in {(easy, price) for easy in ("ordinary", "tiny", "orthogonal") for price in (0.1, 1e-4)}
        return
    assert bool(torch.isfinite(solution.value).all())
    assert float(solution.worst_residual.max()) <= 1e-8

"""The structured solver of the multi-class SVM's dual against cvxpy, scikit-learn, qpth and finite differences."""

import warnings

import cvxpy
import numpy as np
import pytest
import torch
from sklearn.svm import LinearSVC
from torch import Tensor

from episodes.errors import UserError
from fewshot_sla.solvers.errors import NonFiniteInputError, NotPositiveDefiniteError
from fewshot_sla.solvers.svm.crammer_singer import crammer_singer
from fewshot_sla.solvers.svm.dense import crammer_singer_dense
from tests.fewshot_sla.solvers.svm.problems import draw, gram, objective, worst_violation

SOLVERS = [crammer_singer, crammer_singer_dense]


def by_cvxpy(kernel: Tensor, one_hot: Tensor, C: float) -> tuple[float, Tensor]:
    Y = one_hot.numpy()
    alpha = cvxpy.Variable(Y.shape)
    factor = np.linalg.cholesky(kernel.numpy())
    value = 0.5 * cvxpy.sum_squares(factor.T @ alpha) - cvxpy.sum(cvxpy.multiply(Y, alpha))
    program = cvxpy.Problem(cvxpy.Minimize(value), [alpha <= C * Y, cvxpy.sum(alpha, axis=1) == 0])
    exact = {name: 1e-13 for name in ("tol_gap_abs", "tol_gap_rel", "tol_feas")}
    return float(program.solve("CLARABEL", **exact)), torch.from_numpy(alpha.value)


@pytest.mark.parametrize("solve", SOLVERS)
@pytest.mark.parametrize(("ways", "shots"), [(2, (1, 1)), (5, (1,) * 5), (3, (1, 4, 2))])
@pytest.mark.parametrize("C", [1e-3, 0.1, 10.0])
def test_objective_and_solution_equal_cvxpy(solve, ways: int, shots: tuple[int, ...], C: float) -> None:
    X, Y = draw(ways, shots, 12)
    kernel = gram(X, 1.0)
    solution = solve(gram(X), Y, C, regularization=1.0)
    assert float(solution.worst_residual.max()) <= 1e-8
    for t in range(3):
        value, alpha = by_cvxpy(kernel[t], Y[t], C)
        assert float(objective(kernel[t], Y[t], solution.value[t])) == pytest.approx(value, rel=1e-6, abs=1e-9)
        torch.testing.assert_close(solution.value[t], alpha, rtol=1e-4, atol=1e-5 * max(C, 1))


@pytest.mark.parametrize("solve", SOLVERS)
@pytest.mark.parametrize("C", [0.1, 1.0])
def test_equals_scikit_learn_where_the_problems_coincide(solve, C: float) -> None:
    """No kernel regulariser, no intercept: the weights X' alpha are LinearSVC's."""
    X, Y = draw(4, (3, 5, 4, 4), 30)
    weights = X.mT @ solve(gram(X), Y, C).value
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


@pytest.mark.parametrize("C", [0.01, 0.1, 10.0])
def test_equals_qpth_in_value_and_gradient(C: float) -> None:
    X, Y = draw(4, (3, 1, 2, 4), 20)
    inputs = [X.clone().requires_grad_() for _ in SOLVERS]
    weights = torch.randn(Y.shape, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    values = [solve(gram(x), Y, C, regularization=1.0).value for solve, x in zip(SOLVERS, inputs, strict=True)]
    torch.testing.assert_close(*values, rtol=1e-5, atol=1e-6)
    gradients = [torch.autograd.grad((v * weights).sum(), x)[0] for v, x in zip(values, inputs, strict=True)]
    torch.testing.assert_close(*gradients, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("C", [1e-3, 0.1, 10.0])
def test_no_exchange_between_classes_gains(C: float) -> None:
    X, Y = draw(5, (2,) * 5, 16)
    kernel = gram(X, 1.0)
    alpha = crammer_singer(kernel, Y, C).value
    assert bool((alpha <= C * Y).all())
    for t in range(3):
        assert worst_violation(kernel[t], Y[t], C, alpha[t]) <= 1e-10


@pytest.mark.parametrize("solve", SOLVERS)
@pytest.mark.parametrize("batch", [1, 3])
@pytest.mark.parametrize("C", [0.02, 0.3, 5.0])
def test_gradients_of_kernel_price_and_regularization(solve, batch: int, C: float) -> None:
    X, Y = draw(3, (2, 1, 2), 8, batch=batch, seed=3)
    price, regularization = (torch.tensor(v, dtype=torch.float64, requires_grad=True) for v in (C, 0.5))

    def value(X: Tensor, price: Tensor, regularization: Tensor) -> Tensor:
        return solve(X @ X.mT, Y, price, regularization=regularization).value

    inputs = (X.requires_grad_(), price, regularization)
    assert torch.autograd.gradcheck(value, inputs, eps=1e-6, atol=1e-5, rtol=1e-4, fast_mode=True)


@pytest.mark.parametrize("solve", SOLVERS)
def test_gradients_of_one_price_and_regularization_an_episode(solve) -> None:
    X, Y = draw(3, (2, 1, 2), 8, seed=3)
    price = torch.tensor([0.02, 0.3, 5.0], dtype=torch.float64, requires_grad=True)
    regularization = torch.tensor([0.5, 1.0, 2.0], dtype=torch.float64, requires_grad=True)

    def value(*changing: Tensor) -> Tensor:
        return solve(gram(X), Y, changing[0], regularization=changing[1]).value

    assert torch.autograd.gradcheck(value, (price, regularization), eps=1e-6, atol=1e-5, rtol=1e-4)
    torch.testing.assert_close(
        value(price, regularization)[1], solve(gram(X[1]), Y[1], 0.3, regularization=1.0).value, rtol=1e-6, atol=1e-7
    )


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("C", [0.02, 1.0])
def test_gradient_along_a_direction_of_a_larger_problem(seed: int, C: float) -> None:
    """20 classes, half of the variables bound, among them rows with a single free variable."""
    X, Y = draw(20, (1, 3) * 10, 16, batch=1, seed=seed)
    direction = torch.randn(X.shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    weights = torch.randn(Y.shape, generator=torch.Generator().manual_seed(seed + 1), dtype=torch.float64)

    def loss(X: Tensor) -> Tensor:
        return (crammer_singer(gram(X), Y, C, regularization=0.3).value * weights).sum()

    X.requires_grad_()
    (gradient,) = torch.autograd.grad(loss(X), X)
    with torch.no_grad():
        slope = float(loss(X + 1e-7 * direction) - loss(X - 1e-7 * direction)) / 2e-7
    assert float((gradient * direction).sum()) == pytest.approx(slope, rel=1e-4, abs=1e-6)


@pytest.mark.parametrize("solve", SOLVERS)
def test_shared_arguments_get_the_sum_of_the_gradients(solve) -> None:
    X, Y = draw(3, (1, 2, 1), 8, batch=1)
    orders = torch.stack([Y[0], Y[0].roll(1, -1), Y[0].roll(2, -1)])
    weights = torch.randn(3, 4, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    kernel, price = gram(X[0], 1.0).requires_grad_(), torch.tensor(0.3, dtype=torch.float64, requires_grad=True)

    def gradients(orders: Tensor, weights: Tensor) -> tuple[Tensor, ...]:
        return torch.autograd.grad((solve(kernel, orders, price).value * weights).sum(), (kernel, price))

    each = [gradients(orders[t], weights[t]) for t in range(3)]
    for shared, parts in zip(gradients(orders, weights), zip(*each, strict=True), strict=True):
        torch.testing.assert_close(shared, sum(parts), rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize("solve", SOLVERS)
def test_a_second_derivative_is_refused(solve) -> None:
    X, Y = draw(3, (2, 1, 2), 8)
    X.requires_grad_()
    (gradient,) = torch.autograd.grad(solve(gram(X, 1.0), Y, 0.1).value.square().sum(), X, create_graph=True)
    with pytest.raises(RuntimeError, match="no second derivative"):
        gradient.sum().backward()


def test_only_the_symmetric_part_of_the_kernel_counts() -> None:
    X, Y = draw(3, (2, 2, 2), 8)
    skew = torch.triu(torch.ones(6, 6, dtype=torch.float64), 1)
    twisted = crammer_singer(gram(X, 1.0) + skew - skew.T, Y, 0.1)
    torch.testing.assert_close(twisted.value, crammer_singer(gram(X, 1.0), Y, 0.1).value)


@pytest.mark.parametrize("solve", SOLVERS)
def test_errors_name_the_episode(solve) -> None:
    X, Y = draw(3, (2, 2, 2), 8)
    kernel = gram(X, 1.0)
    kernel[1, 0, 3] = torch.nan
    with pytest.raises(NonFiniteInputError, match=r"multi-class SVM: episode 1 of 3: .* not finite") as caught:
        solve(kernel, Y, 0.1)
    assert caught.value.episodes == (1,)
    kernel = gram(X, 1.0)
    kernel[2] -= 5 * torch.eye(6)
    with pytest.raises(NotPositiveDefiniteError, match="multi-class SVM: episode 2 of 3"):
        solve(kernel, Y, 0.1)


def test_dependent_rows_need_a_regulariser_in_the_dense_solver_only() -> None:
    X, Y = draw(3, (2, 2, 2), 3)
    with pytest.raises(NotPositiveDefiniteError, match="multi-class SVM: episode 0 of 3"):
        crammer_singer_dense(gram(X), Y, 0.1)
    assert bool(crammer_singer_dense(gram(X), Y, 0.1, regularization=1.0).converged.all())
    assert bool(crammer_singer(gram(X), Y, 0.1).converged.all())


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"kernel": torch.eye(5)}, "kernel"),
        ({"one_hot": torch.ones(3, 6, 3)}, "one 1"),
        ({"one_hot": torch.zeros(3, 6, 3)}, "one 1"),
        ({"one_hot": torch.ones(2, 6, 3)}, "do not fit together"),
        ({"C": 0.0}, "C must be positive"),
        ({"C": float("inf")}, "C must be positive"),
        ({"C": torch.ones(2)}, "do not fit together"),
        ({"regularization": -1e-3}, "at least 0"),
    ],
)
def test_impossible_arguments(change: dict[str, object], message: str) -> None:
    X, Y = draw(3, (2, 2, 2), 8)
    with pytest.raises(UserError, match=message):
        crammer_singer(**{"kernel": gram(X, 1.0), "one_hot": Y, "C": 0.1, **change})


def test_shapes_that_do_not_fit_the_dense_solver() -> None:
    with pytest.raises(UserError, match="kernel"):
        crammer_singer_dense(torch.eye(3), torch.eye(4), 0.1)

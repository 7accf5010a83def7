"""Logistic regression against scikit-learn, finite differences, and its own optimality conditions."""

import pickle

import pytest
import torch
from sklearn.linear_model import LogisticRegression
from torch import Tensor

from episodes.errors import UserError
from fewshot_sla.solvers.errors import NonFiniteInputError, NotConvergedError, NotPositiveDefiniteError
from fewshot_sla.solvers.logistic import newton
from fewshot_sla.solvers.logistic.regression import logistic_regression
from fewshot_sla.solvers.solution import Solution


def problem(
    shots: tuple[int, ...], dimension: int, batch: int = 2, size: float = 1.0
) -> tuple[Tensor, Tensor]:  # [T, S, D], [T, S] shuffled, float64
    generator = torch.Generator().manual_seed(0)
    labels = torch.arange(len(shots)).repeat_interleave(torch.tensor(shots))
    labels = labels[torch.rand(batch, len(labels), generator=generator).argsort(-1)]
    means = torch.randn(batch, len(shots), dimension, generator=generator, dtype=torch.float64)
    rows = means.gather(1, labels[..., None].expand(-1, -1, dimension))
    return size * (rows + torch.randn(rows.shape, generator=generator, dtype=torch.float64)), labels


def solved(X: Tensor, labels: Tensor, C: float | Tensor = 1.0, **options: object) -> Solution:
    one_hot = torch.nn.functional.one_hot(labels, int(labels.max()) + 1).to(X.dtype)
    return logistic_regression(X @ X.mT, one_hot, C, **options)


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize(
    ("shots", "dimension", "C", "size"),
    [
        ((5,) * 5, 16, 1.0, 1.0),  # D < S
        ((1, 7, 2), 40, 1.0, 1.0),  # D > S, uneven
        ((2,) * 10, 20, 0.1, 1.0),  # D = S
        ((3,) * 4, 30, 10.0, 0.3),
        ((4, 4, 4), 3, 100.0, 1.0),  # classes that overlap
    ],
)
def test_equals_scikit_learn(shots: tuple[int, ...], dimension: int, C: float, size: float, bias: bool) -> None:
    X, labels = problem(shots, dimension, size=size)
    solution = solved(X, labels, C, bias=bias)
    assert float(solution.worst_residual.max()) < 1e-10
    for rows, of_rows, value in zip(X, labels, solution.value, strict=True):
        peer = LogisticRegression(C=C, tol=1e-10, solver="newton-cg", max_iter=1000, fit_intercept=bias)
        peer.fit(rows.numpy(), of_rows.numpy())
        weights, intercept = torch.from_numpy(peer.coef_), torch.as_tensor(peer.intercept_)
        torch.testing.assert_close((rows.mT @ value[:-1]).mT, weights, rtol=1e-5, atol=1e-6)
        torch.testing.assert_close(value[-1], (intercept - intercept.mean()).expand(len(shots)), rtol=1e-5, atol=1e-6)


def test_two_classes_are_scikit_learns_at_twice_the_price() -> None:
    X, labels = problem((4, 5), 6, batch=1)
    value = solved(X, labels, 0.7).value[0]
    peer = LogisticRegression(C=1.4, tol=1e-10, solver="newton-cg").fit(X[0].numpy(), labels[0].numpy())
    scores = X[0] @ X[0].mT @ value[:-1] + value[-1]
    expected = torch.from_numpy(peer.decision_function(X[0].numpy()))
    torch.testing.assert_close(scores[:, 1] - scores[:, 0], expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("C", [1e-4, 1.0, 1e3])
@pytest.mark.parametrize("size", [1e-3, 1.0, 30.0])
@pytest.mark.parametrize("dimension", [2, 64])
def test_converges_whatever_the_scale(C: float, size: float, dimension: int) -> None:
    """From rows that say nothing to rows that are told apart with a probability of 1 - 1e-9."""
    X, labels = problem((1, 5, 3, 3), dimension, batch=4, size=size)
    for bias in (True, False):
        assert float(solved(X, labels, C, bias=bias, check=False).worst_residual.max()) < 1e-8


def test_rows_that_depend_on_each_other_or_are_nothing() -> None:
    X, labels = problem((3, 3, 3), 8)
    X[:, 4] = X[:, 3]
    assert float(solved(X, labels).worst_residual.max()) < 1e-10
    nothing = solved(torch.zeros(1, 6, 2, dtype=torch.float64), torch.tensor([[0, 0, 0, 1, 1, 2]])).value[0, -1]
    torch.testing.assert_close(nothing.softmax(-1), torch.tensor([3, 2, 1], dtype=torch.float64) / 6)  # frequencies


@pytest.mark.parametrize("bias", [True, False])
def test_gradcheck_of_rows_and_price(bias: bool) -> None:
    X, labels = problem((2, 1, 1), 2, batch=1)
    price = torch.tensor([3.0], dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda x, c: solved(x, labels, c, bias=bias).value, (X.requires_grad_(), price))


def test_of_a_kernel_only_the_symmetric_part_counts() -> None:
    X, labels = problem((1, 2), 4, batch=1)
    one_hot = torch.nn.functional.one_hot(labels, 2).double()
    kernel = (X @ X.mT + 0.1 * torch.randn(3, 3, dtype=torch.float64).tril(-1)).requires_grad_()
    assert torch.autograd.gradcheck(lambda k: logistic_regression(k, one_hot).value, (kernel,))
    torch.testing.assert_close(
        logistic_regression(kernel, one_hot).value, logistic_regression(kernel.mT, one_hot).value
    )


def test_a_second_derivative_is_refused() -> None:
    X, labels = problem((2, 2), 4)
    (gradient,) = torch.autograd.grad(solved(X.requires_grad_(), labels).value.square().sum(), X, create_graph=True)
    with pytest.raises(RuntimeError, match="logistic regression has no second derivative"):
        gradient.sum().backward()


def test_portions_batches_and_leading_axes_change_nothing() -> None:
    X, labels = problem((2, 3, 2), 5, batch=6)
    whole, small = solved(X, labels), solved(X, labels, memory=1)
    torch.testing.assert_close(whole.value, small.value)
    folded = solved(X.unflatten(0, (2, 3)), labels.unflatten(0, (2, 3)))
    assert folded.value.shape == (2, 3, 8, 3)
    assert folded.status.tolist() == [[0] * 3] * 2
    torch.testing.assert_close(folded.value[1, 2], whole.value[5])


def test_float32_and_autocast_are_solved_in_float64() -> None:
    X, labels = problem((3, 3), 5)
    with torch.autocast("cpu", torch.bfloat16):
        kernel = (X @ X.mT).float()
        value = logistic_regression(kernel, torch.nn.functional.one_hot(labels, 2).float()).value
    assert value.dtype == torch.float32
    torch.testing.assert_close(value, solved(X, labels).value.float(), rtol=1e-4, atol=1e-5)


def test_what_is_not_solved_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    X, labels = problem((2, 2), 4)
    with pytest.raises(UserError, match="C must be positive"):
        solved(X, labels, 0.0)
    kernel, one_hot = X @ X.mT, torch.nn.functional.one_hot(labels, 2).double()
    with pytest.raises(UserError, match="one-hot matrix must hold one 1"):
        logistic_regression(kernel, 0.5 * one_hot)
    with pytest.raises(UserError, match="are needed"):
        logistic_regression(kernel, one_hot[:, :2])
    with pytest.raises(NotPositiveDefiniteError, match="logistic regression: episode 0 of 2"):
        logistic_regression(kernel - 9 * torch.eye(4), one_hot)
    broken = kernel.clone()
    broken[1, 0, 0] = torch.nan
    with pytest.raises(NonFiniteInputError, match="logistic regression: episode 1 of 2: the kernel is not finite"):
        logistic_regression(broken, one_hot)
    monkeypatch.setattr(newton, "MOST_STEPS", 1)
    with pytest.raises(NotConvergedError, match="episode 0 of 2: not converged to 1e-08") as caught:
        logistic_regression(kernel, one_hot)
    assert pickle.loads(pickle.dumps(caught.value)).episodes == (0, 1)

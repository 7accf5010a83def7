"""Ridge regression: judged by the gradient of its objective, by its other form, and by finite differences."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from fewshot_sla.solvers.errors import NonFiniteInputError, NotConvergedError, NotPositiveDefiniteError
from fewshot_sla.solvers.ridge import ridge_regression
from fewshot_sla.solvers.solution import Status


def draw(rows: int, dimension: int, seed: int = 0, batch: tuple[int, ...] = (3,)) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    X = torch.randn(*batch, rows, dimension, generator=generator, dtype=torch.float64)
    return X, torch.randn(*batch, rows, 2, generator=generator, dtype=torch.float64)


@settings(deadline=None, max_examples=40)
@given(
    st.integers(1, 12), st.integers(1, 12), st.floats(1e-3, 1e3), st.sampled_from([1e-3, 1.0, 1e3]), st.integers(0, 99)
)
def test_the_gradient_of_the_objective_vanishes(
    rows: int, dimension: int, regularization: float, scale: float, seed: int
) -> None:
    X, Y = draw(rows, dimension, seed)
    X = scale * X
    w = ridge_regression(X, Y, regularization).value
    terms = X.mT @ (X @ w), X.mT @ Y, regularization * w
    size = max(float(term.abs().max()) for term in terms)
    # The dual form is accurate to its condition number, at most 1e6 * 12 * 10 / 1e-3 here.
    assert float((terms[0] - terms[1] + terms[2]).abs().max()) <= 1e-6 * size


@pytest.mark.parametrize(("rows", "dimension"), [(5, 5), (5, 9), (9, 5)])
def test_both_forms_agree(rows: int, dimension: int) -> None:
    X, Y = draw(rows, dimension)
    eye_s, eye_d = torch.eye(rows, dtype=X.dtype), torch.eye(dimension, dtype=X.dtype)
    dual = X.mT @ torch.linalg.solve(X @ X.mT + 2.0 * eye_s, Y)
    primal = torch.linalg.solve(X.mT @ X + 2.0 * eye_d, X.mT @ Y)
    value = ridge_regression(X, Y, 2.0).value
    torch.testing.assert_close(value, dual)
    torch.testing.assert_close(value, primal)


@pytest.mark.parametrize(("rows", "dimension"), [(4, 6), (6, 4)])
def test_gradcheck_of_inputs_targets_and_regularization(rows: int, dimension: int) -> None:
    X, Y = draw(rows, dimension, batch=(2,))
    regularization = torch.tensor(3.0, dtype=torch.float64, requires_grad=True)
    inputs = (X.requires_grad_(), Y.requires_grad_(), regularization)
    assert torch.autograd.gradcheck(lambda *a: ridge_regression(*a).value, inputs)


def test_any_leading_axes() -> None:
    X, Y = draw(4, 6, batch=(2, 3))
    solution = ridge_regression(X, Y, 1.0)
    assert solution.value.shape == (2, 3, 6, 2)
    assert solution.status.tolist() == [[Status.CONVERGED] * 3] * 2
    torch.testing.assert_close(solution.value[1, 2], ridge_regression(X[1, 2], Y[1, 2], 1.0).value)


def test_autocast_changes_nothing() -> None:
    X, Y = (tensor.float() for tensor in draw(4, 6))
    with torch.autocast("cpu", dtype=torch.bfloat16):
        inside = ridge_regression(X, Y, 1.0).value
    assert torch.equal(inside, ridge_regression(X, Y, 1.0).value)


def test_errors_are_named() -> None:
    X, Y = draw(4, 6)
    X[1, 0, 0] = torch.inf
    with pytest.raises(NonFiniteInputError, match="ridge regression: episode 1 of 3: features are not finite"):
        ridge_regression(X, Y, 1.0)
    X[1, 0, 0] = 0
    X[2] = 0
    with pytest.raises(NotPositiveDefiniteError, match="episode 2 of 3") as caught:
        ridge_regression(X, Y, 0.0)
    assert caught.value.episodes == (2,)


def test_a_system_too_ill_conditioned_for_float32_is_named_not_answered() -> None:
    X = torch.ones(1, 4, 6) * 1e6 + torch.arange(24.0).reshape(1, 4, 6) % 5
    with pytest.raises((NotConvergedError, NotPositiveDefiniteError), match="episode 0 of 1"):
        ridge_regression(X, torch.eye(4)[None], 1.0)

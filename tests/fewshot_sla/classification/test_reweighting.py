"""Class-balanced weights: worked numbers, the formula of the paper, the moment they begin, counts that will not do."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from episodes import UserError
from fewshot_sla.classification.reweighting import (
    ClassBalanced,
    NoReweighting,
    Reweighting,
    check_counts,
    class_balanced_weights,
)
from tests.fewshot_sla.classification import slow_losses

COUNTS = torch.tensor([500, 100, 20, 5])


def test_worked_numbers() -> None:
    """beta = 0.5, counts 1, 2, 3: E = 1, 1.5, 1.75; 1/E = 1, 2/3, 4/7 with sum 47/21; times 3 / (47/21) = 63/47."""
    weights = class_balanced_weights(torch.tensor([1.0, 2.0, 3.0], dtype=torch.float64), 0.5)
    torch.testing.assert_close(weights, torch.tensor([63 / 47, 42 / 47, 36 / 47], dtype=torch.float64))


def test_one_image_against_many() -> None:
    """beta = 0.9, counts 1 and infinitely many: E = 1 and 10, weights 2 * 10 / 11 and 2 * 1 / 11."""
    weights = class_balanced_weights(torch.tensor([1.0, 1e6]), 0.9)
    torch.testing.assert_close(weights, torch.tensor([20 / 11, 2 / 11]))


@pytest.mark.parametrize("dtype", [torch.int64, torch.float32, torch.float64])
@pytest.mark.parametrize("beta", [0.0, 0.3, 0.99, 0.9999])
def test_equal_the_formula(beta: float, dtype: torch.dtype) -> None:
    weights = class_balanced_weights(COUNTS.to(dtype), beta)
    expected = torch.tensor(slow_losses.class_balanced(COUNTS.tolist(), beta), dtype=weights.dtype)
    assert weights.dtype == (torch.float64 if dtype == torch.float64 else torch.float32)
    torch.testing.assert_close(weights, expected, rtol=1e-6, atol=0)


def test_beta_zero_is_no_weighting_and_beta_near_one_is_the_inverse_of_the_counts() -> None:
    assert class_balanced_weights(COUNTS, 0).tolist() == [1, 1, 1, 1]
    inverse = 1 / COUNTS
    nearly_one = class_balanced_weights(COUNTS, 1 - 1e-12)  # where 1 - beta^n in float32 would be 0
    torch.testing.assert_close(nearly_one, 4 * inverse / inverse.sum())


@given(st.lists(st.integers(1, 10**7), min_size=1, max_size=20), st.floats(0, 1, exclude_max=True))
def test_what_holds_for_all_counts(counts: list[int], beta: float) -> None:
    weights = class_balanced_weights(torch.tensor(counts), beta)
    assert bool((weights > 0).all())
    torch.testing.assert_close(weights.sum(), torch.tensor(float(len(counts))), rtol=1e-4, atol=0)
    order = torch.tensor(counts).argsort(descending=True)
    assert bool((weights[order].diff() >= -1e-5).all())  # the rarer, the heavier
    torch.testing.assert_close(class_balanced_weights(torch.tensor(counts)[order], beta), weights[order])


def test_deferred_until_its_share_of_the_training() -> None:
    deferred, always = ClassBalanced(0.99, start=0.8), ClassBalanced(0.99)
    expected = class_balanced_weights(COUNTS, 0.99)
    for step in (0, 1, 159, 62_399 / 390):
        assert deferred.weights(COUNTS, step / 200) is None
    for step in (160, 161, 199):
        weights = deferred.weights(COUNTS, step / 200)
        assert weights is not None
        assert torch.equal(weights, expected)
    first = always.weights(COUNTS, 0.0)
    assert first is not None
    assert torch.equal(first, expected)


@given(st.integers(1, 1000))
def test_epoch_160_of_200_is_not_missed_by_a_rounding_error(steps_an_epoch: int) -> None:
    at = ClassBalanced(start=0.8)
    steps = 200 * steps_an_epoch
    assert at.weights(COUNTS, (160 * steps_an_epoch - 1) / steps) is None
    assert at.weights(COUNTS, 160 * steps_an_epoch / steps) is not None


def test_no_reweighting_wants_no_counts() -> None:
    assert NoReweighting().weights(None, 0.5) is None
    assert NoReweighting().weights(COUNTS, 0.5) is None
    NoReweighting().check(None)
    NoReweighting().check(torch.tensor([0, 1]))


@pytest.mark.parametrize("done", [0.0, 0.9])
def test_missing_counts_are_said_at_once_and_not_when_they_are_used(done: float) -> None:
    reweighting = ClassBalanced(start=0.8)
    message = "ClassBalanced needs the class counts: the number of training images of every class"
    with pytest.raises(UserError, match=f"^{message}$"):
        reweighting.weights(None, done)
    with pytest.raises(UserError, match=f"^{message}$"):
        reweighting.check(None)


def test_counts_that_do() -> None:
    for counts in (COUNTS, COUNTS.float(), torch.tensor([1])):
        check_counts(counts, "anything")
        ClassBalanced().check(counts)


@pytest.mark.parametrize(
    ("counts", "message"),
    [
        (
            [5, 3, 0, 0],
            "X needs training images of every class, but label 2 has 0: give it images or leave the class out",
        ),
        ([5.0, -1.0], "X needs training images of every class, but label 1 has -1: "),
        ([float("nan"), 1.0], "X needs training images of every class, but label 0 has nan: "),
        ([1.0, float("inf")], "X needs training images of every class, but label 1 has inf: "),
        ([], "X needs one count for each class, not a tensor of shape [0]"),
        ([[1, 2]], "X needs one count for each class, not a tensor of shape [1, 2]"),
    ],
)
def test_counts_that_will_not_do(counts: list, message: str) -> None:
    with pytest.raises(UserError) as caught:
        check_counts(torch.tensor(counts), "X")
    assert str(caught.value).startswith(message)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("value", [-0.1, 1.0, 2.0, float("nan")])
@pytest.mark.parametrize("name", ["beta", "start"])
def test_numbers_out_of_range(name: str, value: float) -> None:
    with pytest.raises(UserError, match=f"^ClassBalanced {name} must be at least 0 and below 1, got {value}$"):
        ClassBalanced(**{name: value})


def test_one_of_ones_own_is_asked_for_counts_unless_it_says_otherwise() -> None:
    class Mine(Reweighting):
        def weights(self, counts: torch.Tensor | None, done: float) -> None: ...

    with pytest.raises(UserError, match=r"^Mine needs the class counts"):
        Mine().check(None)

"""Losses of a linear layer against the formulas of their papers, one row at a time, and against worked numbers."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor
from torch.nn import functional

from episodes import UserError
from episodes.targets import Targets
from fewshot_sla.classification.label_losses import (
    LDAM,
    BalancedSoftmax,
    CrossEntropy,
    LabelLoss,
    LogitAdjustment,
    add_log_prior,
    ldam_margins,
)
from fewshot_sla.classification.reweighting import ClassBalanced
from tests.fewshot_sla.classification import slow_losses

COUNTS = torch.tensor([500, 100, 20, 5])
REWEIGHTED = ClassBalanced(0.99, start=0.5)
LOSSES = [
    (CrossEntropy, {}, slow_losses.cross_entropy),
    (BalancedSoftmax, {}, slow_losses.balanced_softmax),
    (LogitAdjustment, {}, slow_losses.logit_adjusted(1)),
    (LogitAdjustment, {"tau": 1.7}, slow_losses.logit_adjusted(1.7)),
    (LogitAdjustment, {"tau": 0.0}, slow_losses.cross_entropy),
    (LDAM, {}, slow_losses.ldam(0.5, 30)),
    (LDAM, {"max_margin": 0.3, "scale": 7.0}, slow_losses.ldam(0.3, 7)),
]
ALL = [CrossEntropy(), BalancedSoftmax(), LogitAdjustment(1.5), LDAM()]
NEEDY = [BalancedSoftmax(), LogitAdjustment(), LDAM(), CrossEntropy(ClassBalanced())]


def batch(rows: int = 9, ways: int = 4, seed: int = 0) -> tuple[Tensor, Tensor]:
    """Logits that may be cosines too, and labels."""
    generator = torch.Generator().manual_seed(seed)
    logits = 2 * torch.rand(rows, ways, generator=generator, dtype=torch.float64) - 1
    return logits, torch.randint(0, ways, (rows,), generator=generator)


@pytest.mark.parametrize("count_dtype", [torch.int64, torch.float32])
@pytest.mark.parametrize(("kind", "arguments", "slow"), LOSSES)
def test_equal_the_formula(
    kind: type[LabelLoss], arguments: dict, slow: slow_losses.RowLoss, count_dtype: torch.dtype
) -> None:
    logits, labels = batch()
    loss = kind(**arguments)(logits, Targets(labels), COUNTS.to(count_dtype), 0.9)
    assert loss.shape == ()
    expected = slow_losses.weighted_mean(slow, logits.tolist(), labels.tolist(), COUNTS.tolist())
    assert loss.item() == pytest.approx(expected, rel=1e-6 if kind is LDAM else 1e-12)  # margins are float32


@pytest.mark.parametrize(("kind", "arguments", "slow"), LOSSES)
def test_equal_the_formula_when_reweighted(kind: type[LabelLoss], arguments: dict, slow: slow_losses.RowLoss) -> None:
    logits, labels = batch()
    counts = COUNTS.double()
    loss = kind(**arguments, reweighting=REWEIGHTED)
    rows = (slow, logits.tolist(), labels.tolist(), COUNTS.tolist())
    weighted = slow_losses.weighted_mean(*rows, slow_losses.class_balanced(COUNTS.tolist(), 0.99))
    plain = slow_losses.weighted_mean(*rows)
    assert weighted != pytest.approx(plain, rel=1e-3)
    assert loss(logits, Targets(labels), counts, 0.49).item() == pytest.approx(plain, rel=1e-12)
    assert loss(logits, Targets(labels), counts, 0.5).item() == pytest.approx(weighted, rel=1e-12)


def test_the_log_prior_in_worked_numbers() -> None:
    """Counts 1, 2, 5 are 1/8, 1/4, 5/8 of the images."""
    adjusted = add_log_prior(torch.tensor([[0.0, 1.0, 2.0]], dtype=torch.float64), torch.tensor([1, 2, 5]), tau=2)
    expected = [2 * math.log(1 / 8), 1 + 2 * math.log(1 / 4), 2 + 2 * math.log(5 / 8)]
    assert adjusted[0].tolist() == pytest.approx(expected, rel=1e-12)


def test_ldam_in_worked_numbers() -> None:
    """Counts 1, 16, 81 have n^(1/4) = 1, 2, 3: margins 0.6, 0.3, 0.2.

    s = 10. Row 1, label 1: logits 2, 5 - 3, 0, which cost log(2 e^2 + 1) - 2.
    Row 2, label 0: logits -1 - 6, 0, 0, which cost log(e^-7 + 2) + 7.
    """
    counts = torch.tensor([1, 16, 81])
    torch.testing.assert_close(ldam_margins(counts, 0.6), torch.tensor([0.6, 0.3, 0.2]))
    cosines = torch.tensor([[0.2, 0.5, 0.0], [-0.1, 0.0, 0.0]], dtype=torch.float64)
    first, second = math.log(2 * math.exp(2) + 1) - 2, math.log(math.exp(-7) + 2) + 7
    loss = LDAM(max_margin=0.6, scale=10)(cosines, Targets(torch.tensor([1, 0])), counts.double())
    assert loss.item() == pytest.approx((first + second) / 2, rel=1e-12)


def test_class_balanced_cross_entropy_in_worked_numbers() -> None:
    """beta = 0.5, counts 1, 2: weights in ratio 3 : 2.

    Logits 0, 0 cost log 2, logits log 3, 0 with label 1 cost -log(1/4) = 2 log 2; (3 + 2 * 2) / 5 = 7/5 log 2.
    """
    logits = torch.tensor([[0.0, 0.0], [math.log(3), 0.0]], dtype=torch.float64)
    loss = CrossEntropy(ClassBalanced(0.5))(logits, Targets(torch.tensor([0, 1])), torch.tensor([1, 2]))
    assert loss.item() == pytest.approx(1.4 * math.log(2), rel=1e-6)


def test_without_weights_or_counts_it_is_torchs_cross_entropy() -> None:
    logits, labels = batch()
    assert torch.equal(CrossEntropy()(logits, Targets(labels)), functional.cross_entropy(logits, labels))


@pytest.mark.parametrize("loss", [BalancedSoftmax(), LogitAdjustment(), LogitAdjustment(3.0)])
def test_balanced_counts_make_it_cross_entropy(loss: LabelLoss) -> None:
    logits, labels = batch()
    balanced = loss(logits, Targets(labels), torch.full((4,), 37))
    torch.testing.assert_close(balanced, CrossEntropy()(logits, Targets(labels)), rtol=1e-12, atol=1e-12)
    shifted = loss.adjust(logits, labels, torch.full((4,), 37)) - logits
    torch.testing.assert_close(shifted, shifted[0, 0].expand_as(shifted))


def test_balanced_counts_and_weights_make_it_cross_entropy() -> None:
    logits, labels = batch()
    loss = CrossEntropy(ClassBalanced(0.9))(logits, Targets(labels), torch.full((4,), 12))
    torch.testing.assert_close(loss, CrossEntropy()(logits, Targets(labels)), rtol=1e-6, atol=0)


def test_logit_adjustment_with_tau_one_is_the_balanced_softmax() -> None:
    logits, labels = batch()
    assert torch.equal(
        LogitAdjustment(1.0)(logits, Targets(labels), COUNTS), BalancedSoftmax()(logits, Targets(labels), COUNTS)
    )


def test_what_the_model_believes() -> None:
    logits = batch(rows=6)[0].unflatten(0, (2, 3))
    for loss in ALL:
        factor = 30 if isinstance(loss, LDAM) else 1
        assert torch.equal(loss.scaled(logits), factor * logits)
    assert torch.equal(LDAM(scale=2.5).scaled(logits), 2.5 * logits)


@pytest.mark.parametrize("loss", ALL, ids=lambda loss: type(loss).__name__)
def test_half_precision_is_computed_in_float32(loss: LabelLoss) -> None:
    logits, labels = batch()
    for dtype in (torch.bfloat16, torch.float16):
        half = loss(logits.to(dtype), Targets(labels), COUNTS)
        assert half.dtype == loss.scaled(logits.to(dtype)).dtype == torch.float32
        assert torch.equal(half, loss(logits.to(dtype).float(), Targets(labels), COUNTS))
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert loss(logits.bfloat16(), Targets(labels), COUNTS).dtype == torch.float32
    assert loss(logits, Targets(labels), COUNTS).dtype == torch.float64


@pytest.mark.parametrize("loss", [*ALL, CrossEntropy(ClassBalanced())], ids=lambda loss: type(loss).__name__)
def test_huge_logits_give_numbers(loss: LabelLoss) -> None:
    logits = torch.tensor([[1e4, -1e4, 0.0, 1.0], [-1e4, 1e4, 1e4, 0.0]], requires_grad=True)
    value = loss(logits, Targets(torch.tensor([1, 1])), COUNTS)
    value.backward()
    assert math.isfinite(value.item())
    assert logits.grad is not None
    assert bool(torch.isfinite(logits.grad).all())


@pytest.mark.parametrize("reweighted", [False, True])
@pytest.mark.parametrize(("kind", "arguments"), [(kind, arguments) for kind, arguments, _ in LOSSES])
def test_gradients(kind: type[LabelLoss], arguments: dict, reweighted: bool) -> None:
    logits, labels = batch(rows=5)
    loss = kind(**arguments, **({"reweighting": REWEIGHTED} if reweighted else {}))
    assert torch.autograd.gradcheck(lambda x: loss(x, Targets(labels), COUNTS.double(), 0.7), logits.requires_grad_())


@given(st.integers(0, 2**31), st.permutations(range(5)), st.booleans())
def test_names_of_labels_do_not_matter(seed: int, order: list[int], reweighted: bool) -> None:
    logits, labels = batch(ways=5, seed=seed)
    counts = torch.randint(1, 1000, (5,), generator=torch.Generator().manual_seed(seed)).double()
    renamed = torch.tensor(order).argsort()[labels]  # label order[k] is called k
    for kind in (CrossEntropy, BalancedSoftmax, LogitAdjustment, LDAM):
        loss = kind(reweighting=REWEIGHTED) if reweighted else kind()
        expected = loss(logits, Targets(labels), counts, 0.5)
        torch.testing.assert_close(loss(logits[:, order], Targets(renamed), counts[order], 0.5), expected)
        mixed = torch.randperm(len(labels), generator=torch.Generator().manual_seed(seed))
        torch.testing.assert_close(loss(logits[mixed], Targets(labels[mixed]), counts, 0.5), expected)


@given(st.integers(0, 2**31))
def test_ldam_asks_for_more_than_cross_entropy(seed: int) -> None:
    cosines, labels = batch(seed=seed)
    assert LDAM()(cosines, Targets(labels), COUNTS) > CrossEntropy()(30 * cosines, Targets(labels))


@pytest.mark.parametrize("loss", NEEDY, ids=lambda loss: type(loss).__name__)
def test_counts_that_are_missing_or_zero(loss: LabelLoss) -> None:
    logits, labels = batch()
    who = "ClassBalanced" if isinstance(loss, CrossEntropy) else type(loss).__name__
    missing = f"^{who} needs the class counts: the number of training images of every class$"
    with pytest.raises(UserError, match=missing):
        loss(logits, Targets(labels))
    with pytest.raises(UserError, match=missing):
        loss.check(None)
    with pytest.raises(UserError, match=f"^{who} needs training images of every class, but label 1 has 0"):
        loss.check(torch.tensor([3, 0, 1, 1]))
    loss.check(COUNTS)


def test_cross_entropy_wants_no_counts() -> None:
    CrossEntropy().check(None)
    CrossEntropy().check(torch.tensor([0, 0]))


def test_only_ldam_needs_cosines() -> None:
    assert [loss.needs_normalized_layer for loss in ALL] == [False, False, False, True]


@pytest.mark.parametrize("value", [0.0, -1.0, float("inf"), float("nan")])
@pytest.mark.parametrize("name", ["max_margin", "scale"])
def test_ldams_numbers_out_of_range(name: str, value: float) -> None:
    with pytest.raises(UserError, match=f"^LDAM {name} must be positive and finite, got {value}$"):
        LDAM(**{name: value})


@pytest.mark.parametrize("tau", [-0.1, float("inf"), float("nan")])
def test_tau_out_of_range(tau: float) -> None:
    with pytest.raises(UserError, match=f"^LogitAdjustment tau must be at least 0 and finite, got {tau}$"):
        LogitAdjustment(tau)

"""Intervals and paired tests against SciPy's own, the class level against a loop, Holm's correction by hand."""

import math

import numpy as np
import pytest
from scipy import stats

from fewshot_sla.runs.statistics import (
    PairedDifference,
    class_means,
    estimate,
    holm,
    interval_half_width,
    mcnemar,
    paired_difference,
)

Q = 15


def outcomes(episodes: int, ways: int = 5, classes: int = 20, seed: int = 0) -> tuple[np.ndarray, ...]:
    generator = np.random.default_rng(seed)
    chosen = np.stack([generator.permutation(classes)[:ways] for _ in range(episodes)])
    difficulty = generator.uniform(0.3, 0.9, classes)[chosen]
    a = generator.binomial(Q, difficulty)
    b = generator.binomial(Q, np.minimum(difficulty + 0.03, 1))
    return a, b, chosen


@pytest.mark.parametrize("n", [2, 3, 10, 1000])
def test_the_interval_is_scipys_t_interval(n: int) -> None:
    values = np.random.default_rng(n).normal(0.7, 0.1, n)
    low, high = stats.t.interval(0.95, n - 1, loc=values.mean(), scale=stats.sem(values))
    assert interval_half_width(values) == pytest.approx((high - low) / 2, rel=1e-10)


def test_the_interval_covers_the_mean_as_often_as_it_says() -> None:
    generator = np.random.default_rng(0)
    samples = generator.normal(0.5, 0.1, (4000, 5))
    covered = sum(abs(row.mean() - 0.5) <= interval_half_width(row) for row in samples)
    assert stats.binomtest(int(covered), 4000, 0.95).pvalue > 1e-4


def test_one_value_has_no_interval_and_equal_ones_have_none_to_speak_of() -> None:
    assert math.isnan(interval_half_width(np.array([0.5])))
    assert interval_half_width(np.full(10, 0.5)) == 0


@pytest.mark.parametrize("episodes", [3, 30, 1000])
@pytest.mark.parametrize("seed", range(3))
def test_the_paired_test_over_episodes_is_scipys(episodes: int, seed: int) -> None:
    a, b, classes = outcomes(episodes, seed=seed)
    accuracies_a, accuracies_b = a.mean(axis=1) / Q, b.mean(axis=1) / Q
    expected = stats.ttest_rel(accuracies_b, accuracies_a)
    low, high = expected.confidence_interval(0.95)
    found = paired_difference(a, b, classes, Q)
    assert found.difference == pytest.approx(accuracies_b.mean() - accuracies_a.mean())
    assert found.p_value == pytest.approx(expected.pvalue)
    assert found.ci95 == pytest.approx((high - low) / 2)


@pytest.mark.parametrize("names", [False, True])
def test_the_test_over_classes_is_that_of_a_loop(names: bool) -> None:
    a, b, classes = outcomes(100)
    if names:
        classes = np.array([f"class {number}" for number in range(20)])[classes]
    differences = []
    for c in sorted(set(classes.flatten().tolist())):
        own = [(b[e, y] - a[e, y]) / Q for e in range(len(a)) for y in range(a.shape[1]) if classes[e, y] == c]
        differences.append(sum(own) / len(own))
    expected = stats.ttest_1samp(differences, 0)
    low, high = expected.confidence_interval(0.95)
    found = paired_difference(a, b, classes, Q)
    assert found.classes == len(differences) == 20
    assert found.class_p_value == pytest.approx(expected.pvalue)
    assert found.class_ci95 == pytest.approx((high - low) / 2)


def test_changing_sides_changes_the_sign_only() -> None:
    a, b, classes = outcomes(50)
    there, back = paired_difference(a, b, classes, Q), paired_difference(b, a, classes, Q)
    assert back.difference == -there.difference
    assert (back.ci95, back.p_value, back.class_p_value) == (there.ci95, there.p_value, there.class_p_value)


def test_a_run_does_not_differ_from_itself() -> None:
    a, _, classes = outcomes(50)
    assert paired_difference(a, a, classes, Q) == PairedDifference(0, 0, 1, 0, 0, 1, classes=20)


def test_a_difference_without_any_spread_is_certain() -> None:
    a, _, classes = outcomes(50)
    found = paired_difference(a, a + 1, classes, n_query=1)
    assert found.difference == 1
    assert found.ci95 == found.class_ci95 == 0
    assert found.p_value == found.class_p_value == 0


def test_one_episode_allows_no_claim_over_episodes() -> None:
    a, b, classes = outcomes(1)
    found = paired_difference(a, b, classes, Q)
    assert found.difference == pytest.approx((b - a).mean() / Q)
    assert math.isnan(found.ci95)
    assert math.isnan(found.p_value)
    assert found.classes == 5  # but over its five classes it does
    assert found.class_p_value == pytest.approx(stats.ttest_1samp((b - a)[0] / Q, 0).pvalue)


def test_differences_that_cancel_leave_no_rounding_behind() -> None:
    """Sevenths do not sum exactly: a rest of 1e-17 in each class or episode would get a p-value of its own."""
    differences = np.array([[1, 2, 3, -6], [-6, 3, 1, 2], [2, -6, 3, 1], [3, 1, -7, 3]])
    assert not differences.sum(axis=0).any()  # nothing is left of any class,
    assert not differences.sum(axis=1).any()  # nor of any episode
    correct, classes = np.full((4, 4), 7), np.tile(np.arange(4), (4, 1))
    found = paired_difference(correct, correct + differences, classes, n_query=7)
    assert found == PairedDifference(0, 0, 1, 0, 0, 1, classes=4)


@pytest.mark.parametrize(
    ("p_values", "corrected"),
    [
        # 4 * 0.005, 3 * 0.01, 2 * 0.03, and 1 * 0.04 raised to what stands before it
        ([0.01, 0.04, 0.03, 0.005], [0.03, 0.06, 0.06, 0.02]),
        ([0.2], [0.2]),
        ([0.5, 0.4, 0.6], [1, 1, 1]),  # 3 * 0.4 and 2 * 0.5 are no probabilities, and 0.6 must not come before them
        ([0.02, 0.02], [0.04, 0.04]),
        ([math.nan, 0.03, 0.01], [math.nan, 0.03, 0.02]),  # two tests, not three
        ([], []),
    ],
)
def test_holms_correction_is_that_by_hand(p_values: list[float], corrected: list[float]) -> None:
    assert holm(p_values) == pytest.approx(corrected, nan_ok=True)


def test_holms_correction_lies_between_none_and_bonferronis() -> None:
    p_values = np.random.default_rng(1).uniform(0, 0.2, 9)
    found = np.array(holm(p_values))
    assert (found >= p_values).all()
    assert (found <= np.minimum(1, 9 * p_values)).all()
    assert (np.argsort(found[np.argsort(p_values)], kind="stable") == np.arange(9)).all()  # their order is kept


@pytest.mark.parametrize(("more", "less", "equal"), [(5, 1, 2), (0, 0, 4), (3, 3, 0), (700, 640, 8660), (0, 20, 1)])
def test_mcnemars_test_is_scipys_binomial_test(more: int, less: int, equal: int) -> None:
    differences = np.array([1] * more + [-1] * less + [0] * equal)
    expected = stats.binomtest(more, more + less).pvalue if more + less else 1.0
    assert mcnemar(differences) == pytest.approx(expected)
    assert mcnemar(-differences) == pytest.approx(expected)


@pytest.mark.parametrize("names", [False, True])
def test_the_mean_over_classes_counts_each_class_once(names: bool) -> None:
    correct, _, classes = outcomes(60, classes=25)
    classes[0] = [30, 31, 32, 33, 34]  # these occur once, and count as much as the others
    if names:
        classes = np.array([f"class {number:02}" for number in range(35)])[classes]
    by_hand = []
    for c in sorted(set(classes.flatten().tolist())):
        own = [correct[e, y] / Q for e in range(60) for y in range(5) if classes[e, y] == c]
        by_hand.append(sum(own) / len(own))
    means = class_means(correct, classes, Q)
    assert means == pytest.approx(by_hand)
    found = estimate(means)
    assert (found.count, found.mean) == (len(by_hand), pytest.approx(sum(by_hand) / len(by_hand)))
    low, high = stats.t.interval(0.95, len(by_hand) - 1, loc=np.mean(by_hand), scale=stats.sem(by_hand))
    assert found.ci95 == pytest.approx((high - low) / 2)
    assert found.mean != pytest.approx(correct.mean() / Q, abs=1e-4)  # that is over episodes


def test_few_values_have_a_wide_interval_or_none() -> None:
    two = estimate(np.array([0.4, 0.6]))
    assert two.ci95 == pytest.approx(12.7062 * 0.1, rel=1e-4)  # t of one degree of freedom
    one, none = estimate(np.array([0.5])), estimate(np.array([]))
    assert (one.mean, one.count, none.count) == (0.5, 1, 0)
    assert all(math.isnan(value) for value in (one.ci95, none.ci95, none.mean))

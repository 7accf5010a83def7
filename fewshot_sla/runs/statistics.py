"""Intervals, paired tests of two runs, and the correction for several tests at once."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import bdtr, stdtr, stdtrit

_CONFIDENCE = 0.95


def interval_half_width(
    values: NDArray[np.float64],  # [E] independent values
) -> float:
    """Half-width of the two-sided 95 % t-interval of the mean: t_{0.975, E-1} * s / sqrt(E), s with E - 1.

    Not a number for a single value, from which no spread can be told.

    >>> round(interval_half_width(np.array([0.4, 0.5, 0.6])), 4)
    0.2484
    """
    if len(values) < 2:
        return float("nan")
    quantile = stdtrit(len(values) - 1, 0.5 + _CONFIDENCE / 2)
    return float(quantile * values.std(ddof=1) / np.sqrt(len(values)))


@dataclass(frozen=True)
class Estimate:
    """A mean accuracy, and how sure it is.

    Attributes:
        mean: a fraction.
        ci95: half-width of its 95 % t-interval; not a number for a single value.
        count: values that it is the mean of.
    """

    mean: float
    ci95: float
    count: int


def estimate(
    values: NDArray[np.float64],  # [n] independent values, fractions
) -> Estimate:
    """Mean and interval; of no values, neither is a number."""
    return Estimate(float(values.mean()) if len(values) else float("nan"), interval_half_width(values), len(values))


def class_means(
    correct: NDArray[np.int64],  # [E, N] right answers for each class of each episode
    classes: NDArray[np.generic],  # [E, N] which class of the data set it is: numbers or names
    n_query: int,
) -> NDArray[np.float64]:  # [C], the classes that occurred in the order of their numbers or names; fractions
    """Accuracy of each class, over all episodes that it occurred in.

    :func:`estimate` of these takes each class as one value, however often it occurred. The interval is for a claim
    about other classes, because it is classes that were sampled, and every class brought images of its own.
    """
    occurring, place = np.unique(classes, return_inverse=True)
    place = place.reshape(-1)
    right, episodes = (np.bincount(place, weights, minlength=len(occurring)) for weights in (correct.reshape(-1), None))
    return right / episodes / n_query


@dataclass(frozen=True)
class PairedDifference:
    """How much better B is than A on the same episodes.

    Attributes:
        difference: mean of B - A over the episodes, a fraction.
        ci95: half-width of its 95 % t-interval over episodes.
        p_value: two-sided paired t-test of "no difference", over episodes.
        class_difference: unweighted mean over classes of each class's mean of B - A.
        class_ci95: half-width of its 95 % t-interval: classes, not episodes, are what was sampled.
        class_p_value: two-sided t-test over classes.
        classes: number of classes that occurred.
    """

    difference: float
    ci95: float
    p_value: float
    class_difference: float
    class_ci95: float
    class_p_value: float
    classes: int


def paired_difference(
    correct_a: NDArray[np.int64],  # [E, N] right answers of A for each class of each episode
    correct_b: NDArray[np.int64],  # [E, N] of B, in the same episodes
    classes: NDArray[np.generic],  # [E, N] which class of the data set it is: numbers or names
    n_query: int,
) -> PairedDifference:
    """Paired comparison over episodes, and over classes.

    Episodes that share classes and images are not independent samples of the classes there are, so the interval over
    episodes speaks of these classes only (Lafargue et al., arXiv 2409.02850). The interval over classes takes the mean
    difference of each class as one sample: it is the one for a claim about new classes.
    """
    per_class = correct_b - correct_a  # [E, N]; divided only after it is summed up: sums of integers are exact
    over_episodes = per_class.mean(axis=1) / n_query
    occurring, place = np.unique(classes, return_inverse=True)
    place = place.reshape(-1)
    over_classes = np.bincount(place, per_class.reshape(-1)) / np.bincount(place) / n_query
    return PairedDifference(
        difference=float(over_episodes.mean()),
        ci95=interval_half_width(over_episodes),
        p_value=_t_test(over_episodes),
        class_difference=float(over_classes.mean()),
        class_ci95=interval_half_width(over_classes),
        class_p_value=_t_test(over_classes),
        classes=len(occurring),
    )


def _t_test(differences: NDArray[np.float64]) -> float:
    """Two-sided p-value of the one-sample t-test of mean zero."""
    if len(differences) < 2:
        return float("nan")
    error = differences.std(ddof=1) / np.sqrt(len(differences))
    if error == 0:
        return 1.0 if differences.mean() == 0 else 0.0
    return float(2 * stdtr(len(differences) - 1, -abs(differences.mean() / error)))


def mcnemar(
    differences: NDArray[np.integer],  # [n] of 1, 0, -1: which of two answers to a question is right, where but one is
) -> float:
    """Two-sided p-value of McNemar's exact test: of the questions that one alone answers, each has half.

    p = min(1, 2 P(X <= min(b, c))), X binomial with b + c draws at 1/2, where b questions are answered by the one and
    c by the other (McNemar 1947). 1 if there are none.

    >>> round(mcnemar(np.array([1, 1, 1, 1, 1, -1, 0, 0])), 5)  # 2 * (1 + 6) / 2**6
    0.21875
    """
    more, less = int((differences > 0).sum()), int((differences < 0).sum())
    return min(1.0, float(2 * bdtr(min(more, less), more + less, 0.5)))


def holm(p_values: Sequence[float]) -> list[float]:
    """P-values corrected for m tests made at once, by Holm's step-down method, in the order in which they are given.

    The k-th smallest becomes max over j <= k of min(1, (m - j + 1) p_(j)): whoever calls those below 5 % different is
    wrong anywhere with a chance of at most 5 %, however the tests depend on one another (Holm 1979). What is not a
    number is no test: it stays, and does not count in m.

    >>> [round(p, 6) for p in holm([0.01, 0.04, 0.03])]
    [0.03, 0.06, 0.06]
    """
    values = np.asarray(p_values, dtype=np.float64)
    order = np.argsort(values, kind="stable")[: int(np.isfinite(values).sum())]  # not a number comes last
    corrected = values.copy()
    factors = np.arange(len(order), 0, -1)
    corrected[order] = np.maximum.accumulate(np.minimum(1.0, factors * values[order]))
    return [float(p) for p in corrected]

"""Which subsets of the views a prediction is made from, and what each size of them gains."""

import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fewshot_sla.runs.statistics import interval_half_width

Views = tuple[int, ...]  # numbers of views, rising; 0, the image itself, is one of them
ALONE: Views = (0,)


@dataclass(frozen=True)
class Gain:
    """A relative gain: accuracy / accuracy of what it is over - 1, a fraction, and half its 95 % interval."""

    value: float
    ci95: float


@dataclass(frozen=True)
class SizeGains:
    """What predictions from m views gain.

    Attributes:
        m: how many views.
        subsets: how many subsets of that size were looked at.
        accuracy: mean over the subsets, a fraction.
        gain: of that mean.
        lowest, highest: gain of the worst and of the best subset.
        first: gain of the subset of the first m views, in the order of the transformations.
        first_accuracy: its accuracy, a fraction.
    """

    m: int
    subsets: int
    accuracy: float
    gain: Gain
    lowest: float
    highest: float
    first: float
    first_accuracy: float


def subsets_of_views(
    m: int,  # views that there are (M)
    most: int,  # subsets of each size, at least 1
    seed: int = 0,
) -> dict[int, list[Views]]:
    """Subsets of every size 1..M that hold the image itself: all of them, or where there are more so many at random.

    The image is there before any view is made of it, so a subset of one is single inference and one of M aggregation
    over all views, and in between no order of the transformations is preferred.

    >>> subsets_of_views(3, 10)
    {1: [(0,)], 2: [(0, 1), (0, 2)], 3: [(0, 1, 2)]}
    """
    found = {}
    for size in range(1, m + 1):
        if math.comb(m - 1, size - 1) <= most:
            found[size] = [(0, *others) for others in itertools.combinations(range(1, m), size - 1)]
        else:
            found[size] = _random_subsets(m, size, most, np.random.default_rng((seed, size)))
    return found


def relative_gain(
    values: NDArray[np.float64],  # [U] accuracies of images (0 or 1) or of episodes (0..1)
    base: NDArray[np.float64],  # [U] of the same images or episodes
) -> Gain:
    """``g = mean(values) / mean(base) - 1`` with half a 95 % t-interval of a ratio of means.

    The interval is that of the mean of ``values - (1 + g) * base``, divided by ``mean(base)`` (the delta method); both
    are measured on the same images, so what is hard for both does not widen it. Not a number where base is 0.

    >>> relative_gain(np.array([1.0, 1.0, 1.0, 0.0]), np.array([1.0, 0.0, 1.0, 0.0])).value
    0.5
    """
    mean = float(base.mean())
    if not mean:
        return Gain(math.nan, math.nan)
    ratio = float(values.mean()) / mean
    return Gain(ratio - 1, interval_half_width(values - ratio * base) / mean)


def gains_by_size(
    accuracies: Mapping[Views, NDArray[np.float64]],  # by subset: [U] accuracies of images or of episodes
    subsets: Mapping[int, Sequence[Views]],
    base: NDArray[np.float64],  # [U] what the gain is over
) -> list[SizeGains]:
    """One entry a size; the accuracies of the first m views are needed too."""
    found = []
    for m, chosen in subsets.items():
        of_each = [relative_gain(accuracies[views], base).value for views in chosen]
        mean = np.mean([accuracies[views] for views in chosen], axis=0)
        first = accuracies[tuple(range(m))]
        found.append(
            SizeGains(
                m=m,
                subsets=len(chosen),
                accuracy=float(mean.mean()),
                gain=relative_gain(mean, base),
                lowest=min(of_each),
                highest=max(of_each),
                first=relative_gain(first, base).value,
                first_accuracy=float(first.mean()),
            )
        )
    return found


def _random_subsets(m: int, size: int, count: int, generator: np.random.Generator) -> list[Views]:
    """So many different ones, of the many that there are."""
    drawn: set[Views] = set()
    while len(drawn) < count:
        others = generator.choice(np.arange(1, m), size - 1, replace=False)
        drawn.add((0, *sorted(others.tolist())))
    return sorted(drawn)

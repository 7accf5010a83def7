"""Subsets of views against brute force, gains against the formula, intervals against repeated draws."""

import itertools
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fewshot_sla.studies.view_subsets import gains_by_size, relative_gain, subsets_of_views


@pytest.mark.parametrize("m", [1, 2, 4, 6])
def test_all_subsets_that_hold_the_image(m: int) -> None:
    found = subsets_of_views(m, 1000)
    every = [views for size in range(1, m + 1) for views in itertools.combinations(range(m), size) if 0 in views]
    assert [views for chosen in found.values() for views in chosen] == every
    assert list(found) == list(range(1, m + 1))


@given(m=st.integers(2, 24), most=st.integers(1, 30), seed=st.integers(0, 9))
def test_of_many_subsets_as_many_as_asked_for_and_each_once(m: int, most: int, seed: int) -> None:
    found = subsets_of_views(m, most, seed)
    for size, chosen in found.items():
        assert len(chosen) == len(set(chosen)) == min(most, math.comb(m - 1, size - 1))
        assert all(views[0] == 0 and len(set(views)) == size and list(views) == sorted(views) for views in chosen)
        assert all(0 <= view < m for views in chosen for view in views)
    assert found == subsets_of_views(m, most, seed)


def test_random_subsets_prefer_no_view() -> None:
    drawn = [views for seed in range(300) for views in subsets_of_views(12, 2, seed)[4]]
    counts = np.bincount(np.concatenate(drawn), minlength=12)
    assert counts[0] == 600
    assert np.abs(counts[1:] - 600 * 3 / 11).max() < 60  # five standard deviations


def test_the_interval_holds_the_true_gain_as_often_as_it_says() -> None:
    """Images of three kinds: right by both, right by the new one alone, by neither or the old one alone."""
    generator = np.random.default_rng(0)
    kinds = np.array([(1.0, 1.0), (1.0, 0.0), (0.0, 1.0), (0.0, 0.0)])
    share = [0.5, 0.2, 0.1, 0.2]
    truth = 0.7 / 0.6 - 1
    held = 0
    for _ in range(1000):
        values, base = kinds[generator.choice(4, 300, p=share)].T
        gain = relative_gain(values, base)
        held += abs(gain.value - truth) <= gain.ci95
    assert 930 <= held <= 970


def test_a_gain_over_nothing_is_no_number() -> None:
    gain = relative_gain(np.ones(3), np.zeros(3))
    assert math.isnan(gain.value)
    assert math.isnan(gain.ci95)


def test_gains_of_every_size() -> None:
    accuracies = {
        (0,): np.array([1.0, 0.0, 1.0, 0.0]),
        (0, 1): np.array([1.0, 1.0, 1.0, 0.0]),
        (0, 2): np.array([1.0, 0.0, 0.0, 0.0]),
        (0, 1, 2): np.array([1.0, 1.0, 1.0, 1.0]),
    }
    one, two, three = gains_by_size(accuracies, subsets_of_views(3, 9), accuracies[0,])
    assert (one.gain.value, one.gain.ci95, one.first) == (0, 0, 0)
    assert (two.accuracy, two.subsets) == (0.5, 2)
    assert (two.gain.value, two.lowest, two.highest, two.first) == (0, -0.5, 0.5, 0.5)
    assert (three.gain.value, three.first_accuracy) == (1, 1)

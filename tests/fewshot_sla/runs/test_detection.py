"""Figures of detection against counting pairs and thresholds one by one."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fewshot_sla.runs.detection import auroc_of_rows, detection, false_positives

scores = st.lists(st.integers(-3, 3), min_size=1, max_size=25)  # few values, so that ties occur


def _auroc_by_pairs(known: list[int], unknown: list[int]) -> float:
    return float(np.mean([(k > u) + 0.5 * (k == u) for k in known for u in unknown]))


@given(scores, scores)
def test_auroc_counts_pairs(known, unknown):
    assert detection(known, unknown).auroc == pytest.approx(_auroc_by_pairs(known, unknown), abs=1e-12)
    rows = auroc_of_rows(np.array([known, known], dtype=float), np.array([unknown, unknown], dtype=float))
    assert rows == pytest.approx([_auroc_by_pairs(known, unknown)] * 2, abs=1e-12)


@given(scores, scores)
def test_false_positives_at_the_highest_threshold_that_95_percent_pass(known, unknown):
    passing = [t for t in known if sum(k >= t for k in known) * 20 >= 19 * len(known)]
    expected = np.mean([u >= max(passing) for u in unknown])
    assert false_positives(np.array(known, float), np.array(unknown, float)) == pytest.approx(expected)


def test_a_score_that_tells_them_apart_and_one_that_has_them_the_wrong_way_round():
    right, wrong = detection([2, 3], [0, 1]), detection([0, 1], [2, 3])
    assert (right.auroc, right.fpr95, right.aupr, right.aupr_unknown) == (1, 0, 1, 1)
    assert (wrong.auroc, wrong.fpr95) == (0, 1)
    assert wrong.aupr == pytest.approx((1 / 3 + 2 / 4) / 2)  # the known come third and fourth


@pytest.mark.parametrize(("known", "unknown"), [([], [1.0]), ([1.0], []), ([np.nan], [1.0])])
def test_scores_that_cannot_be_ranked_are_refused(known, unknown):
    with pytest.raises(ValueError, match="finite numbers"):
        detection(known, unknown)

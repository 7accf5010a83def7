"""Scores of known against formulas written out in numpy."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from fewshot_sla.inference.inference import mean_over_views
from fewshot_sla.inference.scores import SCORES, agreement, scores_of


def _entropy(p: np.ndarray) -> float:
    return float(-sum(q * np.log(q) for q in p if q > 0))


def _softmax(s: np.ndarray) -> np.ndarray:
    e = np.exp(s - s.max())
    return e / e.sum()


def test_scores_are_what_their_formulas_say():
    by_view = torch.randn(3, 4, 5, dtype=torch.float64, generator=torch.Generator().manual_seed(0)) * 3
    found = scores_of(by_view)
    for row, views in enumerate(by_view.numpy()):
        mean = views.mean(axis=0)
        p = [_softmax(view) for view in views]
        assert found["probability"][row] == pytest.approx(_softmax(mean).max(), abs=1e-12)
        assert found["logit"][row] == pytest.approx(mean.max(), abs=1e-12)
        assert found["energy"][row] == pytest.approx(np.log(np.exp(mean).sum()), abs=1e-12)
        divergence = _entropy(np.mean(p, axis=0)) - np.mean([_entropy(q) for q in p])
        assert found["agreement"][row] == pytest.approx(-divergence, abs=1e-12)


def test_one_view_has_nobody_to_agree_with():
    assert set(scores_of(torch.zeros(2, 1, 3))) == set(SCORES) - {"agreement"}


def test_scores_of_half_precision_are_computed_in_float32_by_the_inference_s_own_combination():
    by_view = torch.randn(2, 2, 3).bfloat16()
    found = scores_of(by_view, combine=lambda said: said.amax(dim=-2))
    assert found["logit"].dtype == torch.float32
    torch.testing.assert_close(found["logit"], by_view.float().amax(dim=(-2, -1)))


@given(st.integers(0, 10_000), st.floats(0.1, 300.0))
def test_agreement_lies_between_its_bounds_and_is_zero_for_equal_views(seed, scale):
    by_view = torch.randn(6, 4, 3, generator=torch.Generator().manual_seed(seed)) * scale
    said = agreement(by_view)
    assert bool((said <= 0).all())
    assert bool((said >= -np.log(4) - 1e-5).all())
    assert bool((agreement(by_view[:, :1].expand(-1, 4, -1)) > -1e-6).all())


def test_views_that_are_sure_of_different_classes_disagree_most():
    by_view = torch.eye(4).unsqueeze(0) * 200
    assert float(agreement(by_view)) == pytest.approx(-np.log(4))
    assert float(scores_of(by_view, mean_over_views)["probability"]) == pytest.approx(0.25)

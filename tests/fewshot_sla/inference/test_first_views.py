"""Fewer views at test time, against means written out and against the inferences themselves."""

import numpy as np
import pytest
import torch

from fewshot_sla.inference import CLASS_AGGREGATED, CLASS_SINGLE, JOINT_AGGREGATED, JOINT_SINGLE
from fewshot_sla.inference.first_views import aggregate_first, right_by_views, views_asked, widest_inference

BY_VIEW = torch.randn(3, 7, 4, 5, generator=torch.Generator().manual_seed(0))  # [T, R, V, N]


@pytest.mark.parametrize("m", [1, 2, 3, 4])
def test_the_first_views_are_averaged(m: int) -> None:
    expected = sum(BY_VIEW.numpy()[:, :, view] for view in range(m)) / m
    assert np.allclose(aggregate_first(BY_VIEW, m).numpy(), expected, atol=1e-6)


@pytest.mark.parametrize("m", [0, 5])
def test_there_is_no_prediction_by_other_numbers_of_views(m: int) -> None:
    with pytest.raises(ValueError, match=f"there are 4 views, not {m}"):
        aggregate_first(BY_VIEW, m)


def test_all_views_predict_as_the_inference_does_and_the_first_one_as_single_inference() -> None:
    joint = torch.randn(2, 6 * 4, 5 * 4, generator=torch.Generator().manual_seed(1))
    by_view = JOINT_AGGREGATED.by_view(joint, 4)
    assert torch.equal(aggregate_first(by_view, 4), JOINT_AGGREGATED.predict(joint, 4))
    assert torch.equal(aggregate_first(by_view, 1), JOINT_SINGLE.predict(joint, 4))


def test_right_answers_are_told_for_every_number_of_views() -> None:
    # The views say class 0, 1, 1: alone the first is right, two are even (the first largest counts), three are wrong.
    by_view = torch.tensor([[[1.0, 0.0], [0.0, 1.0], [0.0, 1.0]]])
    assert right_by_views(by_view, torch.tensor([0])).tolist() == [[True, True, False]]
    assert right_by_views(by_view, torch.tensor([1])).tolist() == [[False, False, True]]


def test_how_many_views_an_inference_asks_and_which_asks_most() -> None:
    inferences = {"a": CLASS_SINGLE, "b": CLASS_AGGREGATED, "c": JOINT_AGGREGATED, "d": JOINT_SINGLE}
    assert [views_asked(inference, 6) for inference in inferences.values()] == [1, 6, 6, 1]
    assert widest_inference(inferences, "c", 6) == "c"
    assert widest_inference(inferences, "d", 6) == "b"
    assert widest_inference({"a": CLASS_SINGLE, "d": JOINT_SINGLE}, "d", 6) == "d"

"""Fewer views at test time, against means written out and against the inferences themselves."""

import numpy as np
import torch

from fewshot_sla.inference import CLASS_AGGREGATED, CLASS_SINGLE, JOINT_AGGREGATED, JOINT_SINGLE
from fewshot_sla.inference.first_views import by_first_views, views_asked, widest_inference


def test_the_first_views_are_averaged() -> None:
    logits = torch.randn(3, 7 * 4, 5, generator=torch.Generator().manual_seed(0))  # [T, R*M, N]
    by_view = logits.numpy().reshape(3, 7, 4, 5)
    fewer = by_first_views(CLASS_AGGREGATED, 4)
    assert len(fewer) == 4
    for m, inference in enumerate(fewer, start=1):
        expected = sum(by_view[:, :, view] for view in range(m)) / m
        assert np.allclose(inference.predict(logits, 4).numpy(), expected, atol=1e-6)


def test_all_views_predict_as_the_inference_does_and_the_first_one_as_single_inference() -> None:
    joint = torch.randn(2, 6 * 4, 5 * 4, generator=torch.Generator().manual_seed(1))
    fewer = by_first_views(JOINT_AGGREGATED, 4)
    assert torch.equal(fewer[-1].predict(joint, 4), JOINT_AGGREGATED.predict(joint, 4))
    assert torch.equal(fewer[0].predict(joint, 4), JOINT_SINGLE.predict(joint, 4))


def test_how_many_views_an_inference_asks_and_which_asks_most() -> None:
    inferences = {"a": CLASS_SINGLE, "b": CLASS_AGGREGATED, "c": JOINT_AGGREGATED, "d": JOINT_SINGLE}
    assert [views_asked(inference, 6) for inference in inferences.values()] == [1, 6, 6, 1]
    assert widest_inference(inferences, "c", 6) == "c"
    assert widest_inference(inferences, "d", 6) == "b"
    assert widest_inference({"a": CLASS_SINGLE, "d": JOINT_SINGLE}, "d", 6) == "d"

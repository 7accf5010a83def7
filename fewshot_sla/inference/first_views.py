"""Smaller budgets at test time: how many views an inference asks, and the same inference by the first of them."""

from collections.abc import Mapping

import torch

from fewshot_sla.inference.inference import Inference, of_views


def views_asked(
    inference: Inference,
    m: int,  # number of transformations
) -> int:  # 1..M
    """V, how many views an inference asks."""
    rows = inference.labelling.rows(torch.empty(1, m, inference.labelling.ways(1, m)), 0)
    return inference.by_view(rows, m).shape[-2]


def by_first_views(
    inference: Inference,
    m: int,  # number of transformations
) -> list[Inference]:  # V of them
    """The inference by its first 1, 2, ... V views; the last one predicts as it does itself."""
    return [of_views(inference, range(count)) for count in range(1, views_asked(inference, m) + 1)]


def widest_inference(
    inferences: Mapping[str, Inference],
    primary: str,  # name of one of them
    m: int,  # number of transformations
) -> str:
    """Name of the inference that asks most views; the primary one if none asks more."""
    return max(inferences, key=lambda name: (views_asked(inferences[name], m), name == primary))

"""What the first m of V views together say: the prediction of a smaller budget at test time."""

from collections.abc import Callable, Mapping

import torch
from torch import Tensor

from fewshot_sla.inference.inference import Inference, mean_over_views


def aggregate_first(
    by_view: Tensor,  # [..., V, N] float: class logits of each view alone
    m: int,  # 1..V
    combine: Callable[[Tensor], Tensor] = mean_over_views,  # [..., m, N] -> [..., N]
) -> Tensor:  # [..., N]
    """The prediction by views 0..m-1; with all V it is that of the inference.

    Raises:
        ValueError: if there are not so many views.
    """
    if not 1 <= m <= by_view.shape[-2]:
        raise ValueError(f"there are {by_view.shape[-2]} views, not {m}")
    return combine(by_view[..., :m, :])


def right_by_views(
    by_view: Tensor,  # [..., V, N] float
    labels: Tensor,  # [...] int64, 0..N-1
    combine: Callable[[Tensor], Tensor] = mean_over_views,
) -> Tensor:  # [..., V] bool
    """Whether the prediction by the first m views is right, for every m = 1..V."""
    views = by_view.shape[-2]
    guesses = [aggregate_first(by_view, m, combine).argmax(dim=-1) for m in range(1, views + 1)]
    return torch.stack(guesses, dim=-1) == labels.unsqueeze(-1)


def views_asked(
    inference: Inference,
    m: int,  # number of transformations
) -> int:  # 1..M
    """V, how many views an inference asks."""
    rows = inference.labelling.rows(torch.empty(1, m, inference.labelling.ways(1, m)), 0)
    return inference.by_view(rows, m).shape[-2]


def widest_inference(
    inferences: Mapping[str, Inference],
    primary: str,  # name of one of them
    m: int,  # number of transformations
) -> str:
    """Name of the inference that asks most views; the primary one if none asks more."""
    return max(inferences, key=lambda name: (views_asked(inferences[name], m), name == primary))

"""The contract of an inference: which rows are scored, what each view says of the class, how views are combined."""

from collections.abc import Callable, Mapping, Sequence
from copy import copy
from typing import NamedTuple, TypeVar

import torch
from torch import Tensor

from episodes.labelling import Labelling

Objective = TypeVar("Objective")  # an objective, of either wing


def mean_over_views(
    by_view: Tensor,  # [..., V, N] float
) -> Tensor:  # [..., N]
    """The mean logits over the views, ``s_y = 1/V sum_v by_view[v, y]``; Lee et al., ICML 2020, eq. 4."""
    return by_view.mean(dim=-2)


class Inference(NamedTuple):
    """One way to predict the class of an image from its views, for episodes, batches and pictures alike.

    Attributes:
        labelling: how views become the rows that are scored, and by which labels.
        by_view: (logits [..., R', W] of these rows, M) -> class logits [..., R, V, N] that each of V views alone gives.
        combine: what the views say, [..., V, N], as one prediction [..., N].
    """

    labelling: Labelling
    by_view: Callable[[Tensor, int], Tensor]
    combine: Callable[[Tensor], Tensor] = mean_over_views

    def predict(
        self,
        logits: Tensor,  # [..., R', W] float: of the rows that the labelling makes
        m: int,
    ) -> Tensor:  # [..., R, N]
        """Class logits of the images; their softmax is the probability of each class."""
        return self.combine(self.by_view(logits, m))

    def votes(
        self,
        logits: Tensor,  # [..., R', W] float
        m: int,
    ) -> Tensor:  # [..., R, V] int64, 0..N-1
        """The class that each view alone is most for."""
        return self.by_view(logits, m).argmax(dim=-1)


def of_views(
    inference: Inference,
    views: Sequence[int],  # numbers of views, 0..V-1
) -> Inference:
    """The same inference by a part of the views: of all M, those of a smaller budget at test time."""
    chosen = list(views)

    def by_view(logits: Tensor, m: int) -> Tensor:
        said = inference.by_view(logits, m)
        return torch.stack([said.select(-2, view) for view in chosen], dim=-2)

    return inference._replace(by_view=by_view)


def with_inferences(objective: Objective, inferences: Mapping[str, Inference]) -> Objective:
    """The same objective, asked to predict in other ways; the one that is given stays as it is."""
    changed = copy(objective)
    vars(changed)["inferences"] = inferences
    return changed

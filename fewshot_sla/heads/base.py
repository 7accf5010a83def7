"""The contract of a head: it fits the support features of each episode and scores the queries."""

from abc import ABC, abstractmethod

import torch
from torch import Tensor, nn

from episodes.errors import UserError


class Head(nn.Module, ABC):
    """Maps support features, their labels and query features to logits, for T episodes at once.

    ``head(support [T,S,D], support_labels [T,S], query [T,R,D], ways=W) -> logits [T,R,W]``

    A head of one's own derives from this class and gives :meth:`logits`. It must be pure in its inputs, treat episodes
    independently, score a query without looking at the other queries, and take support rows in any order with any
    number of shots a class. ``python -m fewshot_sla.check_head package.MyHead`` tests all of that.

    Whatever precision the backbone runs in, a head computes in float32 or float64 with autocast off: half-precision
    features are converted to float32 on the way in.
    """

    def forward(
        self,
        support: Tensor,  # [T, S, D] float
        support_labels: Tensor,  # [T, S] int64, 0..ways-1
        query: Tensor,  # [T, R, D] float
        ways: int,  # W, classes to tell apart: N, or N*M after label augmentation
    ) -> Tensor:  # [T, R, W] float32 (float64 if the features are)
        """Logits of every query for every class.

        Raises:
            UserError: if the shapes do not fit together, or a class has no support row.
        """
        check_head_inputs(support, support_labels, query, ways)
        dtype = torch.promote_types(torch.promote_types(support.dtype, query.dtype), torch.float32)
        with torch.autocast(support.device.type, enabled=False):
            return self.logits(support.to(dtype), support_labels.long(), query.to(dtype), ways)

    @abstractmethod
    def logits(self, support: Tensor, support_labels: Tensor, query: Tensor, ways: int) -> Tensor:
        """The head itself; shapes as in :meth:`forward`, already checked; float32 or float64."""

    def __call__(self, support: Tensor, support_labels: Tensor, query: Tensor, ways: int) -> Tensor:
        """Same as :meth:`forward` (written out so that type checkers know the signature)."""
        return super().__call__(support, support_labels, query, ways)


def add_scale(module: nn.Module, scale: float, learn: bool) -> None:
    """Give a head `scale`, the factor of its logits: a parameter if it is learned, else a buffer.

    Raises:
        UserError: if the scale is not positive (logits would be void or turned around).
    """
    if not 0 < scale < float("inf"):
        raise UserError(f"{type(module).__name__}: scale must be positive and finite, got {scale}")
    module.learn_scale = learn  # type: ignore[assignment]  # kept: a saved classifier is made again with it
    value = torch.tensor(float(scale))
    if learn:
        module.register_parameter("scale", nn.Parameter(value))
    else:
        module.register_buffer("scale", value)


def one_hot(
    labels: Tensor,  # [T, S] int64, 0..ways-1
    ways: int,
    dtype: torch.dtype,
) -> Tensor:  # [T, S, ways]
    """Indicator of each row's class."""
    return nn.functional.one_hot(labels, ways).to(dtype)


def check_head_inputs(support: Tensor, support_labels: Tensor, query: Tensor, ways: int) -> None:
    """Raise UserError unless shapes fit and every class of every episode has at least one support row."""
    if support.ndim != 3 or query.ndim != 3 or support_labels.shape != support.shape[:2]:
        raise UserError(
            "a head takes support [T, S, D], support_labels [T, S] and query [T, R, D], "
            f"not {list(support.shape)}, {list(support_labels.shape)} and {list(query.shape)}"
        )
    if query.shape[0] != support.shape[0] or query.shape[2] != support.shape[2]:
        raise UserError(
            f"support {list(support.shape)} and query {list(query.shape)} differ in episodes (first axis) "
            "or features (last axis)"
        )
    if support_labels.dtype.is_floating_point or support_labels.dtype == torch.bool:
        raise UserError(f"support_labels must be integers, they are {support_labels.dtype}")
    if support_labels.numel() == 0:
        raise UserError("an episode needs support rows, got none")
    low, high = (int(value) for value in torch.aminmax(support_labels))
    if low < 0 or high >= ways:
        raise UserError(f"support_labels must be 0..{ways - 1} (ways={ways}), they reach from {low} to {high}")
    present = torch.zeros(support.shape[0], ways, dtype=torch.bool, device=support.device)
    present.scatter_(1, support_labels.long(), True)
    if not bool(present.all()):
        episode, label = (int(value) for value in (~present).nonzero()[0])
        raise UserError(f"episode {episode} has no support row of class {label} (ways={ways})")

"""What an episode is: its size (EpisodeSpec) and its content (EpisodeBatch)."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from episodes.errors import UserError
from episodes.targets import Targets


@dataclass(frozen=True)
class EpisodeSpec:
    """The size of an N-way K-shot episode.

    Args:
        n_way: classes of an episode (N), at least 2.
        k_shot: labelled support images of each class (K), at least 1.
        n_query: images of each class to be classified (Q), at least 1.

    Raises:
        UserError: if one of them is too small.
    """

    n_way: int
    k_shot: int
    n_query: int

    def __post_init__(self) -> None:
        """Refuse sizes that no episode can have."""
        for field, least in (("n_way", 2), ("k_shot", 1), ("n_query", 1)):
            if getattr(self, field) < least:
                raise UserError(f"{field} must be at least {least}, got {getattr(self, field)}")

    @property
    def images_per_class(self) -> int:
        """K + Q: images that an episode takes from each of its classes."""
        return self.k_shot + self.n_query

    def __str__(self) -> str:
        return f"{self.n_way}-way {self.k_shot}-shot with {self.n_query} queries a class"


class EpisodeBatch(NamedTuple):
    """T episodes stacked along the first axis; an item is an image [C, H, W], or its features [D], or M views of it.

    A NamedTuple, so that devices, precisions and distributed wrappers can carry it without knowing it.
    """

    support: Tensor  # [T, S, *item] float
    support_labels: Tensor  # [T, S] int64, 0..ways-1
    query: Tensor  # [T, R, *item] float
    query_targets: Targets  # [T, R], 0..ways-1
    ways: int  # classes that the labels count: N, or N*M after label augmentation

    @property
    def query_labels(self) -> Tensor:
        """[T, R] int64, 0..ways-1; of mixtures the first label."""
        return self.query_targets.labels

    def with_items(self, change: Callable[[Tensor], Tensor]) -> "EpisodeBatch":
        """The same episodes with other items: support and query changed alike."""
        return self._replace(support=change(self.support), query=change(self.query))

    def to(self, device: torch.device | str) -> "EpisodeBatch":
        """The same on another device."""
        support, support_labels, query = (tensor.to(device) for tensor in self[:3])
        targets = self.query_targets.each(lambda part: part.to(device))
        return EpisodeBatch(support, support_labels, query, targets, self.ways)

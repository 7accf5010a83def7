"""What a row is to be recognised as: a label, or a mixture of two labels."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from episodes.errors import UserError


class Targets(NamedTuple):
    """Labels, or mixtures ``share * labels + (1 - share) * others`` of two labels each.

    A NamedTuple, so that devices, precisions and distributed wrappers can carry it without knowing it.

    >>> Targets(torch.tensor([3, 5])).is_mixed
    False
    """

    labels: Tensor  # [...] int64
    others: Tensor | None = None  # [...] int64; None (with share) if there is one label each
    share: Tensor | None = None  # [...] float, 0..1: share of ``labels``

    @property
    def is_mixed(self) -> bool:
        """Whether there are two labels each."""
        return self.others is not None

    @property
    def heavier(self) -> Tensor:  # [...] int64
        """The label with the larger share; ``labels`` where both have the same."""
        if self.others is None or self.share is None:
            return self.labels
        return self.labels.where(self.share >= 0.5, self.others)

    @classmethod
    def stack(cls, targets: Sequence["Targets"]) -> "Targets":  # one or more of [...] -> [n, ...]
        """Several of one kind as one.

        Raises:
            UserError: if some are mixed and others are not.
        """
        if len({one.is_mixed for one in targets}) > 1:
            raise UserError("an augmentation must mix the labels of all episodes, or of none")
        return cls(*(None if part[0] is None else torch.stack(part) for part in zip(*targets, strict=True)))  # type: ignore[arg-type]

    def each(self, change: Callable[[Tensor], Tensor]) -> "Targets":
        """The same change of all that is there: its shape, its device, a choice of rows."""
        return Targets(*(None if part is None else change(part) for part in self))  # type: ignore[arg-type]

    def relabelled(
        self,
        label_of: Callable[[Tensor], Tensor],  # labels [...] int64 -> [..., *more] int64
    ) -> "Targets":  # [..., *more]
        """Other names for the labels, perhaps several for each; all of them keep the share.

        >>> mixed = Targets(torch.tensor([0]), torch.tensor([2]), torch.tensor([0.25]))
        >>> mixed.relabelled(lambda labels: labels.unsqueeze(-1) * 2 + torch.arange(2)).others
        tensor([[4, 5]])
        """
        labels = label_of(self.labels)
        if self.others is None or self.share is None:
            return Targets(labels)
        more = labels.ndim - self.labels.ndim
        share = self.share.reshape(*self.share.shape, *(1,) * more).expand_as(labels)
        return Targets(labels, label_of(self.others), share)

    def mean_of(
        self,
        value_of: Callable[[Tensor], Tensor],  # labels [...] int64 -> [...] float
    ) -> Tensor:  # [...] float
        """``share * value_of(labels) + (1 - share) * value_of(others)``; of a single label, its value."""
        values = value_of(self.labels)
        if self.others is None or self.share is None:
            return values
        share = self.share.to(values)
        return share * values + (1 - share) * value_of(self.others)

    def mixed(
        self,
        partner: Tensor,  # [B] int64, 0..B-1: which row each is mixed with
        share: Tensor,  # [] or [B] float, 0..1: share of the row itself
    ) -> "Targets":  # [B]
        """Each row mixed with another.

        Raises:
            UserError: if they are mixtures already: that would be more than two labels each.
        """
        if self.is_mixed:
            raise UserError("labels that are mixed already cannot be mixed again; use one augmentation that mixes")
        return Targets(self.labels, self.labels[partner], share.expand_as(self.labels))


def check_targets(
    targets: Targets,
    shape: tuple[int, ...] | torch.Size,
    what: str,  # who gave them, as the message calls it
) -> None:
    """Raise UserError unless there is one target each; shapes and types only, so that no device is waited for."""
    if not isinstance(targets, Targets):
        raise UserError(f"{what} must give Targets, not {type(targets).__name__}")
    if (targets.others is None) != (targets.share is None):
        raise UserError(f"{what}: Targets have both others and share, or neither")
    for name, part in zip(Targets._fields, targets, strict=True):
        if part is None:
            continue
        fits = part.is_floating_point() if name == "share" else part.dtype == torch.int64
        if not fits or part.shape != torch.Size(shape):
            kind = "float" if name == "share" else "int64"
            raise UserError(f"{what}: {name} must be {kind} {list(shape)}, not {part.dtype} {list(part.shape)}")

"""What an image of a rare class weighs in the loss: nothing special, or class-balanced, from the start or deferred."""

import math
from abc import ABC, abstractmethod
from typing import ClassVar

import torch
from torch import Tensor

from episodes.errors import UserError


def class_balanced_weights(
    counts: Tensor,  # [W] float or integer: training images of each label, all positive
    beta: float,  # 0 up to, not including, 1
) -> Tensor:  # [W] float32 or better, sum W
    """The inverse of the effective number of images of each label, normalised::

        weight_y = W * e_y / sum_y' e_y',   e_y = (1 - beta) / (1 - beta^n_y)

    beta = 0 weighs all labels alike, beta towards 1 weighs them by 1 / n_y.

    Cui et al., "Class-Balanced Loss Based on Effective Number of Samples", CVPR 2019, proposition 1 and section 4.
    """
    counts = counts.to(torch.promote_types(counts.dtype, torch.float32))
    log_beta = math.log(beta) if beta else -math.inf
    # 1 - beta^n without the cancellation that beta near 1 brings; the factor 1 - beta goes with the normalisation.
    inverse = -1 / torch.expm1(counts * log_beta)
    return inverse * (len(counts) / inverse.sum())


def check_counts(
    counts: Tensor | None,  # [W] float or integer: training images of each label
    what: str,
) -> None:
    """Raise UserError unless every label has training images; looks at values, so call it once, not at every step.

    Args:
        counts: training images of each label; None if nobody counted them.
        what: name of who needs them.
    """
    counts = needed(counts, what)
    if counts.ndim != 1 or len(counts) == 0:
        raise UserError(f"{what} needs one count for each class, not a tensor of shape {list(counts.shape)}")
    useless = ~(torch.isfinite(counts) & (counts > 0))
    if bool(useless.any()):
        label = int(useless.nonzero()[0])
        raise UserError(
            f"{what} needs training images of every class, but label {label} has {counts[label].item():g}: "
            "give it images or leave the class out"
        )


def needed(counts: Tensor | None, what: str) -> Tensor:
    """The counts, which must have been given (their values are :func:`check_counts`'s business).

    Raises:
        UserError: if they are None.
    """
    if counts is None:
        raise UserError(f"{what} needs the class counts: the number of training images of every class")
    return counts


class Reweighting(ABC):
    """How much each label weighs in the mean of the loss.

    A re-weighting of one's own derives from this class and gives :meth:`weights`.

    Attributes:
        needs_counts: whether it asks for the number of training images of each label.
    """

    needs_counts: ClassVar[bool] = True

    @abstractmethod
    def weights(
        self,
        counts: Tensor | None,  # [W] float or integer: training images of each label
        done: float,  # share of the training that is behind us, 0 up to 1
    ) -> Tensor | None:  # [W] float, sum W; None if all labels weigh the same
        """Weight of each label at this moment of the training."""

    def check(
        self,
        counts: Tensor | None,  # [W]
    ) -> None:
        """Raise UserError if the counts will not do; called once, before training starts."""
        if self.needs_counts:
            check_counts(counts, type(self).__name__)


class NoReweighting(Reweighting):
    """Every image weighs the same."""

    needs_counts = False

    def weights(
        self,
        counts: Tensor | None,  # [W], not looked at
        done: float,
    ) -> None:
        """No weights."""


class ClassBalanced(Reweighting):
    """Labels weigh (1 - beta) / (1 - beta^n_y), scaled to sum to their number; n_y is the training images of label y.

    With a ``start`` above 0 all images weigh the same up to that share of the training: deferred re-weighting (DRW).

    Cui et al., CVPR 2019, proposition 1; deferring: Cao et al., "Learning Imbalanced Datasets with
    Label-Distribution-Aware Margin Loss", NeurIPS 2019, algorithm 1.

    Args:
        beta: 0 weighs all labels alike, towards 1 they weigh 1 / n_y; below 1.
        start: share of the training before which nothing is re-weighted, 0 to below 1; 0.8 is epoch 160 of 200.

    Raises:
        UserError: if a number is out of its range.
    """

    def __init__(self, beta: float = 0.9999, start: float = 0.0) -> None:
        for name, value in (("beta", beta), ("start", start)):
            if not 0 <= value < 1:
                raise UserError(f"ClassBalanced {name} must be at least 0 and below 1, got {value}")
        self.beta = beta
        self.start = start

    def weights(
        self,
        counts: Tensor | None,  # [W] float or integer, all positive
        done: float,
    ) -> Tensor | None:  # [W] float32 or better, sum W
        """:func:`class_balanced_weights` from ``start`` on, nothing before.

        Raises:
            UserError: if there are no counts, at any moment of the training.
        """
        counts = needed(counts, type(self).__name__)
        return class_balanced_weights(counts, self.beta) if done >= self.start else None

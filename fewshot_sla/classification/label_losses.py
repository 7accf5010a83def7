"""Losses of a linear layer that gives one logit a label: cross-entropy, and what long-tailed data made of it.

All of them are the cross-entropy of adjusted logits, and differ in the adjustment, which is a pure function of logits,
labels and n_y, the number of training images of label y. After label augmentation a label is the pair (y, j), and
n_(y,j) = n_y, because every image has every view.
"""

import math
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import ClassVar

import torch
from torch import Tensor
from torch.nn import functional

from episodes.errors import UserError
from episodes.targets import Targets
from fewshot_sla.classification.reweighting import NoReweighting, Reweighting, check_counts, needed


def add_log_prior(
    logits: Tensor,  # [R, W] float
    counts: Tensor,  # [W] float or integer, all positive
    tau: float = 1.0,
) -> Tensor:  # [R, W]
    """``logits[r, y] + tau * log(n_y / n)`` with n the sum of all n_y.

    Menon et al., "Long-tail learning via logit adjustment", ICLR 2021, eq. 10. With tau = 1 it is, but for a constant
    that softmax does not see, the ``logits[r, y] + log n_y`` of Ren et al., "Balanced Meta-Softmax for Long-Tailed
    Visual Recognition", NeurIPS 2020, theorem 1.
    """
    return logits + tau * counts.to(logits).log().log_softmax(0)  # the log-softmax of log n_y is log(n_y / n)


def ldam_margins(
    counts: Tensor,  # [W] float or integer, all positive
    max_margin: float,
) -> Tensor:  # [W] float32 or better
    """``margin_y = C / n_y^(1/4)``, with C such that the rarest label has ``max_margin``.

    Cao et al., "Learning Imbalanced Datasets with Label-Distribution-Aware Margin Loss", NeurIPS 2019, section 3.2.
    """
    counts = counts.to(torch.promote_types(counts.dtype, torch.float32))
    return max_margin * (counts.min() / counts) ** 0.25


def subtract_margins(
    logits: Tensor,  # [R, W] float
    labels: Tensor,  # [R] int64, 0..W-1
    margins: Tensor,  # [W] float
) -> Tensor:  # [R, W]
    """The logit of the right label, less its margin; the other logits as they are."""
    own = margins.to(logits)[labels].unsqueeze(-1)
    return logits.scatter_add(-1, labels.unsqueeze(-1), -own)  # one copy of the logits, however many labels there are


def at_least_float32(
    logits: Tensor,  # [...] float
) -> Tensor:  # [...] float32 or float64
    """Half-precision logits as float32, others as they are."""
    return logits.to(torch.promote_types(logits.dtype, torch.float32))


class LabelLoss(ABC):
    """Mean cross-entropy of adjusted logits; the mean may be weighted by label.

    With weights w the mean is ``sum_r w[y_r] * loss(r, y_r) / sum_r w[y_r]``. A row whose target is a mixture counts
    as two, one with each label, whose weights are multiplied by the labels' shares; logits are adjusted for each::

        sum_r [share_r * w[a_r] * loss(r, a_r) + (1 - share_r) * w[b_r] * loss(r, b_r)]
        / sum_r [share_r * w[a_r] + (1 - share_r) * w[b_r]]

    A loss of one's own derives from this class and gives :meth:`adjust`.

    Attributes:
        needs_normalized_layer: whether the logits have to be cosines.
        needs_counts: whether it asks for the number of training images of each label.

    Args:
        reweighting: how much each label weighs.
    """

    needs_normalized_layer: ClassVar[bool] = False
    needs_counts: ClassVar[bool] = False

    def __init__(self, reweighting: Reweighting = NoReweighting()) -> None:
        self.reweighting = reweighting

    def __call__(
        self,
        logits: Tensor,  # [R, W] float, as the layer gives them
        targets: Targets,  # [R], 0..W-1
        counts: Tensor | None = None,  # [W] float or integer: training images of each label, all positive
        done: float = 0.0,  # share of the training that is behind us, 0 up to 1
        over_pass: Callable[[Tensor], Tensor] | None = None,  # scalar -> scalar
    ) -> Tensor:  # scalar, float32 or float64
        """The loss of R rows.

        Args:
            logits: of each row.
            targets: what each row is.
            counts: for label losses and weights that ask for them.
            done: for weights that are deferred.
            over_pass: where the rows are part of a pass, gives the mean over the pass of a mean over these rows.
                Weighted losses are then divided by the mean weight in the whole pass, so that the mean of the parts'
                losses is the loss of the pass.

        Raises:
            UserError: if there are no counts though the loss or the re-weighting needs them.
        """
        scaled = self.scaled(logits)
        weights = self.reweighting.weights(counts, done)
        weights = None if weights is None else weights.to(scaled)
        if not targets.is_mixed and (weights is None or over_pass is None):
            adjusted = self.adjust(scaled, targets.labels, counts)
            return functional.cross_entropy(adjusted, targets.labels, weight=weights)

        def row_losses(labels: Tensor) -> Tensor:  # [R], weighted
            adjusted = self.adjust(scaled, labels, counts)
            return functional.cross_entropy(adjusted, labels, weight=weights, reduction="none")

        def row_weights(labels: Tensor) -> Tensor:  # [R]
            return scaled.new_ones(len(labels)) if weights is None else weights[labels]

        mean_weight = targets.mean_of(row_weights).mean()
        return targets.mean_of(row_losses).mean() / (mean_weight if over_pass is None else over_pass(mean_weight))

    @abstractmethod
    def adjust(
        self,
        logits: Tensor,  # [R, W] float32 or float64, scaled
        labels: Tensor,  # [R] int64, 0..W-1
        counts: Tensor | None,  # [W]
    ) -> Tensor:  # [R, W]
        """The logits that the cross-entropy is taken of."""

    def scaled(
        self,
        logits: Tensor,  # [..., W] float, as the layer gives them
    ) -> Tensor:  # [..., W] float32 or float64
        """Logits whose softmax is what the model believes."""
        return at_least_float32(logits)

    def check(
        self,
        counts: Tensor | None,  # [W]
    ) -> None:
        """Raise UserError if the counts will not do; called once, before training starts."""
        if self.needs_counts:
            check_counts(counts, type(self).__name__)
        self.reweighting.check(counts)


class CrossEntropy(LabelLoss):
    """Cross-entropy of the logits as they are.

    Args:
        reweighting: how much each label weighs.
    """

    def adjust(self, logits: Tensor, labels: Tensor, counts: Tensor | None) -> Tensor:
        """Nothing is adjusted."""
        return logits


class BalancedSoftmax(LabelLoss):
    """Cross-entropy of ``logits[y] + log n_y`` in training; predictions leave the addend out.

    Ren et al., NeurIPS 2020, theorem 1.

    Args:
        reweighting: how much each label weighs.
    """

    needs_counts = True

    def adjust(self, logits: Tensor, labels: Tensor, counts: Tensor | None) -> Tensor:
        """:func:`add_log_prior`."""
        return add_log_prior(logits, needed(counts, type(self).__name__))


class LogitAdjustment(LabelLoss):
    """Cross-entropy of ``logits[y] + tau * log(n_y / n)`` in training; predictions leave the addend out.

    Menon et al., ICLR 2021, eq. 10. tau = 1 is the balanced softmax, tau = 0 plain cross-entropy.

    Args:
        tau: how much of the prior is taken over by the addend, at least 0.
        reweighting: how much each label weighs.

    Raises:
        UserError: if tau is negative or not finite.
    """

    needs_counts = True

    def __init__(self, tau: float = 1.0, reweighting: Reweighting = NoReweighting()) -> None:
        super().__init__(reweighting)
        if not 0 <= tau < math.inf:
            raise UserError(f"LogitAdjustment tau must be at least 0 and finite, got {tau}")
        self.tau = tau

    def adjust(self, logits: Tensor, labels: Tensor, counts: Tensor | None) -> Tensor:
        """:func:`add_log_prior`."""
        return add_log_prior(logits, needed(counts, type(self).__name__), self.tau)


class LDAM(LabelLoss):
    """Label-distribution-aware margins: cross-entropy of ``scale * (cos_y - [y is right] * margin_y)``.

    ``margin_y = C / n_y^(1/4)``: the rarer a label, the further its images have to be on the right side. The logits
    must be cosines of feature and weights, which a normalised linear layer gives.

    Cao et al., NeurIPS 2019, section 3.2.

    Args:
        max_margin: margin of the rarest label, positive.
        scale: factor s of the cosines, positive.
        reweighting: how much each label weighs; ClassBalanced with a start of 0.8 makes it the paper's LDAM-DRW.

    Raises:
        UserError: if a number is not positive and finite.
    """

    needs_normalized_layer = True
    needs_counts = True

    def __init__(
        self,
        max_margin: float = 0.5,
        scale: float = 30.0,
        reweighting: Reweighting = NoReweighting(),
    ) -> None:
        super().__init__(reweighting)
        for name, value in (("max_margin", max_margin), ("scale", scale)):
            if not 0 < value < math.inf:
                raise UserError(f"LDAM {name} must be positive and finite, got {value}")
        self.max_margin = max_margin
        self.scale = scale

    def adjust(self, logits: Tensor, labels: Tensor, counts: Tensor | None) -> Tensor:
        """Margins are of cosines, the logits are scaled already; so the margins are scaled too."""
        margins = ldam_margins(needed(counts, type(self).__name__), self.max_margin)
        return subtract_margins(logits, labels, self.scale * margins)

    def scaled(
        self,
        logits: Tensor,  # [..., W] float: cosines
    ) -> Tensor:  # [..., W] float32 or float64
        """``scale * cosine``."""
        return self.scale * at_least_float32(logits)

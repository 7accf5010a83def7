"""ANIL: a linear layer, adapted to each episode's support by a few steps of gradient descent."""

import math

import torch
from torch import Tensor, nn

from episodes.errors import UserError
from fewshot_sla.heads.base import Head, one_hot, register_number
from fewshot_sla.heads.calibration import SPREAD


def gradient_logits(
    support: Tensor,  # [T, S, D] float32 or float64
    support_labels: Tensor,  # [T, S] int64, 0..ways-1, every class present
    query: Tensor,  # [T, R, D]
    ways: int,
    steps: int = 5,
    learning_rate: float | Tensor = 0.1,
    first_order: bool = False,
) -> Tensor:  # [T, R, W]
    """Outputs of a linear layer with bias after steps of gradient descent from zero on the support's cross-entropy::

        W_0 = 0,   W_{k+1} = W_k - learning_rate * 1/S X' (P_k - Y),   P_k = softmax(X W_k),   logits = Q W_steps

    where X and Q stand for features with a 1 appended. All W_k are X' A_k with A_k [S, W], so a step costs a product of
    the S x S kernel with A, whatever D is; the gradient of the support's loss is written out, so nothing is
    differentiated twice and all episodes go at once. Autograd through these lines gives the exact gradient; with
    ``first_order`` the inner gradients count as constants, and what is left reaches the query features and the learning
    rate, but not the support.

    Raghu et al. 2020 (arXiv 1909.09157), section 4; Finn et al. 2017 (arXiv 1703.03400), section 5.2 (first order).
    """
    rows, queries = (nn.functional.pad(features, (0, 1), value=1.0) for features in (support, query))
    if first_order:
        rows = rows.detach()
    kernel = rows @ rows.mT
    targets = one_hot(support_labels, ways, rows.dtype)
    size = learning_rate / rows.shape[-2]
    alpha = torch.zeros_like(targets)
    for _ in range(steps):
        errors = (kernel @ alpha).softmax(-1) - targets
        alpha = alpha - size * (errors.detach() if first_order else errors)
    return queries @ (rows.mT @ alpha)


def smoothness(
    support: Tensor,  # [T, S, D] float32 or float64
) -> Tensor:  # [T]
    """Largest curvature that the support's mean cross-entropy can have in the weights and the bias.

    With K the inner products of the rows, a 1 appended to each, it is at most ``largest eigenvalue of K / (2 S)``: the
    second derivative of cross-entropy in the logits is at most 1/2 (Böhning 1992). Gradient descent with steps of 1
    over this number never goes up.
    """
    kernel = support @ support.mT + 1
    return torch.linalg.eigvalsh(kernel)[:, -1] / (2 * support.shape[-2])


class GradientHead(Head):
    """ANIL ("almost no inner loop"): MAML whose inner loop adapts the last layer only, and so is a head.

    The layer starts from zero, for a learned start would be useless or wrong here. Labels are numbered arbitrarily, so
    the start must be the same vector for every class; and a vector v that all classes share adds q'v to every logit of
    a query, in every step, which softmax does not see. (In MAML, where the backbone moves too, a shared start does
    matter: Ye and Chao 2022, "UnicornMAML", arXiv 2106.16245.) ANIL as published learns one start a class, and so needs
    as many ways in tests as in training. Learned here: the learning rate.

    With ``first_order`` no gradient reaches the support features, so it is then exempt from that check.

    Args:
        steps: of gradient descent, at least 1.
        learning_rate: of these steps at the start, positive. A calibrated start replaces it by 1 over the largest
            curvature that the first episodes can have (:func:`smoothness`), since what is too much depends on the norm
            of the features.
        learn_rate: whether training changes the learning rate (its logarithm, so it stays positive).
        first_order: leave the derivatives of the inner gradients out of the gradient.

    Raises:
        UserError: if a number is out of range.
    """

    log_rate: Tensor  # [] float32; a parameter if it is learned, else a buffer

    def __init__(
        self, steps: int = 5, learning_rate: float = 0.1, learn_rate: bool = True, first_order: bool = False
    ) -> None:
        super().__init__()
        if steps < 1:
            raise UserError(f"GradientHead: steps must be at least 1, got {steps}")
        if not 0 < learning_rate < float("inf"):
            raise UserError(f"GradientHead: learning_rate must be positive and finite, got {learning_rate}")
        self.steps = steps
        self.learn_rate = learn_rate
        self.first_order = first_order
        self.exempt = frozenset({"gradients"}) if first_order else frozenset()
        register_number(self, "log_rate", math.log(learning_rate), learn_rate)

    @property
    def learning_rate(self) -> Tensor:  # [] positive
        """Learning rate as it is now."""
        return self.log_rate.exp()

    def logits(self, support: Tensor, support_labels: Tensor, query: Tensor, ways: int) -> Tensor:
        """:func:`gradient_logits`."""
        rate = self.learning_rate
        return gradient_logits(support, support_labels, query, ways, self.steps, rate, self.first_order)

    @torch.no_grad()
    def calibrate(
        self,
        support: Tensor,  # [T, S, D] float
        support_labels: Tensor,  # [T, S] int64, 0..ways-1
        query: Tensor,  # [T, R, D] float
        ways: int,
        spread: float = SPREAD,
    ) -> None:
        """Set the learning rate to 1 / mean over the episodes of :func:`smoothness`; the spread is not asked for.

        Raises:
            UserError: the features are not finite.
        """
        with torch.autocast(support.device.type, enabled=False):
            rows = support.double()
            if not bool(rows.isfinite().all()):
                raise UserError("a head cannot be calibrated on features that are not finite")
            self.log_rate.fill_(-float(smoothness(rows).mean().log()))

    def extra_repr(self) -> str:
        """What ``print(head)`` shows."""
        return f"steps={self.steps}, first_order={self.first_order}"

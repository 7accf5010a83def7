"""Mixup: images and labels of random pairs, mixed."""

import math

import torch
from torch import Tensor
from torch.distributions import Beta

from episodes.errors import UserError
from episodes.images.augmentation.base import Augmentation, check_partners
from episodes.targets import Targets


def mix(
    images: Tensor,  # [B, C, H, W] float
    targets: Targets,  # [B], not mixed yet
    partner: Tensor,  # [B] int64, 0..B-1
    share: Tensor,  # [] or [B] float, 0..1
) -> tuple[Tensor, Targets]:  # [B, C, H, W]; [B]
    """Each image mixed with its partner, and so are the labels::

        x~_b = share_b * x_b + (1 - share_b) * x_partner(b),   y~_b = share_b * y_b + (1 - share_b) * y_partner(b)

    Zhang et al., "mixup: Beyond Empirical Risk Minimization", ICLR 2018, section 2.

    Raises:
        UserError: if the targets are mixtures already.
    """
    weight = share.reshape(-1, 1, 1, 1).to(images)
    return weight * images + (1 - weight) * images[partner], targets.mixed(partner, share)


class Mixup(Augmentation):
    """Random pairs of images with their labels, mixed in shares lambda and 1 - lambda, lambda ~ Beta(alpha, alpha).

    Views come after mixing, and the M views of a mixture are the mixtures of the two images' views as long as they are
    rotations or permutations of colours. So label augmentation mixes joint labels: view j is called (y_a, j) in share
    lambda and (y_b, j) otherwise. Normalisation, which comes later too, does not see the order.

    Zhang et al., ICLR 2018; the authors' program draws one lambda a batch and trains CIFAR-10 with alpha = 1.

    Args:
        alpha: of the Beta distribution, positive: towards 0 nothing is mixed, 1 is uniform, large values mix by halves.
        per_image: a lambda for each image instead of one a batch (in few-shot training, one an episode).

    Raises:
        UserError: if alpha is not positive and finite; later, if the labels are mixed already or there is one image
            only.
    """

    def __init__(self, alpha: float = 1.0, per_image: bool = False) -> None:
        if not 0 < alpha < math.inf:
            raise UserError(f"Mixup alpha must be positive and finite, got {alpha}")
        self.alpha = alpha
        self.per_image = per_image

    def __call__(self, images: Tensor, targets: Targets) -> tuple[Tensor, Targets]:
        """:func:`mix` with random partners: a permutation, so every image occurs as often as before."""
        check_partners(images, type(self).__name__)
        count = (len(images),) if self.per_image else ()
        alpha = torch.full(count, self.alpha, dtype=torch.float64, device=images.device)
        share = Beta(alpha, alpha, validate_args=False).sample().to(images.dtype)
        return mix(images, targets, torch.randperm(len(images), device=images.device), share)

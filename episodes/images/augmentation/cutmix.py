"""CutMix: a box of each training image is that of another one, and the labels are mixed by their share of pixels."""

import math

import torch
from torch import Tensor
from torch.distributions import Beta

from episodes.errors import UserError
from episodes.images.augmentation.base import Augmentation, check_partners
from episodes.images.augmentation.boxes import box_masks, random_centres
from episodes.targets import Targets


def paste(
    images: Tensor,  # [B, C, H, W] float
    targets: Targets,  # [B], not mixed yet
    partner: Tensor,  # [B] int64, 0..B-1
    mask: Tensor,  # [B, 1, H, W] bool
) -> tuple[Tensor, Targets]:  # [B, C, H, W]; [B]
    """Where its mask holds, each image is its partner; its label counts for the share of pixels that are its own::

        x~_b = x_b outside of the mask, x_partner(b) inside
        y~_b = share_b * y_b + (1 - share_b) * y_partner(b),   share_b = 1 - mask_b's share of the pixels

    Yun et al., "CutMix: Regularization Strategy to Train Strong Classifiers with Localizable Features", ICCV 2019,
    equation 1.

    Raises:
        UserError: if the targets are mixtures already.
    """
    share = 1 - mask.to(images.dtype).mean(dim=(1, 2, 3))
    return torch.where(mask, images[partner], images), targets.mixed(partner, share)


class CutMix(Augmentation):
    """Random pairs of images; a box of random size and place is cut from the one and pasted into the other.

    The box has the sides sqrt(1 - lambda) of the image's, lambda ~ Beta(alpha, alpha), around a random pixel; it is
    clipped at the edges, and labels are mixed by what is left of it. Views come after mixing: view j of a mixture is
    called (y_a, j) in the share of its own pixels and (y_b, j) otherwise.

    Yun et al., ICCV 2019; their program draws one box a batch, with probability 0.5 on CIFAR.

    Args:
        alpha: of the Beta distribution, positive; 1 is uniform.
        probability: of mixing at all: of a batch, or with ``per_image`` of an image.
        per_image: a box for each image instead of one a batch (in few-shot training, one an episode).

    Raises:
        UserError: if a number is out of its range; later, if the labels are mixed already or there is one image only.
    """

    def __init__(self, alpha: float = 1.0, probability: float = 0.5, per_image: bool = False) -> None:
        if not 0 < alpha < math.inf:
            raise UserError(f"CutMix alpha must be positive and finite, got {alpha}")
        if not 0 <= probability <= 1:
            raise UserError(f"CutMix probability must be 0 to 1, got {probability}")
        self.alpha, self.probability, self.per_image = alpha, probability, per_image

    def __call__(self, images: Tensor, targets: Targets) -> tuple[Tensor, Targets]:
        """:func:`paste` with random boxes and partners: a permutation, so every image occurs as often as before."""
        check_partners(images, type(self).__name__)
        count, _, height, width = images.shape
        boxes = count if self.per_image else min(count, 1)
        alpha = torch.full((boxes,), self.alpha, dtype=torch.float64, device=images.device)
        side = (1 - Beta(alpha, alpha, validate_args=False).sample()).sqrt()
        # A box without sides changes nothing: whether to mix is no question that the device must be waited for.
        side = side * (torch.rand(boxes, device=images.device) < self.probability)
        rows, columns = random_centres(boxes, height, width, images.device)
        mask = box_masks(rows, columns, (side * height).long(), (side * width).long(), height, width)
        return paste(images, targets, torch.randperm(count, device=images.device), mask.expand(count, -1, -1, -1))

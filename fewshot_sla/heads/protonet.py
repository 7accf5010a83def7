"""Prototypical networks: a class is the mean of its support features, a query belongs to the nearest."""

import torch
from torch import Tensor

from fewshot_sla.heads.base import ScaledHead, one_hot

_LARGEST_INDICATOR = 2**26  # numbers; a quarter of a gigabyte in float32


def class_means(
    support: Tensor,  # [T, S, D]
    support_labels: Tensor,  # [T, S] int64, every class present
    ways: int,
) -> Tensor:  # [T, W, D]
    """Mean of each class's support rows.

    A matrix product, hence deterministic on every device; for thousands of classes, whose indicator would fill the
    memory, a sum row by row (on CUDA the order of its terms is not fixed).
    """
    if support_labels.numel() * ways > _LARGEST_INDICATOR:
        sums = support.new_zeros(len(support), ways, support.shape[-1])
        sums = sums.scatter_add(1, support_labels[..., None].expand_as(support), support)
        ones = torch.ones_like(support_labels, dtype=support.dtype)
        counts = support.new_zeros(len(support), ways).scatter_add(1, support_labels, ones)
        return sums / counts[..., None]
    indicator = one_hot(support_labels, ways, support.dtype)
    return (indicator / indicator.sum(-2, keepdim=True)).mT @ support


def protonet_logits(
    support: Tensor,  # [T, S, D] float32 or float64
    support_labels: Tensor,  # [T, S] int64, 0..ways-1, every class present
    query: Tensor,  # [T, R, D]
    ways: int,
) -> Tensor:  # [T, R, W]
    """Negative squared Euclidean distance to the class means, over the feature dimension::

        logits[r, w] = -||q_r - c_w||^2 / D,   c_w = mean of the support rows of class w

    The square is expanded, so nothing of size [T, R, W, D] is made; features are centred on the support mean first,
    without which the expansion would cancel where features lie far from the origin.

    Snell et al. 2017 (arXiv 1703.05175), eq. 1-2; division by D as in Lee et al. 2019 (arXiv 1904.03758).
    """
    # Distances do not depend on the centre, so no gradient goes through it.
    centre = support.detach().mean(-2, keepdim=True)
    query = query - centre
    means = class_means(support - centre, support_labels, ways)
    squares = query.square().sum(-1)[..., :, None] + means.square().sum(-1)[..., None, :]
    return (2 * (query @ means.mT) - squares) / query.shape[-1]


def nearest_mean_logits(
    means: Tensor,  # [T, W, D] float32 or float64
    query: Tensor,  # [T, R, D]
) -> Tensor:  # [T, R, W]
    """:func:`protonet_logits` of given prototypes."""
    ways = means.shape[1]
    labels = torch.arange(ways, device=means.device).expand(len(means), -1)
    return protonet_logits(means, labels, query, ways)


class ProtoNetHead(ScaledHead):
    """Prototypical networks with a temperature.

    Args:
        scale: factor of the logits at the start; a calibrated start replaces it.
        learn_scale: whether training changes it.
    """

    def scores(self, support: Tensor, support_labels: Tensor, query: Tensor, ways: int) -> Tensor:
        """:func:`protonet_logits`."""
        return protonet_logits(support, support_labels, query, ways)

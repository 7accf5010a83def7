"""Nearest class mean by cosine similarity, with a learned scale."""

from torch import Tensor, nn

from fewshot_sla.heads.base import ScaledHead
from fewshot_sla.heads.protonet import class_means


def cosine_logits(
    support: Tensor,  # [T, S, D] float32 or float64
    support_labels: Tensor,  # [T, S] int64, 0..ways-1, every class present
    query: Tensor,  # [T, R, D]
    ways: int,
) -> Tensor:  # [T, R, W] -1..1
    """Cosine of the angle between each query and the mean direction of each class's support rows::

        logits[r, w] = cos(q_r, c_w),   c_w = mean over the rows s of class w of x_s / ||x_s||

    A feature that is zero has no direction: its cosines are 0.

    Gidaris and Komodakis 2018 (arXiv 1804.09458), section 3.
    """
    directions = nn.functional.normalize(support, dim=-1)
    means = nn.functional.normalize(class_means(directions, support_labels, ways), dim=-1)
    return nn.functional.normalize(query, dim=-1) @ means.mT


class CosineHead(ScaledHead):
    """Nearest mean by cosine, times a scale; the head of Baseline++ (and of Meta-Baseline) without fine-tuning.

    Baseline++ (Chen et al. 2019, arXiv 1904.04232, section 3.2) fits the class vectors to the support by gradient
    descent, from a random start; here they are the mean directions, where Gidaris and Komodakis begin and mostly end.

    Args:
        scale: factor of the cosines at the start; a calibrated start replaces it. 10 in both papers' programs.
        learn_scale: whether training changes it.
    """

    def __init__(self, scale: float = 10.0, learn_scale: bool = True):
        super().__init__(scale, learn_scale)

    def scores(self, support: Tensor, support_labels: Tensor, query: Tensor, ways: int) -> Tensor:
        """:func:`cosine_logits`."""
        return cosine_logits(support, support_labels, query, ways)

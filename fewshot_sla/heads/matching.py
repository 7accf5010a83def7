"""Matching networks: every support row votes for its class, weighted by how similar to the query it is."""

import torch
from torch import Tensor, nn

from episodes.errors import UserError
from fewshot_sla.heads.base import Head, one_hot, register_number


def matching_logits(
    support: Tensor,  # [T, S, D] float32 or float64
    support_labels: Tensor,  # [T, S] int64, 0..ways-1, every class present
    query: Tensor,  # [T, R, D]
    ways: int,
    scale: float | Tensor = 1.0,
) -> Tensor:  # [T, R, W] <= 0, log-probabilities
    """Logarithm of the attention that each query gives to the support rows of each class::

        a[r, s] = softmax over s of scale * cos(q_r, x_s),   logits[r, w] = log of the sum over s of class w of a[r, s]

    The sum is taken as the paper takes it, so a class of more rows gets more. It is computed about the largest term of
    each class and does not underflow, however large the scale; nothing has more than two of the axes S, R, W, D.

    Vinyals et al. 2016 (arXiv 1606.04080), eq. 1 and section 2.1.1, without full context embeddings; scale 1 there.
    """
    similar = nn.functional.normalize(query, dim=-1) @ nn.functional.normalize(support, dim=-1).mT
    scores = scale * similar  # [T, R, S]
    of_class = support_labels[:, None].expand_as(scores)
    largest = scores.new_full((*scores.shape[:2], ways), -torch.inf)
    largest = largest.scatter_reduce(2, of_class, scores.detach(), "amax")  # [T, R, W]
    sums = (scores - largest.gather(2, of_class)).exp() @ one_hot(support_labels, ways, scores.dtype)
    logits = largest + sums.log()
    return logits - logits.logsumexp(-1, keepdim=True)


class MatchingHead(Head):
    """Matching networks: attention over the support rows by cosine similarity.

    The scale stands inside of the softmax over rows: unlike that of a ``ScaledHead`` it changes answers where a class
    has several rows (a small one compares mean similarities, a large one is the nearest neighbour), so a calibrated
    start leaves it alone.

    Args:
        scale: factor of the cosines at the start, positive. The paper has 1, which makes all rows nearly equal; 10 is
            what cosine heads usually start from.
        learn_scale: whether training changes it.

    Raises:
        UserError: if the scale is not positive and finite.
    """

    scale: Tensor  # [] float32; a parameter if it is learned, else a buffer

    def __init__(self, scale: float = 10.0, learn_scale: bool = True):
        super().__init__()
        if not 0 < scale < float("inf"):
            raise UserError(f"MatchingHead: scale must be positive and finite, got {scale}")
        self.learn_scale = learn_scale
        register_number(self, "scale", scale, learn_scale)

    def logits(self, support: Tensor, support_labels: Tensor, query: Tensor, ways: int) -> Tensor:
        """:func:`matching_logits`."""
        return matching_logits(support, support_labels, query, ways, self.scale)

"""How much an image looks like one of the classes that are known: scores of the class logits of its views.

All scores are larger for images of known classes. The logits come from ``Inference.by_view``, so that they are the same
for a batch, an episode and pictures of one's own.
"""

import math
from collections.abc import Callable
from typing import NamedTuple

from torch import Tensor

from fewshot_sla.inference.inference import mean_over_views


class Score(NamedTuple):
    """A score of images.

    Attributes:
        title: as it stands in tables.
        of: (class logits by view [..., V, N] float, combine: [..., V, N] -> [..., N]) -> scores [...].
        needs_views: whether it compares views, and so needs two or more of them.
    """

    title: str
    of: Callable[[Tensor, Callable[[Tensor], Tensor]], Tensor]
    needs_views: bool = False


def maximum_probability(
    logits: Tensor,  # [..., N] float
) -> Tensor:  # [...], 1/N..1
    """``max_y softmax(s)_y``.

    Hendrycks and Gimpel, "A Baseline for Detecting Misclassified and Out-of-Distribution Examples in Neural Networks",
    ICLR 2017.
    """
    return logits.softmax(dim=-1).amax(dim=-1)


def maximum_logit(
    logits: Tensor,  # [..., N] float
) -> Tensor:  # [...]
    """``max_y s_y``; Hendrycks et al., "Scaling Out-of-Distribution Detection for Real-World Settings", ICML 2022."""
    return logits.amax(dim=-1)


def negative_energy(
    logits: Tensor,  # [..., N] float
) -> Tensor:  # [...]
    """``log sum_y exp(s_y)``: temperature 1; Liu et al., "Energy-based Out-of-distribution Detection", NeurIPS 2020."""
    return logits.logsumexp(dim=-1)


def agreement(
    by_view: Tensor,  # [..., V, N] float
) -> Tensor:  # [...], -log V..0
    """Minus the disagreement of the views, which is the Jensen-Shannon divergence of their probabilities p_v, in nats::

        -(H(1/V sum_v p_v) - 1/V sum_v H(p_v)),   H(p) = -sum_y p_y log p_y

    It is 0 where all views say the same, however sure they are. Of the members of an ensemble instead of views:
    Lakshminarayanan et al., "Simple and Scalable Predictive Uncertainty Estimation using Deep Ensembles", NeurIPS 2017.
    """
    log_p = by_view.log_softmax(dim=-1)
    log_mean = log_p.logsumexp(dim=-2, keepdim=True) - math.log(by_view.shape[-2])
    # sum_v p_v (log mean - log p_v) is what the entropies come to, without the cancellation of their difference
    return (log_p.exp() * (log_mean - log_p)).sum(dim=-1).mean(dim=-1).clamp(max=0)


def _combined(score: Callable[[Tensor], Tensor]) -> Callable[[Tensor, Callable[[Tensor], Tensor]], Tensor]:
    """The score of what the views say together."""
    return lambda by_view, combine: score(combine(by_view))


SCORES: dict[str, Score] = {
    "probability": Score("maximum probability", _combined(maximum_probability)),
    "logit": Score("maximum logit", _combined(maximum_logit)),
    "energy": Score("energy", _combined(negative_energy)),
    "agreement": Score("agreement of views", lambda by_view, combine: agreement(by_view), needs_views=True),
}


def scores_of(
    by_view: Tensor,  # [..., V, N] float: class logits of each view
    combine: Callable[[Tensor], Tensor] = mean_over_views,  # as Inference.combine
) -> dict[str, Tensor]:  # each [...], float32 or wider
    """All scores that there are for so many views, by name; larger means more like a known class."""
    wide = by_view if by_view.dtype.itemsize >= 4 else by_view.float()
    several = by_view.shape[-2] > 1
    return {name: score.of(wide, combine) for name, score in SCORES.items() if several or not score.needs_views}

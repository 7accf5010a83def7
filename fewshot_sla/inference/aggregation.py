"""From joint logits to a prediction: single inference (SLA+SI) and aggregated inference (SLA+AG)."""

from torch import Tensor

from episodes.labels import unflatten_pairs


def conditional_logits(
    joint: Tensor,  # [..., R*M, N*M] float: joint logits of every view of every query
    m: int,
) -> Tensor:  # [..., R, N, M]: [r, y, j] is the logit of the joint label (y, j) for view j of query r
    """The logits of the class, given the transformation, which is known: P(y | t_j(x), j) is their softmax over y.

    Lee et al., ICML 2020, section 3.2: of the N*M logits of view j only the N with the same j are compared.
    """
    by_view = unflatten_pairs(joint, -2, m)  # [..., R, M (view), N*M]
    by_pair = unflatten_pairs(by_view, -1, m)  # [..., R, M (view), N, M (label)]
    return by_pair.diagonal(dim1=-3, dim2=-1)


def single_inference(
    joint: Tensor,  # [..., R*M, N*M]
    m: int,
) -> Tensor:  # [..., R, N]
    """SLA+SI: the conditional logits of the untransformed query, j = 0."""
    return conditional_logits(joint, m)[..., 0]


def aggregated_inference(
    joint: Tensor,  # [..., R*M, N*M]
    m: int,
) -> Tensor:  # [..., R, N]
    """SLA+AG: s_y = 1/M * sum_j (conditional logit of y for view j); Lee et al., ICML 2020, eq. 4."""
    return conditional_logits(joint, m).mean(dim=-1)


def mean_over_views(
    logits: Tensor,  # [..., R*M, N]
    m: int,
) -> Tensor:  # [..., R, N]
    """Test-time augmentation of a model whose views share the class: the mean logit over the M views."""
    return unflatten_pairs(logits, -2, m).mean(dim=-2)


def as_they_are(
    logits: Tensor,  # [..., R, N]
    m: int,
) -> Tensor:  # [..., R, N]
    """Logits of an episode without views are the prediction already."""
    return logits

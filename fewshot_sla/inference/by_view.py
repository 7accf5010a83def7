"""What each view alone says of the class: logits of labelled rows [R*M, W] as class logits [R, V, N]."""

from torch import Tensor

from episodes.labels import unflatten_pairs


def image_logits(
    logits: Tensor,  # [..., R, N] float: of the images themselves
    m: int,
) -> Tensor:  # [..., R, 1, N]
    """The image is the only view."""
    return logits.unsqueeze(-2)


def class_logits(
    logits: Tensor,  # [..., R*M, N] float: class logits of every view of every image
    m: int,
) -> Tensor:  # [..., R, M, N]
    """Views share the classes, so each gives the class logits as they are."""
    return unflatten_pairs(logits, -2, m)


def conditional_logits(
    joint: Tensor,  # [..., R*M, N*M] float: joint logits of every view of every image
    m: int,
) -> Tensor:  # [..., R, M, N]: [r, j, y] is the logit of the joint label (y, j) for view j of image r
    """The logits of the class, given the transformation, which is known: P(y | t_j(x), j) is their softmax over y.

    Lee et al., ICML 2020, section 2.2: of the N*M logits of view j only the N with the same j are compared.
    """
    by_view = unflatten_pairs(joint, -2, m)  # [..., R, M (view), N*M]
    by_pair = unflatten_pairs(by_view, -1, m)  # [..., R, M (view), N, M (label)]
    return by_pair.diagonal(dim1=-3, dim2=-1).mT

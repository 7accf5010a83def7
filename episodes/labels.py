"""The joint-label codec: the only place that knows how a class and a transformation share one number.

A joint label is ``y * M + j`` for class ``y`` and transformation ``j`` (Lee et al., ICML 2020, section 2.2, where the
pair is written (i, j)). The same order is used for the rows of an augmented episode: view ``j`` of image ``r`` is row
``r * M + j``. Whatever flattens or unflattens either pair calls this file.
"""

from torch import Tensor


def joint_label(
    label: Tensor,  # [...] integer, 0..N-1
    transformation: Tensor | int,  # broadcasts against label; integer, 0..M-1
    m: int,
) -> Tensor:  # [...] integer, 0..N*M-1
    """Number of the pair (class, transformation).

    >>> import torch
    >>> joint_label(torch.tensor([0, 2]), 3, m=4)
    tensor([ 3, 11])
    """
    return label * m + transformation


def split_joint_label(
    joint: Tensor,  # [...] integer, 0..N*M-1
    m: int,
) -> tuple[Tensor, Tensor]:  # label [...] 0..N-1, transformation [...] 0..M-1
    """Inverse of :func:`joint_label`.

    >>> import torch
    >>> split_joint_label(torch.tensor([3, 11]), m=4)
    (tensor([0, 2]), tensor([3, 3]))
    """
    return joint // m, joint % m


def flatten_pairs(
    pairs: Tensor,  # [..., N, M, *rest]: axis `dim` is the class (or the image), the next one the transformation
    dim: int,
) -> Tensor:  # [..., N * M, *rest]
    """Merge the axes (class, transformation), or (image, view), into one in joint-label order.

    >>> import torch
    >>> flatten_pairs(torch.tensor([[10, 11], [20, 21]]), dim=0)
    tensor([10, 11, 20, 21])
    """
    return pairs.flatten(dim, dim + 1)


def unflatten_pairs(
    joint: Tensor,  # [..., N * M, *rest]
    dim: int,
    m: int,
) -> Tensor:  # [..., N, M, *rest]
    """Split an axis in joint-label order into (class, transformation), or (image, view).

    >>> import torch
    >>> unflatten_pairs(torch.tensor([10, 11, 20, 21]), dim=0, m=2)
    tensor([[10, 11],
            [20, 21]])
    """
    return joint.unflatten(dim, (-1, m))

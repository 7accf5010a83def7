"""Views of a batch [B, M, ...]: what each is called, what is believed from them, and what a class layer learns of it.

The pure functions below :mod:`fewshot_sla.classification.objectives`. Row and label orders are those of
``episodes/labels.py``.
"""

from collections.abc import Mapping

import torch
from torch import Tensor
from torch.nn import functional

from episodes.labels import flatten_pairs, joint_label
from fewshot_sla.inference import aggregation


def class_labels(
    labels: Tensor,  # [B] int64, 0..N-1
    m: int,
) -> Tensor:  # [B, M] int64, 0..N-1
    """Every view is called by the class of its image (DA)."""
    return labels.unsqueeze(-1).expand(-1, m)


def view_labels(
    labels: Tensor,  # [B] int64
    m: int,
) -> Tensor:  # [B, M] int64, 0..M-1
    """Every view is called by its transformation (the second task of MT)."""
    return torch.arange(m, device=labels.device).expand(len(labels), m)


def joint_labels(
    labels: Tensor,  # [B] int64, 0..N-1
    m: int,
) -> Tensor:  # [B, M] int64, 0..N*M-1
    """Every view is called by class and transformation (SLA)."""
    return joint_label(labels.unsqueeze(-1), view_labels(labels, m), m)


def joint_counts(
    counts: Tensor,  # [N] training images of each class
    m: int,
) -> Tensor:  # [N*M]
    """Training images of each joint label: n_(y,j) = n_y."""
    return flatten_pairs(counts.unsqueeze(-1).expand(-1, m), dim=0)


def share_of_right_answers(
    logits: Tensor,  # [B, M, W] float
    labels: Tensor,  # [B, M] int64, 0..W-1
) -> Tensor:  # scalar float32
    """Share of the rows whose largest logit is that of their label."""
    return (logits.argmax(-1) == labels).float().mean()


def distillation_loss(
    student: Tensor,  # [B, N] float32 or float64
    teacher: Tensor,  # [B, N] float32 or float64; a constant, no gradient reaches it
    temperature: float = 1.0,
) -> Tensor:  # scalar
    """``T^2 * mean_b KL(softmax(teacher_b / T) || softmax(student_b / T))``.

    Lee et al., ICML 2020, eq. 5, where T is 1. Temperature and T^2, which keeps the size of the gradient, are from
    Hinton et al., "Distilling the Knowledge in a Neural Network", 2015, section 2.
    """
    divergence = functional.kl_div(
        (student / temperature).log_softmax(-1),
        (teacher.detach() / temperature).log_softmax(-1),
        reduction="batchmean",
        log_target=True,
    )
    return temperature**2 * divergence


# Inferences: logits of a batch, by output, and M in; class logits [B, N] out.


def class_single(
    logits: Mapping[str, Tensor],  # "class": [B, M, N]
    m: int,
) -> Tensor:  # [B, N]
    """The class logits of the untransformed image."""
    return logits["class"][:, 0]


def class_aggregated(
    logits: Mapping[str, Tensor],  # "class": [B, M, N]
    m: int,
) -> Tensor:  # [B, N]
    """Test-time augmentation: the mean class logits over the M views."""
    return aggregation.mean_over_views(flatten_pairs(logits["class"], dim=0), m)


def joint_single(
    logits: Mapping[str, Tensor],  # "joint": [B, M, N*M]
    m: int,
) -> Tensor:  # [B, N]
    """SLA+SI: the joint logits of the untransformed image with j = 0."""
    return aggregation.single_inference(flatten_pairs(logits["joint"], dim=0), m)


def joint_aggregated(
    logits: Mapping[str, Tensor],  # "joint": [B, M, N*M]
    m: int,
) -> Tensor:  # [B, N]
    """SLA+AG: ``s_y = 1/M sum_j joint[b, j, (y, j)]``; Lee et al., ICML 2020, eq. 4."""
    return aggregation.aggregated_inference(flatten_pairs(logits["joint"], dim=0), m)

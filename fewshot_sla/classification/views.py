"""What only classification learns from the views of a batch: which transformation each is, and what all say together.

The pure functions below :mod:`fewshot_sla.classification.objectives`.
"""

import torch
from torch import Tensor
from torch.nn import functional


def view_labels(
    labels: Tensor,  # [B] int64
    m: int,
) -> Tensor:  # [B, M] int64, 0..M-1
    """Every view is called by its transformation (the second task of MT)."""
    return torch.arange(m, device=labels.device).expand(len(labels), m)


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

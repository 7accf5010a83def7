"""Batches and label losses that the tests of the classification objectives share."""

import torch
from torch import Tensor

from episodes import Rotation
from fewshot_sla.classification.label_losses import LDAM, BalancedSoftmax, CrossEntropy, LabelLoss, LogitAdjustment
from fewshot_sla.classification.objectives import Baseline, ClassificationObjective, Standing
from fewshot_sla.classification.reweighting import ClassBalanced
from tests.fewshot_sla.classification import slow_losses

B, N, M = 5, 3, 4
COUNTS = torch.tensor([50.0, 20.0, 4.0], dtype=torch.float64)
STANDING = Standing(COUNTS, 0.6)
DRW = ClassBalanced(0.9, start=0.5)
LABEL_LOSSES: list[tuple[LabelLoss, slow_losses.RowLoss]] = [
    (CrossEntropy(), slow_losses.cross_entropy),
    (CrossEntropy(DRW), slow_losses.cross_entropy),
    (BalancedSoftmax(DRW), slow_losses.balanced_softmax),
    (LogitAdjustment(1.3), slow_losses.logit_adjusted(1.3)),
    (LDAM(0.4, 8.0, DRW), slow_losses.ldam(0.4, 8)),
]


def batch(objective: ClassificationObjective, seed: int = 0, n: int = N) -> tuple[dict[str, Tensor], Tensor]:
    """Logits [B, M, W] in [-1, 1], which may be cosines too, and labels [B]."""
    generator = torch.Generator().manual_seed(seed)
    sizes = objective.outputs(n)
    logits = {
        name: 2 * torch.rand(B, objective.transformations.m, size, generator=generator, dtype=torch.float64) - 1
        for name, size in sizes.items()
    }
    return logits, torch.randint(0, n, (B,), generator=generator)


def made(kind: type[ClassificationObjective], loss: LabelLoss) -> ClassificationObjective:
    return Baseline(loss) if kind is Baseline else kind(Rotation(), loss)

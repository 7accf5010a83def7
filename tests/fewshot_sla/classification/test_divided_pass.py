"""A pass that several processes divide: the mean of their losses is the loss of the pass, and so are the gradients."""

import pytest
import torch
from torch import Tensor

from episodes.targets import Targets
from fewshot_sla.classification.label_losses import LabelLoss
from fewshot_sla.classification.objectives import DA, MT, SLA, SLASD, Baseline, ClassificationObjective
from fewshot_sla.training.sharing import Sharing
from fewshot_sla.training.team import Team
from tests.fewshot_sla.classification.cases import LABEL_LOSSES, STANDING, B, batch, made
from tests.fewshot_sla.training.teams import together


def grads(loss: Tensor, logits: dict[str, Tensor]) -> list[Tensor]:
    return list(torch.autograd.grad(loss, list(logits.values())))


@pytest.mark.parametrize("mixed", [False, True])
@pytest.mark.parametrize("loss", [loss for loss, _ in LABEL_LOSSES], ids=lambda loss: type(loss).__name__)
@pytest.mark.parametrize("kind", [Baseline, DA, MT, SLA, SLASD])
def test_the_loss_of_parts(kind: type[ClassificationObjective], loss: LabelLoss, mixed: bool) -> None:
    objective = made(kind, loss)
    logits, labels = batch(objective)
    targets = Targets(labels, labels.roll(1), torch.linspace(0.1, 0.9, B)) if mixed else Targets(labels)
    logits = {name: values.requires_grad_() for name, values in logits.items()}
    expected = objective.loss(logits, targets, STANDING)

    def member(team: Team, place: int) -> tuple[Tensor, list[Tensor]]:
        sharing = Sharing(B, 1, team.size, place)
        own = {name: values[sharing.part].detach().requires_grad_() for name, values in logits.items()}
        standing = STANDING._replace(over_pass=lambda mean: team.sum(mean * sharing.weight) / team.size)
        weighted = objective.loss(own, targets.each(lambda each: each[sharing.part]), standing) * sharing.weight
        return weighted.detach() / team.size, grads(weighted / team.size, own)

    found = together(2, member)
    torch.testing.assert_close(sum(part for part, _ in found), expected.detach())
    for whole, *parts in zip(grads(expected, logits), *(own for _, own in found), strict=True):
        torch.testing.assert_close(torch.cat(parts), whole)

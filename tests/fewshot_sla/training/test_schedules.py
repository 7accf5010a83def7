"""The learning rate at every step, warm-up included, against what the papers write down epoch by epoch."""

import pytest
import torch

from episodes.errors import UserError
from fewshot_sla.training.schedules import PiecewiseConstant


def rates(schedule_of: type[PiecewiseConstant], steps: int, **options: object) -> list[float]:
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=0.1)
    schedule = schedule_of(optimizer, **options)  # type: ignore[arg-type]
    found = []
    for _ in range(steps):
        found.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        schedule.step()
    return found


def test_the_warm_up_of_the_long_tailed_trainings() -> None:
    """Cao et al. 2019, an epoch a step: lr * epoch / 5 in epochs 1 to 5, a hundredth from 160, again from 180."""
    expected = []
    for epoch in range(1, 201):
        rate = 0.1 * epoch / 5 if epoch <= 5 else 0.1
        expected.append(rate * (0.0001 if epoch > 180 else 0.01 if epoch > 160 else 1))
    found = rates(PiecewiseConstant, 200, milestones=[160, 180], factors=[0.01, 0.0001], warmup=5)
    assert found == pytest.approx(expected)


def test_a_milestone_within_the_warm_up_changes_what_it_grows_to() -> None:
    found = rates(PiecewiseConstant, 5, milestones=[2], factors=[0.5], warmup=4)
    assert found == pytest.approx([0.025, 0.05, 0.0375, 0.05, 0.05])


@pytest.mark.parametrize("warmup", [0, 1])
def test_no_step_or_one_of_warm_up_is_none(warmup: int) -> None:
    assert rates(PiecewiseConstant, 3, milestones=[], factors=[], warmup=warmup) == [0.1, 0.1, 0.1]


def test_a_warm_up_below_zero_is_refused() -> None:
    with pytest.raises(UserError, match="warmup must not be negative, got -1"):
        rates(PiecewiseConstant, 1, milestones=[], factors=[], warmup=-1)

"""The learning rate at every step, warm-up included, against what the papers write down; and torch's own schedulers."""

import math
from collections.abc import Callable
from functools import partial

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.optim import Optimizer, lr_scheduler
from torch.optim.lr_scheduler import LRScheduler

from episodes.errors import UserError
from fewshot_sla.training.clock import Clock, first_difference
from fewshot_sla.training.schedules import Constant, Cosine, PiecewiseConstant, Schedule
from fewshot_sla.training.torch_schedule import TorchSchedule


def sgd(**settings: float) -> Optimizer:
    return torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=0.1, **settings)


def rates(schedule: Schedule, steps: int) -> list[float]:
    optimizer, found = sgd(), []
    for step in range(steps):
        schedule.apply(optimizer, Clock(step, steps))
        found.append(optimizer.param_groups[0]["lr"])
    return found


def test_metaoptnet_at_any_length() -> None:
    """Lee et al. 2019: 60 epochs, factors 0.06, 0.012, 0.0024 from epochs 20, 40 and 50 on."""
    schedule = PiecewiseConstant([0.333333, 0.666667, 0.833333], [0.06, 0.012, 0.0024])
    for per_epoch in (1, 10, 1000):
        expected = [
            f for f, epochs in ((1, 20), (0.06, 20), (0.012, 10), (0.0024, 10)) for _ in range(epochs * per_epoch)
        ]
        assert rates(schedule, 60 * per_epoch) == pytest.approx([0.1 * factor for factor in expected])


def test_the_warm_up_of_the_long_tailed_trainings() -> None:
    """Cao et al. 2019, an epoch a step: lr * epoch / 5 in epochs 1 to 5, a hundredth from 160, again from 180."""
    expected = []
    for epoch in range(1, 201):
        rate = 0.1 * epoch / 5 if epoch <= 5 else 0.1
        expected.append(rate * (0.0001 if epoch > 180 else 0.01 if epoch > 160 else 1))
    found = rates(PiecewiseConstant([0.8, 0.9], [0.01, 0.0001], warmup=0.025), 200)
    assert found == pytest.approx(expected)


def test_a_milestone_within_the_warm_up_changes_what_it_grows_to() -> None:
    found = rates(PiecewiseConstant([0.4], [0.5], warmup=0.8), 5)
    assert found == pytest.approx([0.025, 0.05, 0.0375, 0.05, 0.05])


@pytest.mark.parametrize("schedule", [Constant(), PiecewiseConstant(), PiecewiseConstant(warmup=0.3)])
def test_no_step_or_one_of_warm_up_is_none(schedule: Schedule) -> None:
    assert rates(schedule, 3) == [0.1, 0.1, 0.1]


def test_half_a_cosine_is_torchs() -> None:
    torchs = TorchSchedule(partial(lr_scheduler.CosineAnnealingLR, T_max=40))
    assert rates(Cosine(), 40) == pytest.approx(rates(torchs, 40))
    warm = rates(Cosine(least=0.1, warmup=0.25), 40)
    assert warm[:10] == pytest.approx([0.01 * (step + 1) for step in range(10)])
    assert warm[10] == pytest.approx(0.1)
    assert warm[25] == pytest.approx(0.055)


def test_warm_up_and_cosine_of_fast_autoaugment() -> None:
    """Lim et al. 2019, 200 epochs of (here 39) steps, rates set after each step, so step s has that of epoch s/39.

    Up to epoch 5 their rate is epoch/5, which is a step behind ours; then it is a cosine over 200 epochs that begins at
    epoch 5, so it ends at 0.0015 where ours ends at 0. In between they differ by at most 2.4 % of the largest rate.
    """
    per_epoch, epochs = 39, 200
    theirs = []
    for step in range(epochs * per_epoch):
        epoch = step / per_epoch
        theirs.append(epoch / 5 if epoch <= 5 else (1 + math.cos(math.pi * (epoch - 5) / epochs)) / 2)
    ours = [rate / 0.1 for rate in rates(Cosine(warmup=0.025), epochs * per_epoch)]
    warm = 5 * per_epoch
    assert ours[: warm - 1] == pytest.approx(theirs[1:warm])
    half = [(1 + math.cos(math.pi * (step - warm) / (len(ours) - warm))) / 2 for step in range(warm, len(ours))]
    assert ours[warm:] == pytest.approx(half)
    assert max(abs(one - other) for one, other in zip(ours, theirs, strict=True)) < 0.024
    assert (theirs[-1], ours[-1]) == pytest.approx((0.00154, 0), abs=1e-4)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (([], [], -1), "warmup must not be negative, got -1"),
        (([20_000], [0.1]), "milestones must be a share of the training, 0 to 1, not a number of steps, got 20000"),
        (([0.5, 0.4], [0.1, 0.2]), "increasing milestones"),
        (([0.5], []), "one factor for each"),
    ],
)
def test_what_is_refused(arguments: tuple, message: str) -> None:
    with pytest.raises(UserError, match=message):
        PiecewiseConstant(*arguments)


TORCHS: dict[str, Callable[[Optimizer], LRScheduler]] = {
    "multi-step": partial(lr_scheduler.MultiStepLR, milestones=[5, 9], gamma=0.1),
    "sequential": lambda optimizer: lr_scheduler.SequentialLR(
        optimizer,
        [lr_scheduler.LinearLR(optimizer, total_iters=3), lr_scheduler.MultiStepLR(optimizer, [4, 8], gamma=0.3)],
        [3],
    ),
    "cosine": partial(lr_scheduler.CosineAnnealingLR, T_max=17),
    "one-cycle": partial(lr_scheduler.OneCycleLR, max_lr=0.02, total_steps=20),  # moves the momentum too
}


@pytest.mark.parametrize("name", TORCHS)
@pytest.mark.parametrize("kind", ["sgd", "adam"])
def test_torchs_schedulers_do_what_they_do_alone_and_from_any_step(name: str, kind: str) -> None:
    def make() -> Optimizer:
        weight = torch.zeros(1, requires_grad=True)
        return torch.optim.Adam([weight], lr=0.1) if kind == "adam" else sgd(momentum=0.9)

    alone, expected = make(), []
    scheduler = TORCHS[name](alone)
    for _ in range(17):
        expected.append({k: v for k, v in alone.param_groups[0].items() if k in ("lr", "momentum", "betas")})
        alone.step()
        scheduler.step()
    for first in (0, 6, 16):
        schedule, optimizer = TorchSchedule(TORCHS[name]), make()
        for step in range(first, 17):
            schedule.apply(optimizer, Clock(step, 17))
            found = {k: v for k, v in optimizer.param_groups[0].items() if k in ("lr", "momentum", "betas")}
            assert found == expected[step]


def test_a_scheduler_that_waits_for_the_validation_is_refused() -> None:
    schedule = TorchSchedule(lr_scheduler.ReduceLROnPlateau)  # type: ignore[arg-type]
    with pytest.raises(UserError, match="ReduceLROnPlateau does not go with steps on batches"):
        schedule.apply(sgd(), Clock(0, 5))


@given(st.integers(1, 1_000_000), st.integers(1, 60), st.integers(0, 60))
def test_six_digits_name_every_epoch(per_epoch: int, epochs: int, epoch: int) -> None:
    epoch = min(epoch, epochs)
    clock = Clock(0, epochs * per_epoch)
    share = round(epoch / epochs, 6)
    assert abs(clock.steps_in(share) - epoch * per_epoch) <= clock.steps * 5e-7 + 0.5
    if clock.steps <= 500_000:
        assert clock.steps_in(share) == epoch * per_epoch


def test_where_two_lengths_part() -> None:
    schedule = PiecewiseConstant([0.5], [0.1])
    assert first_difference(schedule.value, 40, 100, 200) is None
    assert first_difference(schedule.value, 60, 100, 200) == 50
    assert first_difference(schedule.value, 60, 100, 100) is None
    assert first_difference(Constant().value, 60, 100, 200) is None
    assert first_difference(Cosine().value, 2, 100, 200) == 1
    assert first_difference(TorchSchedule(TORCHS["cosine"]).value, 60, 100, 200) is None

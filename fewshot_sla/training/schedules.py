"""Learning-rate schedules: functions of the share of the training that is done, so that a recipe fits any length."""

import math
from abc import ABC, abstractmethod
from bisect import bisect_right
from collections.abc import Sequence

from torch.optim import Optimizer

from episodes.errors import UserError
from fewshot_sla.training.clock import Clock


class Schedule(ABC):
    """Sets the learning rate before each step. It has no state: what it sets depends on the clock alone.

    One of one's own derives from :class:`FactorSchedule` and gives ``factor(clock)``.
    """

    @abstractmethod
    def apply(self, optimizer: Optimizer, clock: Clock) -> None:
        """Set the learning rates of the step that is about to be made."""

    @abstractmethod
    def value(self, clock: Clock) -> float:
        """What the step at this moment goes by; equal values mean equal learning rates."""


class FactorSchedule(Schedule):
    """Every learning rate is what the optimiser was made with, times a factor of the clock."""

    @abstractmethod
    def factor(self, clock: Clock) -> float:
        """The factor at this moment."""

    def value(self, clock: Clock) -> float:
        """The factor."""
        return self.factor(clock)

    def apply(self, optimizer: Optimizer, clock: Clock) -> None:
        """``lr = lr_0 * factor(clock)`` in every parameter group."""
        factor = self.factor(clock)
        for group in optimizer.param_groups:
            group.setdefault("initial_lr", group["lr"])
            group["lr"] = group["initial_lr"] * factor


class Constant(FactorSchedule):
    """The learning rate stays as it is."""

    def factor(self, clock: Clock) -> float:
        """1."""
        return 1.0


class PiecewiseConstant(FactorSchedule):
    """A factor that changes at given shares of the training.

    MetaOptNet (Lee et al., CVPR 2019) trains 60 epochs at lr 0.1 with factors 1, 0.06, 0.012, 0.0024 from epochs 0, 20,
    40 and 50 on: milestones [0.333333, 0.666667, 0.833333], factors [0.06, 0.012, 0.0024].

    Args:
        milestones: shares of the training at which the factor changes, 0 to 1, increasing; six digits are enough.
        factors: the factor from each of these shares on; before the first it is 1.
        warmup: over this share of the training from the start, the factor grows evenly to what it would be.

    Raises:
        UserError: if there are not as many factors as milestones, the milestones do not increase, or a share is out of
            its range.
    """

    def __init__(self, milestones: Sequence[float] = (), factors: Sequence[float] = (), warmup: float = 0.0) -> None:
        if len(milestones) != len(factors) or list(milestones) != sorted(set(milestones)):
            raise UserError(
                f"PiecewiseConstant needs one factor for each of its increasing milestones, "
                f"got milestones {list(milestones)} and factors {list(factors)}"
            )
        for name, share in (*(("milestones", share) for share in milestones), ("warmup", warmup)):
            check_share("PiecewiseConstant", name, share)
        self.milestones, self.warmup = list(milestones), warmup
        self.factors = [1.0, *factors]

    def factor(self, clock: Clock) -> float:
        """The factor of the last milestone that is reached, times that of the warm-up."""
        milestones = [clock.steps_in(share) for share in self.milestones]
        return self.factors[bisect_right(milestones, clock.step)] * warmup_factor(clock, self.warmup)


class Cosine(FactorSchedule):
    """Half a cosine from 1 to ``least``: ``least + (1 - least) * (1 + cos(pi * done)) / 2``, after a warm-up.

    Loshchilov and Hutter, "SGDR: Stochastic Gradient Descent with Warm Restarts", ICLR 2017, eq. 5, without restarts;
    ``done`` counts from the end of the warm-up.

    Args:
        least: the factor at the end, 0 to 1.
        warmup: share of the training over which the factor grows evenly from 0 to 1 before.

    Raises:
        UserError: if a number is out of its range.
    """

    def __init__(self, least: float = 0.0, warmup: float = 0.0) -> None:
        for name, share in (("least", least), ("warmup", warmup)):
            check_share("Cosine", name, share)
        self.least, self.warmup = least, warmup

    def factor(self, clock: Clock) -> float:
        """The formula."""
        before = clock.steps_in(self.warmup)
        if clock.step < before:
            return warmup_factor(clock, self.warmup)
        done = (clock.step - before) / max(1, clock.steps - before)
        return self.least + (1 - self.least) * (1 + math.cos(math.pi * done)) / 2


def warmup_factor(clock: Clock, share: float) -> float:
    """Grows evenly over the first steps: ``min(1, (step + 1) / w)`` with w the steps in that share of the training.

    Goyal et al., "Accurate, Large Minibatch SGD", 2017, section 2.2, step by step.
    """
    return min(1.0, (clock.step + 1) / max(1, clock.steps_in(share)))


def check_share(owner: str, name: str, share: float) -> None:
    """Raise UserError unless a number can be a share of the training."""
    if share < 0:
        raise UserError(f"{owner} {name} must not be negative, got {share}")
    if share > 1:
        raise UserError(f"{owner} {name} must be a share of the training, 0 to 1, not a number of steps, got {share}")

"""Any of torch's learning-rate schedulers, which count steps and not shares of the training."""

from collections.abc import Callable
from typing import Any

import torch
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler, ReduceLROnPlateau

from episodes.errors import UserError
from fewshot_sla.training.clock import Clock
from fewshot_sla.training.schedules import Schedule


class TorchSchedule(Schedule):
    """One of torch's schedulers; its steps are steps of the training, whatever the length of the training.

    The scheduler runs on an optimiser that stands in for the real one, from step 0 on; what it sets there (learning
    rates, and momentum where it moves that too) is copied. So nothing of it needs to be saved in a checkpoint.

    Args:
        scheduler: makes the scheduler, for instance ``torch.optim.lr_scheduler.CosineAnnealingLR`` with its ``T_max``.
    """

    def __init__(self, scheduler: Callable[[Optimizer], LRScheduler]) -> None:
        self._make = scheduler
        self._stand_in: Optimizer | None = None
        self._scheduler: LRScheduler | None = None
        self._step = 0

    def value(self, clock: Clock) -> float:
        """The step: it is the same in a training of any length."""
        return clock.step

    def apply(self, optimizer: Optimizer, clock: Clock) -> None:
        """What the scheduler sets after ``clock.step`` steps.

        Raises:
            UserError: if the scheduler goes by a figure of the validation.
        """
        if self._scheduler is None or self._stand_in is None or clock.step < self._step:
            for group in optimizer.param_groups:  # a schedule begins with what the optimiser was made with
                group["lr"] = group.get("initial_lr", group["lr"])
            self._stand_in = _StandIn(optimizer)
            self._scheduler, self._step = self._make(self._stand_in), 0
            if isinstance(self._scheduler, ReduceLROnPlateau):
                raise UserError("ReduceLROnPlateau does not go with steps on batches; choose another scheduler")
        while self._step < clock.step:
            self._stand_in.step()  # torch warns of a scheduler that steps before its optimiser
            self._scheduler.step()
            self._step += 1
        for group, seen in zip(optimizer.param_groups, self._stand_in.param_groups, strict=True):
            group.update({name: seen[name] for name in group if name != "params"})
            group["initial_lr"] = seen["initial_lr"]


class _StandIn(Optimizer):
    """The settings of an optimiser, as it was made, without its parameters; a step does nothing."""

    def __init__(self, optimizer: Optimizer) -> None:
        groups: list[dict[str, Any]] = []
        for group in optimizer.param_groups:
            settings = {name: value for name, value in group.items() if name not in ("params", "initial_lr")}
            groups.append({**settings, "params": [torch.nn.Parameter(torch.zeros(()))]})
        super().__init__(groups, dict(optimizer.defaults))

    def step(self, closure: Any = None) -> None:  # type: ignore[override]
        """Nothing."""

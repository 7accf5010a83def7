"""How a layer whose strength grows during training learns the training step; evaluation never tells it anything."""

from abc import ABC, abstractmethod

from torch import nn


class StepScheduled(ABC):
    """Mixin for a module whose behaviour in training mode depends on the training step.

    The step is state: keep it in a persistent buffer, so that a checkpoint carries it. Never advance it in ``forward``;
    one training step may make several forward passes, and evaluation makes many.
    """

    @abstractmethod
    def set_training_step(self, step: int) -> None:
        """Take note that training step ``step`` (0, 1, 2, ...) is about to run."""


def set_training_step(model: nn.Module, step: int) -> None:
    """Tell every :class:`StepScheduled` module inside ``model`` (itself included) the training step about to run.

    The training loop calls this before each step. Nothing is read back, so a GPU is not waited for.

    Args:
        model: Any module; the modules that do not depend on the step are left alone.
        step: Number of training steps completed so far, >= 0.

    Raises:
        ValueError: if ``step`` is negative.
    """
    if step < 0:
        raise ValueError(f"the training step counts from 0, got {step}")
    for module in model.modules():
        if isinstance(module, StepScheduled):
            module.set_training_step(step)

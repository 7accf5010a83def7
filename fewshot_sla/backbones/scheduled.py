"""How a layer whose strength grows during training learns how far training is; evaluation never tells it anything."""

from abc import ABC, abstractmethod

from torch import nn


class Scheduled(ABC):
    """Mixin for a module whose behaviour in training mode depends on the share of the training that is done.

    What it makes of the share is state: keep it in a persistent buffer, so that a checkpoint carries it. Never advance
    it in ``forward``; one training step may make several forward passes, and evaluation makes many.
    """

    @abstractmethod
    def strength(self, done: float) -> float:
        """What the module goes by when this share of the training is done, 0 to 1; a pure function."""

    @abstractmethod
    def set_progress(self, done: float) -> None:
        """Take note of the share of the training that is done before the step that is about to run."""


def set_training_progress(model: nn.Module, done: float) -> None:
    """Tell every :class:`Scheduled` module inside ``model`` (itself included) how far training is.

    The training loop calls this before each step. Nothing is read back, so a GPU is not waited for.

    Args:
        model: any module; those that have no schedule are left alone.
        done: share of the training that is done, 0 to 1.

    Raises:
        ValueError: if the share is out of its range.
    """
    if not 0 <= done <= 1:
        raise ValueError(f"the share of the training that is done is 0 to 1, got {done}")
    for module in model.modules():
        if isinstance(module, Scheduled):
            module.set_progress(done)


def strengths(model: nn.Module, done: float) -> list[float]:
    """What each :class:`Scheduled` module inside ``model`` goes by when this share of the training is done."""
    return [module.strength(done) for module in model.modules() if isinstance(module, Scheduled)]

"""The modes that a model runs in: evaluation for a while, and the precision of its backbone."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager

from torch import nn

Autocast = Callable[[], AbstractContextManager]


@contextmanager
def evaluation_mode(learner: nn.Module) -> Iterator[None]:
    """Evaluation mode inside, and every module back in the mode it had outside."""
    modes = [(module, module.training) for module in learner.modules()]
    learner.eval()
    try:
        yield
    finally:
        for module, training in modes:
            module.training = training

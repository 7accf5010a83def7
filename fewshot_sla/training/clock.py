"""The one clock of a training: whatever is scheduled goes by the share of the training that is done."""

from collections.abc import Callable
from typing import Any, NamedTuple


class Clock(NamedTuple):
    """A moment of a training: so many steps are made, of so many in all.

    >>> Clock(20_000, 60_000).reached(0.333333)
    True
    >>> Clock(19_999, 60_000).reached(0.333333)
    False
    """

    step: int  # steps that are made, 0..steps
    steps: int  # of the whole training, at least 1

    @property
    def done(self) -> float:
        """Share of the training that is done, 0 to 1."""
        return self.step / self.steps

    def steps_in(self, share: float) -> int:
        """How many steps a share of the training has: ``share * steps``, rounded; so 0.333333 is a third."""
        return int(share * self.steps + 0.5)

    def reached(self, share: float) -> bool:
        """Whether that share of the training is done."""
        return self.step >= self.steps_in(share)


def first_difference(value: Callable[[Clock], Any], made: int, before: int, now: int) -> int | None:
    """The first of ``made`` steps at which a training of ``before`` steps and one of ``now`` steps go by other values.

    Args:
        value: what is scheduled, as a function of the clock; comparable by ``==``.
        made: steps that are made already.
        before: length of the training that made them.
        now: length that it is to have.
    """
    if before == now:
        return None
    return next((step for step in range(made) if value(Clock(step, before)) != value(Clock(step, now))), None)

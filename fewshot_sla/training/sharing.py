"""How the passes of a step are shared out over processes: whole passes to each, or each pass to a team of them."""

import math
from dataclasses import dataclass
from typing import NamedTuple

from episodes.errors import UserError


class StepSize(NamedTuple):
    """What a step of a recipe is made of, and which options say so."""

    items: int  # of a step
    at_once: int  # of a pass; 0: as many as a process has of the step
    what: str  # the items are, for instance "episodes"
    items_option: str  # for instance "episodes_per_step"
    pass_option: str  # for instance "episodes_per_forward"


@dataclass(frozen=True)
class Sharing:
    """Which passes of a step, and which part of them, one process computes.

    The processes form ``gcd(passes, processes)`` teams of neighbours. Teams take whole passes in turn, and the members
    of a team divide the items of each of its passes. Where the passes are a multiple of the processes, a team is one
    process, and nothing is divided.

    >>> Sharing(items=2, passes=4, processes=8, rank=5).part  # of pass 2: 8 processes are 4 teams of 2
    slice(1, 2, None)

    Attributes:
        items: episodes or images of a pass.
        passes: of a step, over all processes.
        processes: that train together.
        rank: number of this one, 0..processes-1.
    """

    items: int
    passes: int
    processes: int = 1
    rank: int = 0

    @property
    def teams(self) -> int:
        """Passes that are computed at the same time."""
        return math.gcd(self.passes, self.processes)

    @property
    def team_size(self) -> int:
        """Processes that divide a pass; 1 if passes stay whole."""
        return self.processes // self.teams

    @property
    def place(self) -> int:
        """Number of this process in its team, 0..team_size-1."""
        return self.rank % self.team_size

    @property
    def own_passes(self) -> int:
        """Passes of a step that this process takes part in."""
        return self.passes // self.teams

    def number(
        self,
        own: int,  # 0..own_passes-1
    ) -> int:  # 0..passes-1
        """Which pass of a step one of this process's own is."""
        return own * self.teams + self.rank // self.team_size

    @property
    def part(self) -> slice:
        """The items of each of its passes that this process computes; parts differ by one item at most."""
        first, last = (place * self.items // self.team_size for place in (self.place, self.place + 1))
        return slice(first, last)

    @property
    def weight(self) -> float:
        """Items of this part over those of a mean part; 1 if parts are equal.

        Means over the parts of a pass, times their weights, have the mean over the pass for their mean.
        """
        return (self.part.stop - self.part.start) * self.team_size / self.items


def share_out(
    step: StepSize,
    processes: int,
    rank: int = 0,  # 0..processes-1
    *,
    divide: bool = False,
) -> Sharing:
    """How a step is shared out over processes.

    Args:
        step: what it is made of.
        processes: that train together.
        rank: of this process.
        divide: let several processes divide a pass where there are not enough for each to take whole ones.

    Raises:
        UserError: if it cannot be shared out evenly; says what would help.
    """
    if step.items % (step.at_once or 1):
        raise UserError(
            f"{step.items_option} ({step.items}) must be a multiple of {step.pass_option} ({step.at_once}): the passes "
            "of a step are all of one size"
        )
    at_once = step.at_once or (step.items if divide or step.items % processes else step.items // processes)
    sharing = Sharing(at_once, step.items // at_once, processes, rank)
    if sharing.team_size > (at_once if divide else 1):
        passes = "pass" if sharing.passes == 1 else "passes"
        raise UserError(
            f"{processes} processes cannot take equal shares of a step of {sharing.passes} {passes} of {at_once} "
            f"{step.what} ({step.items_option} {step.items}, {step.pass_option} {step.at_once}): "
            f"{_ways_out(step, sharing)}"
        )
    return sharing


def _ways_out(step: StepSize, sharing: Sharing) -> str:
    """What a user can do where whole passes do not fit the processes."""
    ways = []
    if sharing.team_size <= sharing.items:
        ways.append("let them divide each pass (--sync_batchnorm true: the result is that of one process)")
    if step.items % sharing.processes == 0:
        own = step.items // sharing.processes
        fewer = max(count for count in range(1, sharing.items + 1) if own % count == 0)
        ways.append(
            f"make smaller passes (--{step.pass_option} {fewer}: fewer {step.what} share the statistics of BatchNorm, "
            "so the result is another)"
        )
    if not ways:
        ways = ["take fewer processes (--devices, --num_nodes)", f"larger steps (--{step.items_option})"]
    return ", or ".join(ways)

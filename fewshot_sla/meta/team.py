"""Who evaluates: one process alone, or several that share the images to embed and the episodes to run."""

from torch import Tensor


class EvaluationTeam:
    """One process alone. With others, every process calls the same methods in the same order.

    Attributes:
        rank: number of this process, 0..size-1.
        size: number of processes.
    """

    rank: int = 0
    size: int = 1

    def gather(
        self,
        own: Tensor,  # [at most rows, ...]
        rows: int,  # the same in every process
    ) -> Tensor:  # [size, rows, ...]: what the processes have; rows that one has not are zero
        """Bring together what every process has."""
        return own.unsqueeze(0)


ALONE = EvaluationTeam()


def in_turn(
    team: EvaluationTeam,
    own: Tensor,  # [ceil or floor of total / size, ...]: this process's are rank, rank + size, ...
    total: int,
) -> Tensor:  # [total, ...]
    """The rows of all processes, each of which has every ``size``-th, in their order."""
    if team.size == 1:
        return own
    return team.gather(own, -(-total // team.size)).transpose(0, 1).flatten(0, 1)[:total]


def own_block(
    team: EvaluationTeam,
    total: int,
    unit: int,  # what must not be taken apart
) -> slice:
    """The rows of this process where each has a block of consecutive ones, whole units of them."""
    rows = rows_each(team, total, unit)
    return slice(min(total, team.rank * rows), min(total, (team.rank + 1) * rows))


def in_blocks(
    team: EvaluationTeam,
    own: Tensor,  # [rows of own_block, ...]
    total: int,
    unit: int,
) -> Tensor:  # [total, ...]
    """The rows of all processes, each of which has one block, in their order."""
    return own if team.size == 1 else team.gather(own, rows_each(team, total, unit)).flatten(0, 1)[:total]


def rows_each(team: EvaluationTeam, total: int, unit: int) -> int:
    """Rows of a block; the last ones may be shorter."""
    units = -(-total // unit)
    return -(-units // team.size) * unit

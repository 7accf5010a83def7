"""The processes that divide a pass among them, and what they tell one another."""

from datetime import timedelta
from typing import Any

import torch
from torch import Tensor, distributed

from fewshot_sla.training.sharing import Sharing


class Team:
    """Some processes that call the same methods in the same order; a single one talks to nobody.

    All members get the same numbers to the last bit.

    Args:
        size: members.
        group: how torch.distributed knows them; None for all processes.
    """

    def __init__(self, size: int = 1, group: distributed.ProcessGroup | None = None) -> None:
        self.size, self._group = size, group

    def gather(
        self,
        values: Tensor,  # of the same shape and type in every member
    ) -> Tensor:  # [size, *shape], in the order of the members
        """What every member has; no gradient goes through."""
        if self.size == 1:
            return values.detach().unsqueeze(0)
        gathered = [torch.empty_like(values) for _ in range(self.size)]
        distributed.all_gather(gathered, values.detach().contiguous(), group=self._group)
        return torch.stack(gathered)

    def sum(
        self,
        values: Tensor,  # of the same shape and type in every member
    ) -> Tensor:  # as the values
        """The sum over the members, in their order; no gradient goes through."""
        return self.gather(values).sum(dim=0)

    def __deepcopy__(self, memo: dict[int, Any]) -> "Team":
        """The same team: processes cannot be copied."""
        return self


def form_team(sharing: Sharing, wait: float) -> Team:
    """The team of this process; all processes call this together.

    Args:
        sharing: how a step is shared out.
        wait: seconds that the members wait for one another.
    """
    size = sharing.team_size
    if size == 1 or sharing.teams == 1:
        return Team(size)
    own: Any = None
    for first in range(0, sharing.processes, size):  # torch wants every process to hear of every group
        members = range(first, first + size)
        group = distributed.new_group(list(members), timeout=timedelta(seconds=wait))
        own = group if sharing.rank in members else own
    return Team(size, own)

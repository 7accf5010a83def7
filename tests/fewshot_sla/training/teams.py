"""Teams of threads instead of processes: for what their members compute, not for how they are started."""

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import torch
from torch import Tensor

from fewshot_sla.training.team import Team

T = TypeVar("T")


class _ThreadTeam(Team):
    """One member; what all of them have to say lies on a table that they stand around."""

    def __init__(self, place: int, table: list[Tensor], barrier: threading.Barrier) -> None:
        super().__init__(len(table))
        self.place, self.table, self.barrier = place, table, barrier

    def gather(self, values: Tensor) -> Tensor:
        self.table[self.place] = values.detach().clone()
        self.barrier.wait()
        gathered = torch.stack(self.table)
        self.barrier.wait()
        return gathered


def together(size: int, member: Callable[[Team, int], T]) -> list[T]:
    """What each member of a team of this size makes, all at the same time."""
    table, barrier = [torch.empty(0)] * size, threading.Barrier(size, timeout=30)

    def run(place: int) -> T:
        try:
            return member(_ThreadTeam(place, table, barrier), place)
        except BaseException:
            barrier.abort()
            raise

    with ThreadPoolExecutor(size) as threads:
        return list(threads.map(run, range(size)))

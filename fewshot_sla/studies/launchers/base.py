"""The contract of a launcher: it starts workers, knows how many there are, and stops them."""

from abc import ABC, abstractmethod
from typing import Literal

Launch = Literal["here", "local", "slurm"]  # processes of this machine; jobs on it; jobs of a cluster


class Launcher(ABC):
    """Starts workers and looks after them."""

    @abstractmethod
    def start(self, count: int) -> None:
        """Start so many more workers.

        Raises:
            UserError: if they cannot be started.
        """

    @abstractmethod
    def running(self) -> int:
        """How many have not ended; those that wait in a queue count."""

    @abstractmethod
    def cancelled(self) -> bool:
        """Whether the user ended workers by other means than this program; no others are started then."""

    @abstractmethod
    def stop(self) -> str:
        """Leave the workers, after Ctrl-C; what became of them, in one line."""

    @abstractmethod
    def kill(self) -> None:
        """Leave the workers at once: there is no time, or something went wrong."""

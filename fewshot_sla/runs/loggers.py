"""Where the figures of a training go."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any

from fewshot_sla.runs.folder import RunFolder
from fewshot_sla.runs.metrics import MetricsLog


class Logger(ABC):
    """One place."""

    @abstractmethod
    def start(self, folder: RunFolder, resume_from_step: int | None, configuration: Mapping[str, Any]) -> None:
        """Begin."""

    @abstractmethod
    def log(self, step: int, values: Mapping[str, float]) -> None:
        """Values."""

    @abstractmethod
    def close(self) -> None:
        """End."""


class CSVLogger(Logger):
    """metrics.csv."""

    def start(self, folder: RunFolder, resume_from_step: int | None, configuration: Mapping[str, Any]) -> None:
        """Begin."""
        self._log = MetricsLog(folder.metrics, resume_from_step or -1)

    def log(self, step: int, values: Mapping[str, float]) -> None:
        """Values."""
        self._log.add(step, values)

    def close(self) -> None:
        """End."""
        if hasattr(self, "_log"):
            self._log.close()


def default_loggers() -> list[Logger]:
    """The default."""
    return [CSVLogger()]


class TensorBoardLogger(CSVLogger):
    """TB."""

    def start(self, folder: RunFolder, resume_from_step: int | None, configuration: Mapping[str, Any]) -> None:
        """Begin."""

    def log(self, step: int, values: Mapping[str, float]) -> None:
        """Values."""


class Loggers:
    """All."""

    def __init__(self, loggers: Sequence[Logger]) -> None:
        self._loggers = loggers

    def start(self, folder: RunFolder, resume_from_step: int | None, configuration: Mapping[str, Any]) -> None:
        """Begin."""
        for one in self._loggers:
            one.start(folder, resume_from_step, configuration)

    def log(self, step: int, values: Mapping[str, float]) -> None:
        """Values."""
        for one in self._loggers:
            one.log(step, values)

    def close(self) -> None:
        """End."""
        for one in self._loggers:
            one.close()

"""Where the figures of a training go while it runs: metrics.csv, TensorBoard, Weights & Biases, or what you write.

A recipe lists its loggers. This in a configuration adds Weights & Biases to those that are there::

    loggers+: fewshot_sla.runs.loggers.WandbLogger

and this names all of them, in a line each; one of your own is a subclass of :class:`Logger`, named by its dotted path::

    loggers:
    - CSVLogger
    - TensorBoardLogger
    - {class_path: WandbLogger, init_args: {project: my-project}}
    - {class_path: my_package.MyLogger, init_args: {port: 8080}}
"""

import csv
import importlib
import importlib.util
import io
import secrets
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any, Literal

from episodes.errors import UserError
from fewshot_sla.runs.folder import RunFolder, write_text
from fewshot_sla.runs.metrics import read_metrics

if TYPE_CHECKING:
    from torch.utils.tensorboard import SummaryWriter


class Logger(ABC):
    """Takes the figures of a training, a row a log step. Only the first process of a training logs.

    Constructing one must be cheap and open nothing: recipes are built wherever a trained model is loaded.
    """

    def check(self) -> None:  # noqa: B027 - a hook: most loggers need nothing
        """Raise UserError if this machine lacks what the logger needs; called before anything is written."""

    @abstractmethod
    def start(self, folder: RunFolder, resume_from_step: int, configuration: Mapping[str, Any]) -> None:
        """Begin, or go on with, the log of a run.

        Args:
            folder: the run's; it exists.
            resume_from_step: of the checkpoint that the run goes on from; what was logged of later steps is about to
                be logged again. 0 for a new run.
            configuration: the resolved ``config.yaml`` as plain containers.
        """

    @abstractmethod
    def log(self, step: int, values: Mapping[str, float]) -> None:
        """Take the figures of a step, by their names."""

    @abstractmethod
    def close(self) -> None:
        """End the log, however training ended."""


class CSVLogger(Logger):
    """``metrics.csv`` in the run folder: a row a step; a figure that a row does not have is empty there."""

    def start(self, folder: RunFolder, resume_from_step: int, configuration: Mapping[str, Any]) -> None:
        """Keep the rows up to the checkpoint, drop the later ones."""
        self._path = folder.metrics
        before = read_metrics(self._path) if resume_from_step else []
        self._rows = [row for row in before if row["step"] <= resume_from_step]

    def log(self, step: int, values: Mapping[str, float]) -> None:
        """Add a row."""
        self._rows.append({"step": step, **values})
        # Written anew each time: a row is a few dozen bytes, and so the file is whole at any moment. A column that
        # first occurs late (validation) is empty before.
        columns = list(dict.fromkeys(name for row in self._rows for name in row))
        text = io.StringIO()
        writer = csv.DictWriter(text, columns, restval="", lineterminator="\n")
        writer.writeheader()
        writer.writerows(self._rows)
        write_text(self._path, text.getvalue())

    def close(self) -> None:
        """Nothing is open."""


class TensorBoardLogger(Logger):
    """Event files in the run folder, for ``tensorboard --logdir``."""

    _writer: "SummaryWriter"

    def start(self, folder: RunFolder, resume_from_step: int, configuration: Mapping[str, Any]) -> None:
        """Begin a new event file; TensorBoard leaves out what an older one says of later steps."""
        from torch.utils.tensorboard import SummaryWriter  # takes a second to import

        purge_step = resume_from_step + 1 if resume_from_step else None
        self._writer = SummaryWriter(str(folder.path), purge_step=purge_step)

    def log(self, step: int, values: Mapping[str, float]) -> None:
        """A scalar a figure."""
        for name, value in values.items():
            self._writer.add_scalar(name, value, step)

    def close(self) -> None:
        """Finish the event file."""
        self._writer.close()


class WandbLogger(Logger):
    """Weights & Biases (https://wandb.ai); needs the package ``wandb``.

    A resumed training goes on with the same run: its id is kept in ``wandb_id.txt`` in the run folder. Steps after the
    checkpoint that were sent already are sent once more, with the figures they had, since a resumed run repeats them.

    Args:
        project: that the run belongs to.
        entity: user or team; by default your own.
        name: of the run; by default the path of the run folder.
        tags: to find it by.
        mode: "online", "offline" (files in the run folder, for ``wandb sync``) or "disabled".
    """

    def __init__(
        self,
        project: str = "fewshot-sla",
        entity: str | None = None,
        name: str | None = None,
        tags: Sequence[str] = (),
        mode: Literal["online", "offline", "disabled"] = "online",
    ) -> None:
        self.project, self.entity, self.name, self.tags, self.mode = project, entity, name, tuple(tags), mode

    def check(self) -> None:
        """Raise UserError if the package is not installed."""
        if importlib.util.find_spec("wandb") is None:
            raise UserError("WandbLogger needs the package wandb: pip install wandb, or leave it out of loggers")

    def start(self, folder: RunFolder, resume_from_step: int, configuration: Mapping[str, Any]) -> None:
        """Begin a run of Weights & Biases, or go on with the one of the folder.

        Raises:
            UserError: if the package is not installed, or its server cannot be reached or does not know you.
        """
        self.check()
        wandb = importlib.import_module("wandb")  # named in text, as it is no dependency
        try:
            self._run = wandb.init(
                project=self.project,
                entity=self.entity,
                name=self.name or str(folder.path),
                tags=list(self.tags),
                mode=self.mode,
                dir=str(folder.path),
                id=_run_id(folder, resuming=resume_from_step > 0),
                resume="allow",
                config=dict(configuration),
                allow_val_change=True,  # a resumed run may be longer
            )
        except wandb.Error as error:
            raise UserError(
                f"Weights & Biases cannot log this run ({error}); run wandb login, or set loggers' mode to offline"
            ) from error
        # Steps of our own: those of the server never go back, which would lose what is logged after resuming.
        self._run.define_metric("*", step_metric="step")

    def log(self, step: int, values: Mapping[str, float]) -> None:
        """Send the figures."""
        self._run.log({**values, "step": step})

    def close(self) -> None:
        """Wait until everything is sent."""
        self._run.finish()


class Loggers(Logger):
    """Several loggers as one; of none it is the logger of the processes that do not log.

    Args:
        loggers: each gets every row.
    """

    def __init__(self, loggers: Sequence[Logger]) -> None:
        self.loggers = tuple(loggers)
        self._started = ExitStack()

    def check(self) -> None:
        """Raise UserError if one of them cannot log here."""
        for logger in self.loggers:
            logger.check()

    def start(self, folder: RunFolder, resume_from_step: int, configuration: Mapping[str, Any]) -> None:
        """Start them all; if one cannot, those before it are closed."""
        with ExitStack() as stack:
            for logger in self.loggers:
                logger.start(folder, resume_from_step, configuration)
                stack.callback(logger.close)
            self._started = stack.pop_all()

    def log(self, step: int, values: Mapping[str, float]) -> None:
        """Each takes the row."""
        for logger in self.loggers:
            logger.log(step, values)

    def close(self) -> None:
        """Close all that were started, even if one of them fails; what it raises is raised in the end."""
        self._started.close()


def _run_id(folder: RunFolder, *, resuming: bool) -> str:
    """The id of the folder's run with Weights & Biases; a new one for a new run."""
    path = folder.path / "wandb_id.txt"
    if resuming and path.exists():
        return path.read_text(encoding="utf-8").strip()
    chosen = secrets.token_hex(4)
    write_text(path, chosen + "\n")
    return chosen

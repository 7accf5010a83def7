"""The run folder: one folder a run, and where in it each file stands."""

import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from episodes.errors import UserError
from episodes.locks import locked
from episodes.storage import atomic_write


class OtherRunError(UserError):
    """The folder holds a run that is not to be gone on with in the way that was asked for."""


class RunFolder:
    """Names of the files of a run.

    ``config.yaml`` (resolved), ``last.safetensors`` (all that resuming needs), ``best.safetensors`` (weights at the
    best validation), ``snapshots/`` (weights every so many steps), ``metrics.csv``, ``events.*`` (TensorBoard),
    ``learning_curve.png``, ``episode_SPLIT.png``, ``results.json``, ``per_episode/*.csv`` and ``unknown.json`` (figures
    of images that no class fits).

    Args:
        path: the folder; it need not exist.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        if not str(path).strip():
            raise UserError("the run folder needs a name; give --run_folder")
        self.path = Path(os.path.expanduser(path))  # that of Path raises for ~nobody
        self.config = self.path / "config.yaml"
        self.last = self.path / "last.safetensors"
        self.best = self.path / "best.safetensors"
        self.metrics = self.path / "metrics.csv"
        self.learning_curve = self.path / "learning_curve.png"
        self.results = self.path / "results.json"
        self.unknown = self.path / "unknown.json"
        self.snapshots = self.path / "snapshots"
        self.snapshot_accuracies = self.snapshots / "accuracies.json"

    def snapshot(self, step: int) -> Path:
        """The weights after so many steps, if snapshots of them were asked for."""
        return self.snapshots / f"step{step:08}.safetensors"

    def snapshot_steps(self) -> list[int]:
        """The steps that there are snapshots of, in order."""
        return sorted(int(path.stem.removeprefix("step")) for path in self._snapshot_files())

    def _snapshot_files(self) -> list[Path]:
        return [path for path in self.snapshots.glob("step*.safetensors") if path.stem[4:].isdecimal()]

    def forget(self) -> None:
        """Remove what was made of a run whose checkpoints are gone: its results and its snapshots."""
        for path in (self.results, self.unknown, self.snapshot_accuracies, *self._snapshot_files()):
            path.unlink(missing_ok=True)

    @property
    def checkpoint(self) -> Path:
        """The checkpoint that says most of the run: the best one, or the last one before there is a best."""
        return self.best if self.best.exists() else self.last

    def episode_picture(self, split: str) -> Path:
        """The picture of one episode of a split."""
        return self.path / f"episode_{split}.png"

    @property
    def holds_run(self) -> bool:
        """Whether a run got as far as a checkpoint here; what stopped before may be begun anew."""
        return self.config.exists() and (self.last.exists() or self.best.exists())

    def create(self) -> None:
        """Make the folder for a new run.

        Raises:
            UserError: if it holds a run already, or cannot be written to.
        """
        if self.holds_run:
            raise UserError(
                f"{self.path}: the folder already holds a run; continue it with --resume or choose another --run_folder"
            )
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            with atomic_write(self.path / ".writable") as file:
                file.write(b"")
            (self.path / ".writable").unlink()
        except OSError as error:
            raise UserError(f"{self.path}: the run folder cannot be written to ({error.strerror})") from error

    @contextmanager
    def in_use(self) -> Iterator[None]:
        """Keep others from training into this folder for the time of the block; a killed process gives it back.

        Raises:
            UserError: if another process is training into it.
        """
        with ExitStack() as stack:
            try:
                stack.enter_context(locked(self.path, wait=False))
            except BlockingIOError:
                raise UserError(
                    f"{self.path}: another process is training into this folder; wait for it or choose another "
                    "--run_folder"
                ) from None
            yield

    def require(self) -> None:
        """Raise UserError unless a run began here."""
        if not self.holds_run:
            what = "holds no run" if self.path.is_dir() else "there is no such folder"
            raise UserError(f"{self.path}: {what}; give the run folder of a finished or stopped training")


def write_text(path: Path, text: str) -> None:
    """Write a text file whole or not at all."""
    with atomic_write(path) as file:
        file.write(text.encode())

"""How far a job is and when it will end: a bar on a terminal, a plain line now and then elsewhere."""

import time
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.progress import Progress as RichProgress
from rich.table import Column

_SECONDS_BETWEEN_LINES = 10.0


class Progress(ABC):
    """What a job reports to."""

    @abstractmethod
    def update(self, done: int, total: int, text: str = "") -> None:
        """``done`` of ``total`` are done; ``text`` says how it goes."""

    def count(self, what: str, done: int, total: int) -> None:
        """The same for jobs that say what they count."""
        self.update(done, total, what)


class SilentProgress(Progress):
    """Says nothing: for tests, for libraries, and for every process but the first."""

    def update(self, done: int, total: int, text: str = "") -> None:
        """Nothing."""


@contextmanager
def show_progress(what: str, *, silent: bool = False) -> Iterator[Progress]:
    """A progress display on standard error for the time of the block.

    Args:
        what: what is being done, a word or two.
        silent: show nothing.
    """
    console = Console(stderr=True)
    if silent:
        yield SilentProgress()
    elif console.is_terminal:
        with _rich_bar(console) as bar:
            yield _Bar(bar, what)
    else:
        yield _Lines(console, what)


def _rich_bar(console: Console) -> RichProgress:
    def fixed() -> Column:  # on a narrow terminal the figures are cut short, never the time that is left
        return Column(no_wrap=True, min_width=7)

    return RichProgress(
        TextColumn("{task.description}"),
        BarColumn(bar_width=16),
        MofNCompleteColumn(table_column=fixed()),
        TimeElapsedColumn(table_column=fixed()),
        TextColumn("ETA"),
        TimeRemainingColumn(table_column=fixed()),
        TextColumn("{task.fields[text]}", table_column=Column(no_wrap=True, overflow="ellipsis", ratio=1)),
        console=console,
        transient=True,
        expand=True,
    )


class _Bar(Progress):
    def __init__(self, bar: RichProgress, what: str) -> None:
        self._bar = bar
        self._task = bar.add_task(what, text="")

    def update(self, done: int, total: int, text: str = "") -> None:
        self._bar.update(self._task, completed=done, total=total, text=text)


class _Lines(Progress):
    """One line at most every ten seconds, and none for a job that is over before."""

    def __init__(self, console: Console, what: str) -> None:
        self._console = console
        self._what = what
        self._began = self._last = time.monotonic()
        self._began_at: int | None = None  # what was done before the first update, in a resumed job
        self._done = 0

    def update(self, done: int, total: int, text: str = "") -> None:
        now = time.monotonic()
        if self._began_at is None or done < self._done:  # the first update, or something else is counted now
            self._began_at, self._began = done, now
        self._done = done
        if now - self._last < _SECONDS_BETWEEN_LINES:
            return
        self._last = now
        advanced = done - self._began_at
        remaining = (now - self._began) * (total - done) / advanced if advanced else float("nan")
        eta = f", ETA {remaining:.0f} s" if advanced else ""
        line = f"{self._what}: {done}/{total}{eta}  {text}".rstrip()
        self._console.print(line, highlight=False, markup=False, soft_wrap=True)

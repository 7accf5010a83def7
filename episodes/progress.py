"""How far a job is and when it will end: a bar on a terminal, a plain line now and then elsewhere."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import Progress

OnProgress = Callable[[str, int, int], None]  # (what is counted or how it goes, done, in all)

_SECONDS_BETWEEN_LINES = 10.0


def no_progress(what: str, done: int, total: int) -> None:
    """Tell nobody."""


@contextmanager
def show_progress(job: str, *, silent: bool = False) -> Iterator[OnProgress]:
    """A display on standard error for the time of the block; what it gives is called after each piece of the job.

    Args:
        job: what is being done, a few words.
        silent: show nothing.
    """
    from rich.console import Console

    console = Console(stderr=True)
    if silent:
        yield no_progress
    elif console.is_terminal:
        with _rich_bar(console) as bar:
            task = bar.add_task(job, what="")
            yield lambda what, done, total: bar.update(task, completed=done, total=total, what=what)
    else:
        yield _Lines(console, job)


def _rich_bar(console: "Console") -> "Progress":
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )
    from rich.table import Column

    def fixed() -> Column:  # on a narrow terminal the figures are cut short, never the time that is left
        return Column(no_wrap=True, min_width=7)

    return Progress(
        TextColumn("{task.description}", markup=False),
        BarColumn(bar_width=16),
        MofNCompleteColumn(table_column=fixed()),
        TimeElapsedColumn(table_column=fixed()),
        TextColumn("ETA"),
        TimeRemainingColumn(table_column=fixed()),
        TextColumn(
            "{task.fields[what]}", markup=False, table_column=Column(no_wrap=True, overflow="ellipsis", ratio=1)
        ),
        console=console,
        transient=True,
        expand=True,
    )


class _Lines:
    """One line at most every ten seconds, and none for a job that is over before."""

    def __init__(self, console: "Console", job: str) -> None:
        self._console = console
        self._job = job
        self._began = self._last = time.monotonic()
        self._began_at: int | None = None  # what was done before the first call, in a resumed job
        self._done = 0

    def __call__(self, what: str, done: int, total: int) -> None:
        now = time.monotonic()
        if self._began_at is None or done < self._done:  # the first call, or something else is counted now
            self._began_at, self._began = done, now
        self._done = done
        if now - self._last < _SECONDS_BETWEEN_LINES:
            return
        self._last = now
        advanced = done - self._began_at
        eta = f", ETA {(now - self._began) * (total - done) / advanced:.0f} s" if advanced else ""
        line = f"{self._job}: {done}/{total}{eta}  {what}".rstrip()
        self._console.print(line, highlight=False, markup=False, soft_wrap=True)

"""How far the decoding of a data set is, on standard error: a bar on a terminal, a line now and then elsewhere."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

_SECONDS_BETWEEN_LINES = 10.0


@contextmanager
def show_progress(what: str, total: int) -> Iterator[Callable[[int], None]]:
    """A display for the time of the block; what it gives is told how many more are done.

    Args:
        what: what is being done, a few words.
        total: how many there are to do.
    """
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    console = Console(stderr=True)
    if not console.is_terminal:
        yield _lines(lambda line: console.print(line, markup=False, highlight=False, soft_wrap=True), what, total)
        return
    columns = TextColumn("{task.description}", markup=False), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn()
    with Progress(*columns, console=console, transient=True) as bar:
        task = bar.add_task(what, total=total)
        yield lambda count: bar.advance(task, count)


def _lines(write: Callable[[str], None], what: str, total: int) -> Callable[[int], None]:
    """A line at most every ten seconds, so none for a job that is over before."""
    begin = last = time.monotonic()
    done = 0

    def advance(count: int) -> None:
        nonlocal done, last
        done += count
        now = time.monotonic()
        if now - last >= _SECONDS_BETWEEN_LINES:
            last = now
            left = (now - begin) * (total - done) / done
            write(f"{what}: {done} of {total}, about {left:.0f} s left")

    return advance

"""What all tables share: how a figure is printed, where a table goes."""

import io
import sys

from rich.console import Console
from rich.table import Table


def plus_minus(value: float, spread: float) -> str:
    """A fraction and its interval or deviation in per cent, as papers print them.

    >>> plus_minus(0.9634, 0.0021)
    '96.34 ± 0.21'
    """
    return f"{100 * value:.2f} ± {100 * spread:.2f}"


def show(*tables: Table | str) -> None:
    """Print tables and lines to standard output; wide enough not to be cut when it is no terminal."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # a terminal that cannot show a character gets its number
    console = Console(emoji=False)
    if not console.is_terminal:
        console = Console(width=120, emoji=False)
    for table in tables:
        console.print(table, highlight=False, markup=False, soft_wrap=isinstance(table, str))

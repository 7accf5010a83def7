"""Tables for a terminal: results of a run, and the comparison of two."""

import io
import sys
from collections.abc import Sequence

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from fewshot_sla.engine.results import Result

INFERENCE_NAMES = {"single": "single (SI)", "aggregated": "aggregated (AG)"}


def percent(accuracy: float, ci95: float) -> str:
    """Accuracy and interval as papers print them.

    >>> percent(0.9634, 0.0021)
    '96.34 ± 0.21'
    """
    return f"{100 * accuracy:.2f} ± {100 * ci95:.2f}"


def results_table(results: Sequence[Result], title: str) -> Table:
    """Results of one run: a row a protocol, a column an inference."""
    inferences = list(dict.fromkeys(result.inference for result in results))
    table = Table(title=escape(title), title_justify="left")
    for heading in ("split", "way", "shot", "episodes"):
        table.add_column(heading, justify="left" if heading == "split" else "right")
    for inference in inferences:
        table.add_column(f"{INFERENCE_NAMES.get(inference, inference)}, % ± 95 %", justify="right")
    by_protocol: dict[tuple, dict[str, Result]] = {}
    for result in results:
        by_protocol.setdefault(result.protocol, {})[result.inference] = result
    for cells in by_protocol.values():
        one = next(iter(cells.values()))
        shown = [percent(cells[name].accuracy, cells[name].ci95) if name in cells else "" for name in inferences]
        table.add_row(one.split, str(one.n_way), str(one.k_shot), str(one.episodes), *shown)
    return table


def show(*tables: Table | str) -> None:
    """Print tables and lines to standard output; wide enough not to be cut when it is no terminal."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # a terminal that cannot show a character gets its number
    console = Console(emoji=False)
    if not console.is_terminal:
        console = Console(width=120, emoji=False)
    for table in tables:
        console.print(table, highlight=False, markup=False, soft_wrap=isinstance(table, str))

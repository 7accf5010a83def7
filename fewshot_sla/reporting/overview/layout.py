"""How the runs of a page stand beside one another, and how it is said that something is not there."""

from collections.abc import Callable, Sequence
from typing import TypeVar

from fewshot_sla.reporting.html import element, name
from fewshot_sla.reporting.overview.parts import Missing

T = TypeVar("T")


def missing(
    run: str,
    what: Missing,
    runs: int,  # on the page
) -> str:
    """What is not there, and why."""
    whose = f"{name(run)}: " if runs > 1 else ""
    return f'<p class="missing">{whose}{name(what.why)}</p>'


def beside(
    parts: Sequence[tuple[str, T | Missing]],  # by the name of the run
    draw: Callable[[T], str],
) -> str:
    """A column a run, on a narrow screen one below the other."""
    columns = []
    for run, what in parts:
        heading = [f"<h3>{name(run)}</h3>"] if len(parts) > 1 else []
        shown = missing(run, what, 1) if isinstance(what, Missing) else draw(what)
        columns.append(element("div", [*heading, shown], class_="run"))
    return element("div", columns, class_="beside")

"""Several runs held against one as a picture: accuracies, and beside them the differences, with their intervals."""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from matplotlib.axes import Axes

from fewshot_sla.reporting.pictures import COLORS, picture
from fewshot_sla.runs.comparison import Comparison, Comparisons

# One meaning a colour: what an interval is over. Runs are told apart by the names beside their rows.
OVER_UNITS, OVER_CLASSES = COLORS[0], COLORS[1]
WIDEST = 30  # characters of a name in a line


class _Row(NamedTuple):
    """A run by one inference, as a row of the picture."""

    label: str
    place: float
    accuracy: float | None  # per cent
    interval: float
    pair: Comparison | None  # if it is compared


def draw_comparison(path: Path, comparisons: Comparisons) -> None:
    """A panel a test: a row for each run and inference, its accuracy on the left, its difference to the baseline right.

    Points and not bars: the axes do not begin at zero.
    """
    panels = [(title, _rows(comparisons, test)) for test, title in comparisons.tests.items()]
    heights = [len(rows) + 1.2 for _, rows in panels]
    with picture(path, 11, 0.9 + 0.48 * sum(heights)) as figure:
        grid = figure.subplots(len(panels), 2, squeeze=False, sharey="row", height_ratios=heights, width_ratios=[3, 2])
        figure.suptitle(f"{comparisons.data.name}: accuracy, and difference to {comparisons.runs[0].name}")
        for (title, rows), (accuracies, differences) in zip(panels, grid, strict=True):
            _draw_accuracies(accuracies, rows)
            _draw_differences(differences, rows)
            accuracies.set_title(title, fontsize=10, loc="left")
            accuracies.set_yticks([row.place for row in rows], [row.label for row in rows], fontsize=9)
            accuracies.set_ylim(len(rows) - 0.4, -0.6)
            for axes in (accuracies, differences):
                axes.grid(axis="x", alpha=0.3)
        grid[-1][0].set_xlabel("accuracy, %")
        grid[-1][1].set_xlabel(f"difference to {comparisons.runs[0].letter}, points")
        for color, over in ((OVER_UNITS, comparisons.unit), (OVER_CLASSES, "classes")):
            grid[-1][0].plot([], [], "o-", color=color, label=f"95 % interval over {over}")
        figure.legend(loc="outside lower center", ncols=2, fontsize=9, frameon=False)


def _rows(comparisons: Comparisons, test: tuple) -> list[_Row]:
    """Every run by every inference that it was tested by."""
    rows = []
    for place, (run, inference) in enumerate(comparisons.rows()):
        found = run.result(test, inference)
        compared = inference == run.chosen.get(test)
        pairs = [pair for pair in comparisons.pairs if (pair.letter, pair.test) == (run.letter, test)]
        row = _Row(
            label=_wrapped(f"{run.letter + '  ' if compared else ''}{run.name}, {inference}"),
            place=place,
            accuracy=100 * found.accuracy if found else None,
            interval=100 * found.ci95 if found else float("nan"),
            pair=pairs[0] if compared and pairs else None,
        )
        rows.append(row)
    return rows


def _wrapped(name: str) -> str:
    """A name in lines that end where its words do."""
    lines = [""]
    for word in re.findall(r"[^_/ ]*[_/ ]*", name):
        if lines[-1] and len(lines[-1] + word) > WIDEST:
            lines.append("")
        lines[-1] += word
    return "\n".join(lines)


def _draw_accuracies(axes: Axes, rows: Sequence[_Row]) -> None:
    for row in rows:
        if row.accuracy is not None:
            _point(axes, row.accuracy, row.interval, row.place, OVER_UNITS, f"{row.accuracy:.2f}", above=True)


def _draw_differences(axes: Axes, rows: Sequence[_Row]) -> None:
    axes.axvline(0, color="grey", linewidth=1)
    for row in rows:
        if row.pair is not None:
            for above, value, half, color in (
                (True, row.pair.paired.difference, row.pair.paired.ci95, OVER_UNITS),
                (False, row.pair.paired.class_difference, row.pair.paired.class_ci95, OVER_CLASSES),
            ):
                place = row.place + (-0.12 if above else 0.12)
                _point(axes, 100 * value, 100 * half, place, color, f"{100 * value:+.2f}", above=above)


def _point(axes: Axes, value: float, half: float, place: float, color: str, label: str, *, above: bool) -> None:
    """A mean with its interval, and its number above or below."""
    axes.errorbar([value], [place], xerr=[half], fmt="o", markersize=5, capsize=3, color=color)
    at, align = ((0, 4), "bottom") if above else ((0, -4), "top")
    axes.annotate(label, (value, place), at, textcoords="offset points", ha="center", va=align, fontsize=8)

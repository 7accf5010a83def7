"""Figure 2 as tables and as a picture of four panels."""

from collections.abc import Sequence
from pathlib import Path
from typing import Literal, NamedTuple

from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from torch import Tensor

from fewshot_sla.paper.figures.digits import GIVEN, JOINT, ROTATED, UPRIGHT, Measure, PairResult
from fewshot_sla.paper.published import published
from fewshot_sla.reporting.pictures import COLORS, picture
from fewshot_sla.reporting.tables import Figure, Table

_MARKERS = ("o", "^", "s", "D")  # by rotation
_COLUMNS = {  # of each table: the methods that differ; MT is DA, and what all views add to either is nothing (see docs)
    UPRIGHT: {"baseline": "baseline", "DA, MT": "DA", "SLA+SI": "SLA+SI", "SLA+AG": "SLA+AG"},
    ROTATED: {"baseline": "baseline", "DA, MT": "DA", "joint label": JOINT, "class, turn known": GIVEN},
}
_PUBLISHED: dict[str, Measure] = {  # rows of the published figures, and what here is nearest to them
    "upright": (UPRIGHT, "baseline"),
    "rotated, labels kept": (ROTATED, "DA"),
    "rotated, joint labels": (ROTATED, JOINT),
}


class Panel(NamedTuple):
    """Where images of some digits, each with some of its rotations, lie in the plane."""

    title: str
    digits: tuple[str, ...]
    points: Tensor  # [n, V, 2] float64
    labels: Tensor  # [n] int64: which of the digits


def error_tables(results: Sequence[PairResult], of_what: str) -> list[Table]:
    """Test errors and their standard deviations over the seeds in per cent: a row a pair, a column a method.

    Of upright test images, of rotated ones, and those of {6, 9} beside what the paper has.
    """
    titles = {UPRIGHT: "upright test images", ROTATED: "rotated test images, every rotation"}
    tables = []
    for tested, columns in _COLUMNS.items():
        table = Table(f"error, %, {titles[tested]}: {of_what}", ["pair", *columns])
        for result in results:
            table.add(pair_name(result.pair), *(_error(result, (tested, method)) for method in columns.values()))
        tables.append(table)
    tables[-1].notes.append("± is one standard deviation over the divisions.")
    return [*tables, beside_published(results, of_what)]


def beside_published(results: Sequence[PairResult], of_what: str) -> Table:
    """The published errors and ours: a row a published figure."""
    by_name = {pair_name(result.pair): result for result in results}
    table = Table("error, %, beside figure 2 of the paper (MNIST)", ["digits", "test images", "paper", "ours"], left=2)
    for cell in published():
        if cell.table == "figure 2" and cell.column in by_name:
            measured = _error(by_name[cell.column], _PUBLISHED[cell.row])
            table.add(cell.column, cell.row, Figure(cell.value, digits=1), measured)
    table.notes.append(f"Ours: {of_what}. The paper names neither rotations nor number of training images.")
    return table


def draw_digits(
    path: Path,
    panels: Sequence[Panel],
    results: Sequence[PairResult],  # of the last panels; those before them are of upright images alone
    degrees: Sequence[int],
    title: str,
) -> None:
    """Draw every image where t-SNE puts it: colours are digits, shapes are rotations.

    Args:
        path: picture to write.
        panels: in two rows.
        results: errors, for the titles of the panels.
        degrees: of each rotation, in the order of the views.
        title: above the picture.
    """
    digits = sorted({digit for panel in panels for digit in panel.digits})
    colors = {digit: COLORS[place % len(COLORS)] for place, digit in enumerate(digits)}
    upright_alone = [""] * (len(panels) - len(results))
    with picture(path, 9, 9.8) as figure:
        figure.suptitle(title, fontsize=11)
        grid = figure.subplots(-(-len(panels) // 2), 2, squeeze=False).flat
        for axes, panel, said in zip(grid, panels, [*upright_alone, *map(_in_words, results)], strict=True):
            _draw_panel(axes, panel, colors)
            axes.set_title(f"{panel.title}\n{said}" if said else panel.title, fontsize=10)
        figure.legend(
            handles=[
                *(Line2D([], [], color=color, marker="o", linestyle="", label=name) for name, color in colors.items()),
                *(
                    Line2D([], [], color="#444444", marker=mark, linestyle="", label=f"{turn}°", fillstyle=_fill(view))
                    for view, (turn, mark) in enumerate(zip(degrees, _MARKERS, strict=False))
                ),
            ],
            loc="outside lower center",
            ncols=len(colors) + len(degrees),
            fontsize=10,
        )


def pair_name(pair: Sequence[str]) -> str:
    """A set of digits as the paper writes it.

    >>> pair_name(("6", "9"))
    '{6, 9}'
    """
    return f"{{{', '.join(pair)}}}"


def _draw_panel(axes: Axes, panel: Panel, colors: dict[str, str]) -> None:
    for label, digit in enumerate(panel.digits):
        own = panel.points[panel.labels == label]  # [n, V, 2]
        for view, marker in zip(range(own.shape[1]), _MARKERS, strict=False):
            axes.plot(
                own[:, view, 0].numpy(),
                own[:, view, 1].numpy(),
                marker,
                color=colors[digit],
                fillstyle=_fill(view),
                markersize=4.5,
                markeredgewidth=0.8,
                alpha=0.8,
            )
    axes.set_xticks([])
    axes.set_yticks([])


def _fill(view: int) -> Literal["none", "full"]:
    return "none" if view else "full"


def _error(result: PairResult, measure: Measure) -> Figure:
    return Figure(100 * (1 - result.mean(measure)), 100 * result.deviation(measure))


def _in_words(result: PairResult) -> str:
    shown = {"upright": (UPRIGHT, "baseline"), "rotated": (ROTATED, "DA"), "joint labels": (ROTATED, JOINT)}
    return "error, %: " + ", ".join(f"{name} {_error(result, measure).value:.1f}" for name, measure in shown.items())

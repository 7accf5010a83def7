"""The toy experiment as a table and as a picture."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from matplotlib.axes import Axes
from torch import Tensor

from fewshot_sla.paper.toy_experiment import METHODS, TRANSFORMATION, ToyResult
from fewshot_sla.reporting.pictures import COLORS, picture
from fewshot_sla.reporting.tables import Table, percent

_MARKERS = ("o", "^")  # as it is, turned


class Plane(NamedTuple):
    """Where the images of one pair lie in the plane."""

    points: Tensor  # [n, M, 2]
    labels: Tensor  # [n] int64, 0 or 1: which digit of the pair


def toy_table(results: Sequence[ToyResult], title: str) -> Table:
    """A row a pair, a column a method: test accuracy and its standard deviation over the seeds, in percent."""
    table = Table(title, ["pair", *METHODS, TRANSFORMATION])
    for result in results:
        figures = [percent(result.mean(name), result.deviation(name)) for name in (*METHODS, TRANSFORMATION)]
        table.add(pair_name(result.pair), *figures)
    return table


def draw_toy(path: Path, results: Sequence[ToyResult], planes: Sequence[Plane], title: str) -> None:
    """Draw a panel a pair: every image and its turned version where t-SNE puts them, by digit and by turn.

    Args:
        path: PNG to write.
        results: accuracies, for the titles of the panels.
        planes: the points of each pair, in the same order.
        title: above the picture.
    """
    with picture(path, 4.4 * len(results), 5.4) as figure:
        figure.suptitle(title, fontsize=11)
        grid = figure.subplots(1, len(results), squeeze=False)
        digits = sorted({digit for result in results for digit in result.pair})
        for axes, result, plane in zip(grid[0], results, planes, strict=True):
            _draw_plane(axes, result.pair, plane, digits)
            axes.set_title(f"{pair_name(result.pair)}\n{_figures(result)}", fontsize=9)


def pair_name(pair: Sequence[str]) -> str:
    """A set of digits as the paper writes it.

    >>> pair_name(("6", "9"))
    '{6, 9}'
    """
    return f"{{{', '.join(pair)}}}"


def _draw_plane(axes: Axes, pair: tuple[str, str], plane: Plane, digits: Sequence[str]) -> None:
    for label, digit in enumerate(pair):
        color = COLORS[digits.index(digit) % len(COLORS)]
        own = plane.points[plane.labels == label]  # [n, M, 2]
        for view, marker in enumerate(_MARKERS):
            axes.scatter(
                own[:, view, 0].numpy(),
                own[:, view, 1].numpy(),
                s=16,
                marker=marker,
                facecolors=color if view == 0 else "none",
                edgecolors=color,
                linewidths=0.7,
                alpha=0.8,
                label=f"{digit}, turned by 180°" if view else digit,
            )
    axes.set_xticks([])
    axes.set_yticks([])
    axes.legend(fontsize=8, loc="upper center", bbox_to_anchor=(0.5, -0.01), ncols=2, frameon=False)


def _figures(result: ToyResult) -> str:
    def cell(name: str, method: str) -> str:
        return f"{name} {100 * result.mean(method):.1f}"

    first = f"{cell('baseline', 'baseline')}   {cell('DA, MT', 'DA')}"
    return f"{first}\n{cell('SLA+SI', 'SLA+SI')}   {cell('SLA+AG', 'SLA+AG')}"

"""Training curves of several runs in one picture: accuracy and loss against the step."""

import csv
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray

from episodes.errors import UserError
from fewshot_sla.reporting.pictures import COLORS, picture
from fewshot_sla.runs.folder import RunFolder
from fewshot_sla.runs.metrics import read_metrics
from fewshot_sla.runs.names import distinct_names, primary_inference

STYLES: tuple[Literal["-", "--", ":", "-."], ...] = ("-", "--", ":", "-.")  # where there are more runs than colours
_MANY = 40  # points from which on a curve is smoothed
_FEW = 12  # points up to which each is marked
_COLUMNS = 3  # of the legend


class Curve(NamedTuple):
    """Figures of one run."""

    name: str
    accuracy: tuple[NDArray[np.float64], NDArray[np.float64]]  # steps [n], accuracies [n]
    loss: tuple[NDArray[np.float64], NDArray[np.float64]]  # steps [n], losses [n]


def read_curves(
    folders: Sequence[RunFolder],
    accuracy: str,  # "validation" or "training"
    inference: str = "",  # of the validation; by default the primary one of each run
) -> list[Curve]:
    """The curves of runs of train or of meta_train.

    Raises:
        UserError: if a run has no such figures.
    """
    curves = []
    for folder, name in zip(folders, distinct_names(folders), strict=True):
        rows = metrics_of(folder)
        column, label = "accuracy", name
        if accuracy == "validation":
            column = inference or primary_inference(folder)
            label = f"{name}, {column}"
        if not any(column in row for row in rows):
            raise UserError(
                f"{folder.metrics}: no validation by {column!r} so far; "
                f"choose {_others(rows)} or the training accuracy with --accuracy training"
            )
        curves.append(Curve(label, _points(rows, column), _points(rows, "loss")))
    return curves


def draw_training_curves(path: Path, curves: Sequence[Curve], accuracy: str) -> None:
    """Accuracy to the left, training loss to the right; a colour a run.

    Curves of many points are drawn faintly, and above them their running mean. The first run has the widest line, so
    that it shows beneath another one that is equal.
    """
    lines = -(-len(curves) // _COLUMNS)
    widths = np.linspace(2.8, 1.6, len(curves)) if len(curves) > 1 else [1.6]
    with picture(path, 10, 4 + 0.22 * lines) as figure:
        left, right = figure.subplots(1, 2, sharex=True)
        handles = []
        for number, (curve, width) in enumerate(zip(curves, widths, strict=True)):
            color, style = COLORS[number % len(COLORS)], STYLES[number // len(COLORS) % len(STYLES)]
            handles.append(Line2D([], [], color=color, linestyle=style, linewidth=width, label=curve.name))
            steps, values = curve.accuracy
            _line(left, steps, 100 * values, handles[-1])
            _line(right, *curve.loss, handles[-1])
        left.set_ylabel("validation accuracy, %" if accuracy == "validation" else "training accuracy, %")
        right.set_ylabel("training loss")
        right.set_ylim(bottom=0)
        for axes in (left, right):
            axes.set_xlabel("step")
            axes.xaxis.set_major_locator(MaxNLocator(6, integer=True, steps=[1, 2, 5, 10]))
            axes.grid(alpha=0.3)
        figure.legend(handles=handles, loc="outside lower center", ncols=_COLUMNS, fontsize=9)


def metrics_of(folder: RunFolder) -> list[dict[str, float]]:
    """The rows of a run's metrics.csv, at least one.

    Raises:
        UserError: if there is no run, or its file has no rows, or is damaged.
    """
    folder.require()
    try:
        rows = read_metrics(folder.metrics)
    except (ValueError, KeyError, TypeError, OverflowError, csv.Error) as error:
        raise UserError(f"{folder.metrics}: the file is damaged ({error})") from error
    if not rows:
        raise UserError(f"{folder.metrics}: there are no figures of the training yet")
    return rows


def running_mean(
    values: NDArray[np.float64],  # [n]
    reach: int,  # neighbours on either side
) -> NDArray[np.float64]:  # [n]
    """The mean of every value and its neighbours, of which there are fewer where the curve ends.

    >>> running_mean(np.array([0.0, 3.0, 0.0, 3.0]), 1).tolist()
    [1.5, 1.0, 2.0, 1.5]
    """
    sums = np.concatenate([[0.0], np.cumsum(values)])
    places = np.arange(len(values))
    first, end = np.maximum(places - reach, 0), np.minimum(places + reach + 1, len(values))
    return (sums[end] - sums[first]) / (end - first)


def _line(axes: Axes, steps: NDArray[np.float64], values: NDArray[np.float64], like: Line2D) -> None:
    look: dict[str, Any] = {
        "color": like.get_color(),
        "linestyle": like.get_linestyle(),
        "linewidth": like.get_linewidth(),
    }
    if len(values) < _MANY:
        marker = "o" if len(values) <= _FEW else ""
        axes.plot(steps, values, **look, marker=marker, markersize=3 + 1.5 * like.get_linewidth())
        return
    axes.plot(steps, values, color=look["color"], linewidth=0.8, alpha=0.2)
    axes.plot(steps, running_mean(values, len(values) // _MANY), **look)


def _others(rows: Sequence[dict[str, float]]) -> str:
    """What to do instead: the validation figures that there are."""
    names = dict.fromkeys(name for row in rows for name in row)
    found = [name for name in names if name not in ("step", "learning_rate", "loss", "accuracy")]
    return f"--inference {' or '.join(found)}" if found else "a run that keeps the best weights"


def _points(rows: Sequence[dict[str, float]], column: str) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    points = np.array([(row["step"], row[column]) for row in rows if column in row], dtype=np.float64).reshape(-1, 2)
    return points[:, 0], points[:, 1]

"""The learning curve of a run: training loss, training accuracy, validation accuracies."""

from collections.abc import Sequence
from pathlib import Path

from matplotlib.axes import Axes

from fewshot_sla.reporting.pictures import COLORS, picture

_TRAINING = ("learning_rate", "loss", "accuracy")


def draw_learning_curve(path: Path, rows: Sequence[dict[str, float]], title: str) -> None:
    """Draw the rows of a metrics.csv.

    Args:
        path: PNG to write.
        rows: "step", "loss", "accuracy", and, in some rows, one value for each validation figure.
        title: above the picture.
    """
    validation = [name for name in dict.fromkeys(n for row in rows for n in row) if name not in ("step", *_TRAINING)]
    with picture(path, 9, 3.5) as figure:
        losses, accuracies = figure.subplots(1, 2)
        figure.suptitle(title)
        _line(losses, rows, "loss", COLORS[0], "training loss")
        losses.set_ylim(bottom=0)
        _line(accuracies, rows, "accuracy", COLORS[0], "training, on the labels trained on")
        for color, name in zip(COLORS[1:], validation, strict=False):
            _line(accuracies, rows, name, color, f"validation, {name}", marker="o")
        for axes, what in ((losses, "training loss"), (accuracies, "accuracy")):
            axes.set_xlabel("step")
            axes.set_ylabel(what)
            axes.grid(alpha=0.3)
            axes.legend(fontsize=8)


def _line(axes: Axes, rows: Sequence[dict[str, float]], name: str, color: str, label: str, marker: str = "") -> None:
    points = [(row["step"], row[name]) for row in rows if name in row]
    axes.plot([x for x, _ in points], [y for _, y in points], color=color, label=label, marker=marker, markersize=4)

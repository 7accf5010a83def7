"""Time against the number of variables, log-log, from the results of benchmarks.solvers."""

from collections.abc import Mapping, Sequence
from typing import Any

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

STYLES = {
    "structured": ("#0b5fa5", "o", "this project"),
    "proxsuite": ("#c8553d", "s", "proxsuite QPLayer"),
    "qpth": ("#588157", "^", "qpth"),
    "learn2learn": ("#8d6a9f", "v", "learn2learn SVClassifier"),
    "cvxpylayers": ("#7a7a7a", "D", "cvxpylayers"),
}


def draw(
    cells: Sequence[Mapping[str, Any]],
    path: str,
    episodes: int = 8,
) -> None:
    """Median seconds of forward and backward an episode, in batches of `episodes`, one line a solver."""
    figure = Figure(figsize=(6.4, 4.2), dpi=110, layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    for name, (colour, marker, label) in STYLES.items():
        points = sorted(
            (cell["variables"], cell["solvers"][name]["forward_backward"]["call_s"] / episodes)
            for cell in cells
            if cell["episodes"] == episodes and "forward_backward" in cell["solvers"].get(name, {})
        )
        if points:
            axes.loglog(*zip(*points, strict=True), color=colour, marker=marker, markersize=4, label=label)
    axes.set_xlabel("dual variables of an episode (support rows x ways)")
    axes.set_ylabel(f"seconds an episode, forward + backward,\nbatches of {episodes}")
    axes.grid(which="major", alpha=0.3)
    axes.legend(frameon=False)
    figure.savefig(path, metadata={"Software": None})

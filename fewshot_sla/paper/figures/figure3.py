"""Figure 3 from run folders to its files: training and test accuracy against the step, in one panel."""

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal, NamedTuple

from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from episodes.errors import UserError
from episodes.progress import OnProgress, show_progress
from fewshot_sla.inference import inference_title
from fewshot_sla.paper.figures.options import SnapshotCurves
from fewshot_sla.paper.figures.output import lines_about, write_numbers
from fewshot_sla.paper.figures.snapshot_accuracies import SPLITS, SnapshotRun, evaluate_snapshots, open_runs
from fewshot_sla.reporting.formats import show
from fewshot_sla.reporting.pictures import COLORS, picture, picture_path
from fewshot_sla.reporting.tables import Table, percent
from fewshot_sla.runs.folder import RunFolder
from fewshot_sla.runs.names import distinct_names
from fewshot_sla.runs.provenance import device_facts
from fewshot_sla.training.recipe import Hardware

_STYLES: dict[str, Literal["-", "--"]] = {"train": "-", "test": "--"}
_FEW = 12  # points up to which each is marked
_COLUMNS = 3  # of the legend


class SnapshotCurve(NamedTuple):
    """Accuracies of one run by one inference."""

    name: str
    steps: list[int]
    train: list[float]  # fractions, one a step
    test: list[float]


def figure3(
    paths: Sequence[str],
    inferences: Sequence[str],  # a line each, of every run that has it
    options: SnapshotCurves,
    hardware: Hardware,
) -> None:
    """Evaluate the snapshots that were not evaluated yet, print the table, write picture and numbers.

    Raises:
        UserError: if a run cannot be drawn, or not with the others; said before anything is computed.
    """
    began = time.monotonic()
    output = picture_path(options.output)
    folders = [RunFolder(path) for path in paths]
    names = distinct_names(folders)
    runs = open_runs(folders, options.images)
    drawn = [(run, name, _inferences(run, inferences)) for run, name in zip(runs, names, strict=True)]
    fabric = hardware.fabric()
    with show_progress("figure 3") as on_progress:
        counter = _Counter(on_progress, sum(len(run.chosen[split]) for run in runs for _, split in run.missing()))
        for run in runs:
            evaluate_snapshots(run, hardware, fabric, counter)
    curves = [
        SnapshotCurve(_label(name, inference), run.steps, run.curve("train", inference), run.curve("test", inference))
        for run, name, chosen in drawn
        for inference in chosen
    ]
    dataset = runs[0].images["test"].name.rpartition("/")[0]
    draw_curves(output, curves, f"{dataset}: accuracy among classes, images as they are")
    facts = device_facts(fabric.device, hardware.used_precision, fabric.world_size)
    write_numbers(output, "3", {"runs": [_numbers(run) for run in runs], "device": facts}, began)
    notes = [f"{run.run.folder.path}: not finished, {_progress(run)}" for run in runs if not run.is_finished]
    show(curve_table(curves, f"{dataset}: accuracy, %, at the last snapshot"), *notes, *lines_about(output),
         form=options.format)  # fmt: skip


def curve_table(curves: Sequence[SnapshotCurve], title: str) -> Table:
    """A row a line: accuracies at its end, and how far apart they are."""
    table = Table(title, ["run, inference", "step", "training", "test", "difference"])
    for curve in curves:
        train, test = curve.train[-1], curve.test[-1]
        table.add(curve.name, curve.steps[-1], percent(train), percent(test), percent(train - test, signed=True))
    return table


def draw_curves(path: Path, curves: Sequence[SnapshotCurve], title: str) -> None:
    """All in one panel: a colour a line of the table, training solid, test dashed."""
    lines = -(-len(curves) // _COLUMNS)
    with picture(path, 7.2, 5 + 0.22 * lines) as figure:
        axes = figure.subplots()
        for number, curve in enumerate(curves):
            marker = "o" if len(curve.steps) <= _FEW else ""
            for split, values in zip(SPLITS, (curve.train, curve.test), strict=True):
                color = COLORS[number % len(COLORS)]
                shown = [100 * value for value in values]
                look: dict[str, Any] = {"linestyle": _STYLES[split], "linewidth": 1.8, "marker": marker}
                axes.plot(curve.steps, shown, color=color, markersize=4, **look)
        axes.set_xlabel("step")
        axes.set_ylabel("accuracy, %")
        axes.set_title(title, fontsize=11)
        axes.xaxis.set_major_locator(MaxNLocator(6, integer=True, steps=[1, 2, 5, 10]))
        axes.grid(alpha=0.3)
        axes.legend(
            handles=[
                Line2D([], [], color="#444444", linestyle=_STYLES[split], label=label)
                for split, label in zip(SPLITS, ("training", "test"), strict=True)
            ],
            loc="lower right",
        )
        colors = [
            Line2D([], [], color=COLORS[number % len(COLORS)], linewidth=3, label=curve.name)
            for number, curve in enumerate(curves)
        ]
        figure.legend(handles=colors, loc="outside lower center", ncols=_COLUMNS, fontsize=9)


class _Counter:
    """Adds up the images of all snapshots for one progress display."""

    def __init__(self, on_progress: OnProgress, total: int) -> None:
        self._on_progress, self._total, self._done = on_progress, total, 0

    def __call__(self, what: str, images: int) -> None:
        self._done += images
        self._on_progress(what, self._done, self._total)


def _inferences(found: SnapshotRun, wanted: Sequence[str]) -> list[str]:
    """Which of the wanted inferences a run has.

    Raises:
        UserError: if it has none of them.
    """
    there = found.run.recipe.objective.inferences
    chosen = [name for name in wanted if name in there]
    if not chosen:
        raise UserError(f"{found.run.folder.path}: no inference {' or '.join(wanted)}; it has {', '.join(there)}")
    return chosen


def _label(name: str, inference: str) -> str:
    return f"{name}, {inference_title(inference)}"


def _progress(found: SnapshotRun) -> str:
    return f"{found.steps[-1]} of {found.run.recipe.loop.steps} steps"


def _numbers(found: SnapshotRun) -> dict[str, Any]:
    """Every accuracy of a run, a fraction, by every inference, and where they come from."""
    run = found.run
    return {
        "run_folder": str(run.folder.path),
        "objective": type(run.recipe.objective).__name__,
        "seed": run.recipe.seed,
        "steps_of_training": run.recipe.loop.steps,
        "data": {
            split: {
                "name": images.name,
                "fingerprint": images.fingerprint,
                "images": len(images),
                "looked_at": len(found.chosen[split]),
            }
            for split, images in found.images.items()
        },
        "steps": found.steps,
        "accuracies": {
            split: {name: found.curve(split, name) for name in run.recipe.objective.inferences} for split in SPLITS
        },
    }

"""Figure 4 from run folders to its files: the gain with few training images a class, and the paper's largest."""

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.ticker import FixedLocator, NullLocator

from fewshot_sla.paper.figures.options import LimitedData
from fewshot_sla.paper.figures.output import lines_about, write_numbers
from fewshot_sla.paper.figures.relative_gain import Gains, LimitedRun, find_runs, read_runs, relative_gains
from fewshot_sla.paper.published import published
from fewshot_sla.reporting.formats import show
from fewshot_sla.reporting.pictures import COLORS, picture, picture_path
from fewshot_sla.reporting.tables import Figure, Table, percent, unique
from fewshot_sla.runs.unfinished import unfinished

_APART = 0.12  # how far lines are moved aside, as a share of the least distance between two n
_PUBLISHED = {"SLA+AG": ("aggregated",), "without aggregation": ("single", "distilled")}  # row: inferences of ours


def figure4(paths: Sequence[str], options: LimitedData) -> None:
    """Pair the runs, print the tables, write picture and numbers.

    Raises:
        UserError: if runs cannot be read, or not be held against one another.
    """
    began = time.monotonic()
    output = picture_path(options.output)
    runs = read_runs(find_runs(paths), options.split)
    found = relative_gains(runs, options.baseline)
    dataset = ", ".join(unique(f"{result.dataset}/{result.split}" for run in runs for result in run.results.values()))
    draw_gains(output, found, f"gain over {options.baseline}\n{_cut(dataset)}")
    write_numbers(output, "4", _numbers(runs, found, options), began)
    tables = [
        gain_table(found, f"relative gain over {options.baseline}, %: {_cut(dataset)}"),
        largest_table(found, _cut(dataset)),
    ]
    remarks = filter(None, (unfinished(run.folder) for run in runs))
    show(*tables, *remarks, *lines_about(output), form=options.format)


def gain_table(found: Sequence[Gains], title: str) -> Table:
    """A row a number of training images, a column a line: mean and standard deviation over the seeds."""
    table = Table(title, ["images a class", "seeds", *(line.name for line in found)])
    for size in unique_sizes(found):
        values = [line.gains.get(size, ()) for line in found]
        cells = [_mean(gains) if gains else None for gains in values]
        table.add(str(size), max(map(len, values)), *cells)
    return table


def largest_table(found: Sequence[Gains], dataset: str) -> Table:
    """The largest mean gain of every line, beside the largest that the paper names."""
    named = {cell.row: cell.value for cell in published() if cell.table == "figure 4"}
    table = Table("largest relative gain, %, beside figure 4 of the paper", ["by", "ours", "images a class", "paper"])
    for line in found:
        size, gains = max(line.gains.items(), key=lambda item: np.mean(item[1]))
        row = next((row for row, inferences in _PUBLISHED.items() if line.inference in inferences), "")
        table.add(line.name, _mean(gains), size, Figure(named[row], signed=True, digits=1) if row in named else None)
    table.notes.append(
        f"Ours: {dataset}. The paper: CIFAR-100, 25 to 250 training images a class; with aggregation, and without. It "
        "does not say whether without is SLA+SI or SLA+SD."
    )
    return table


def draw_gains(path: Path, found: Sequence[Gains], title: str) -> None:
    """Mean and standard deviation over the seeds, and every seed as a point; n on a logarithmic axis."""
    with picture(path, 6.4, 4.2) as figure:
        axes = figure.subplots()
        sizes = unique_sizes(found)
        steps = np.diff(np.log(sizes))
        beside = min(_APART * float(steps.min()), 0.03) if len(steps) else 0.02
        for number, line in enumerate(found):
            color = COLORS[number % len(COLORS)]
            aside = np.exp(beside * (number - (len(found) - 1) / 2))
            places = [size * aside for size in line.gains]
            values = [100 * np.array(gains) for gains in line.gains.values()]
            for place, points in zip(places, values, strict=True):
                axes.plot([place] * len(points), points, "o", color=color, alpha=0.35, markersize=4)
            means = [float(points.mean()) for points in values]
            spreads = [float(points.std(ddof=1)) if len(points) > 1 else 0.0 for points in values]
            axes.errorbar(places, means, spreads, color=color, marker="s", markersize=5, capsize=3, label=line.name)
        axes.axhline(0, color="black", linewidth=0.8)
        axes.set_xscale("log")
        axes.xaxis.set_major_locator(FixedLocator(sizes))
        axes.xaxis.set_minor_locator(NullLocator())
        axes.set_xticklabels([str(size) for size in sizes])
        axes.set_xlim(sizes[0] / 1.3, sizes[-1] * 1.3)  # also if there is a single size
        axes.set_xlabel("training images a class")
        axes.set_ylabel("relative gain, %")
        axes.set_title(title, fontsize=11)
        axes.grid(alpha=0.3)
        axes.legend()


def unique_sizes(found: Sequence[Gains]) -> list[int]:
    """Every number of training images a class that there is, in order."""
    return sorted({size for line in found for size in line.gains})


def _mean(gains: Sequence[float]) -> Figure:
    return percent(float(np.mean(gains)), float(np.std(gains, ddof=1)) if len(gains) > 1 else None, signed=True)


def _numbers(runs: Sequence[LimitedRun], found: Sequence[Gains], options: LimitedData) -> dict[str, Any]:
    """Every gain, a fraction, and the accuracies that they are made of."""
    return {
        "baseline": options.baseline,
        "gains": [
            {"objective": line.objective, "inference": line.inference, "images_per_class": size, "by_seed": list(gains)}
            for line in found
            for size, gains in line.gains.items()
        ],
        "runs": [
            {
                "run_folder": str(run.folder.path),
                "objective": run.objective,
                "images_per_class": run.images_per_class,
                "seed": run.seed,
                "steps": run.state.get("steps"),
                "train_fingerprint": run.state.get("fingerprint"),
                "test_fingerprint": next(iter(run.results.values())).fingerprint,
                "accuracies": {name: result.accuracy for name, result in run.results.items()},
            }
            for run in runs
        ],
        "published": {cell.row: cell.value for cell in published() if cell.table == "figure 4"},
    }


def _cut(text: str) -> str:
    return text if len(text) <= 60 else f"{text[:59]}…"

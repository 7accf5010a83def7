"""Several recipes with several seeds each: mean and spread as a table, as JSON, as a picture."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from rich.markup import escape
from rich.table import Table

from fewshot_sla.classification.results import ClassResult, read_class_results
from fewshot_sla.inference import inference_title
from fewshot_sla.reporting.pictures import COLORS, picture
from fewshot_sla.runs.folder import RunFolder, write_text
from fewshot_sla.runs.provenance import versions


@dataclass(frozen=True)
class StudyRow:
    """One recipe by one inference.

    Attributes:
        recipe: its name.
        inference: its name.
        primary: whether it is the one that the best checkpoints were chosen by.
        dataset: that the accuracies were measured on.
        accuracies: one a seed, fractions.
        groups: the same of the classes with many, medium and few training images, where there are such.
        run_folders: where they come from, one a seed.
    """

    recipe: str
    inference: str
    primary: bool
    dataset: str
    accuracies: tuple[float, ...]
    groups: dict[str, tuple[float, ...]]
    run_folders: tuple[str, ...]

    @property
    def name(self) -> str:
        """Recipe and inference."""
        return f"{self.recipe}, {inference_title(self.inference)}"


def study_rows(runs: Mapping[str, Sequence[RunFolder]], split: str) -> list[StudyRow]:
    """Results of a split, gathered from run folders: for each recipe, one folder a seed."""
    rows = []
    for recipe, folders in runs.items():
        per_seed = [_by_inference(folder, split) for folder in folders]
        for inference, first in per_seed[0].items():
            results = [found[inference] for found in per_seed]
            row = StudyRow(
                recipe=recipe,
                inference=inference,
                primary=first.primary,
                dataset=f"{first.dataset}/{first.split}",
                accuracies=tuple(result.accuracy for result in results),
                groups={name: tuple(result.groups[name] for result in results) for name in first.groups},
                run_folders=tuple(str(folder.path) for folder in folders),
            )
            rows.append(row)
    return rows


def study_table(rows: Sequence[StudyRow], seeds: Sequence[int]) -> Table:
    """A row a recipe and inference: mean over seeds, standard deviation, each seed."""
    datasets = ", ".join(dict.fromkeys(row.dataset for row in rows))
    groups = list(dict.fromkeys(name for row in rows for name in row.groups))
    table = Table(title=escape(f"{datasets}: accuracy, %, over {len(seeds)} seeds"), title_justify="left")
    table.add_column("recipe, inference")
    table.add_column("mean ± deviation", justify="right")
    for name in groups:
        table.add_column(name, justify="right")
    for seed in seeds:
        table.add_column(f"seed {seed}", justify="right")
    previous = rows[0].recipe
    for row in rows:
        if row.recipe != previous:
            table.add_section()
            previous = row.recipe
        shown = [f"{100 * np.mean(row.groups[name]):.2f}" if name in row.groups else "" for name in groups]
        seeds_shown = [f"{100 * value:.2f}" for value in row.accuracies]
        table.add_row(escape(row.name), mean_and_deviation(row.accuracies), *shown, *seeds_shown)
    return table


def mean_and_deviation(values: Sequence[float]) -> str:
    """Mean and sample standard deviation, in per cent; a single value has no deviation.

    >>> mean_and_deviation([0.5, 0.52])
    '51.00 ± 1.41'
    """
    mean = f"{100 * np.mean(values):.2f}"
    return f"{mean} ± {100 * np.std(values, ddof=1):.2f}" if len(values) > 1 else mean


def save_study(path: Path, rows: Sequence[StudyRow], seeds: Sequence[int]) -> None:
    """Write all figures as JSON; what they were measured on stands in the ``results.json`` of the run folders."""
    document = {"seeds": list(seeds), "rows": [asdict(row) for row in rows], "versions": versions()}
    write_text(path, json.dumps(document, indent=2, ensure_ascii=False) + "\n")


def draw_study(path: Path, rows: Sequence[StudyRow]) -> None:
    """Every seed a point, their mean a line; recipes have their colours.

    Points and not bars: the axis does not begin at zero.
    """
    recipes = list(dict.fromkeys(row.recipe for row in rows))
    with picture(path, 8, 1.2 + 0.36 * len(rows)) as figure:
        axes = figure.subplots()
        for place, row in enumerate(rows):
            color = COLORS[recipes.index(row.recipe) % len(COLORS)]
            values = [100 * value for value in row.accuracies]
            axes.plot(values, [place] * len(values), "o", color=color, alpha=0.55, markersize=6)
            axes.plot([np.mean(values)] * 2, [place - 0.34, place + 0.34], color=color, linewidth=2.5)
        axes.set_yticks(range(len(rows)), [row.name for row in rows])
        axes.set_ylim(len(rows) - 0.5, -0.5)
        axes.set_xlabel("accuracy, %: a point a seed, a line their mean")
        axes.set_title(", ".join(dict.fromkeys(row.dataset for row in rows)))
        axes.grid(axis="x", alpha=0.3)


def _by_inference(folder: RunFolder, split: str) -> dict[str, ClassResult]:
    """Results of the images as they are, not of their crops."""
    return {
        result.inference: result for result in read_class_results(folder) if result.split == split and result.crops == 1
    }

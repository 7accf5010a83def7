"""Several recipes with several seeds each: mean and spread as a table, as JSON, as a picture."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from fewshot_sla.inference import inference_title
from fewshot_sla.reporting.pictures import COLORS, picture
from fewshot_sla.reporting.tables import Figure, Table, percent, unique
from fewshot_sla.runs.provenance import versions
from fewshot_sla.runs.records import write_json
from fewshot_sla.runs.results import Result


@dataclass(frozen=True)
class StudyRow:
    """One recipe in one setting by one inference.

    Attributes:
        recipe: its name.
        setting: of the test, such as "1-shot"; empty where there is but one.
        inference: its name.
        primary: whether it is the one that the best checkpoints were chosen by.
        dataset: that the accuracies were measured on.
        accuracies: one a seed, fractions.
        groups: the same of the classes with many, medium and few training images, where there are such.
        run_folders: where they come from, one a seed.
    """

    recipe: str
    setting: str
    inference: str
    primary: bool
    dataset: str
    accuracies: tuple[float, ...]
    groups: dict[str, tuple[float, ...]]
    run_folders: tuple[str, ...]

    @property
    def name(self) -> str:
        """Recipe, setting and inference."""
        return ", ".join(part for part in (self.recipe, self.setting, inference_title(self.inference)) if part)


def study_rows(
    runs: Mapping[str, Mapping[str, Sequence[Result]]],  # by recipe: by run folder, one a seed, the results of its test
) -> list[StudyRow]:
    """Results gathered by recipe, setting and inference; every run was tested in the same way."""
    rows = []
    for recipe, folders in runs.items():
        per_seed = [{(result.setting, result.inference): result for result in found} for found in folders.values()]
        for (setting, inference), first in per_seed[0].items():
            results = [found[setting, inference] for found in per_seed]
            row = StudyRow(
                recipe=recipe,
                setting=setting,
                inference=inference,
                primary=first.primary,
                dataset=f"{first.dataset}/{first.split}",
                accuracies=tuple(result.accuracy for result in results),
                groups={name: tuple(result.parts[name] for result in results) for name in first.parts},
                run_folders=tuple(folders),
            )
            rows.append(row)
    return rows


def study_table(rows: Sequence[StudyRow], seeds: Sequence[int]) -> Table:
    """A row a recipe and inference: mean over seeds, standard deviation, each seed."""
    datasets = ", ".join(unique(row.dataset for row in rows))
    groups = unique(name for row in rows for name in row.groups)
    headings = ["recipe, inference", "mean ± deviation", *groups, *(f"seed {seed}" for seed in seeds)]
    table = Table(f"{datasets}: accuracy, %, over {len(seeds)} seeds", headings)
    previous = rows[0].recipe
    for row in rows:
        if row.recipe != previous:
            table.add_section()
            previous = row.recipe
        shown = [percent(float(np.mean(row.groups[name]))) if name in row.groups else None for name in groups]
        table.add(row.name, mean_and_deviation(row.accuracies), *shown, *map(percent, row.accuracies))
    return table


def mean_and_deviation(values: Sequence[float]) -> Figure:
    """Mean and sample standard deviation of fractions, in per cent; a single value has no deviation.

    >>> str(mean_and_deviation([0.5, 0.52]))
    '51.00 ± 1.41'
    """
    return percent(float(np.mean(values)), float(np.std(values, ddof=1)) if len(values) > 1 else None)


def save_study(path: Path, rows: Sequence[StudyRow], seeds: Sequence[int]) -> None:
    """Write all figures as JSON; what they were measured on stands in the ``results.json`` of the run folders."""
    document = {"seeds": list(seeds), "rows": [asdict(row) for row in rows], "versions": versions()}
    write_json(path, document)


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

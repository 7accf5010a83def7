"""A study as tables, as JSON, as a picture."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path

import numpy as np

from fewshot_sla.reporting.pictures import COLORS, picture
from fewshot_sla.reporting.tables import Cell, Figure, Table, percent, unique
from fewshot_sla.runs.provenance import versions
from fewshot_sla.runs.records import write_json
from fewshot_sla.studies.rows import StudyRow

Names = Mapping[str, str]  # how recipes are shown, by their names


def study_tables(rows: Sequence[StudyRow], names: Names) -> list[Table]:
    """For people: a table a data set and setting, and below it the differences to the baseline, if there is one."""
    tables = []
    for dataset, setting in dict.fromkeys((row.dataset, row.setting) for row in rows):
        chosen = [row for row in rows if (row.dataset, row.setting) == (dataset, setting)]
        title = ", ".join(part for part in (dataset, setting) if part)
        tables.append(_accuracies(chosen, names, title))
        if any(row.difference for row in chosen):
            tables.append(_differences(chosen, names, title))
    return tables


def flat_table(rows: Sequence[StudyRow], names: Names) -> Table:
    """For programs: all figures of a recipe, setting and inference in one row, those of each seed too."""
    groups = unique(name for row in rows for name in row.groups)
    seeds = list(dict.fromkeys(seed for row in rows for seed in row.seeds))
    headings = ["dataset", "setting", "recipe", "shown", "inference", "seeds", "accuracy", "interval", "over", "items"]
    compared = ["baseline", "difference", "difference interval", "relative gain"]
    table = Table("study: accuracies and differences, %", [*headings, *compared, *groups, *_titled(seeds)], left=6)
    for row in rows:
        difference = row.difference
        table.add(
            row.dataset, row.setting, row.recipe, names[row.recipe], row.inference, len(row.seeds),
            percent(row.mean, row.deviation), _number(row.ci95), row.unit, row.items,
            difference.baseline if difference else None,
            percent(difference.mean, difference.deviation, signed=True) if difference else None,
            _number(difference.ci95) if difference else None,
            percent(difference.relative, signed=True) if difference else None,
            *(_mean_of_group(row, name) for name in groups),
            *(_of_seed(row, seed) for seed in seeds),
        )  # fmt: skip
    return table


def _accuracies(rows: Sequence[StudyRow], names: Names, title: str) -> Table:
    """A row a recipe and inference: mean over seeds, its deviation over seeds, its interval over episodes or images."""
    first = rows[0]
    groups = unique(name for row in rows for name in row.groups)
    seeds = list(dict.fromkeys(seed for row in rows for seed in row.seeds))
    headings = ["recipe", "inference", "mean ± seeds", f"± {first.unit}", *groups]
    table = Table(f"{title}: accuracy, %, {_of_seeds(seeds)}", headings, left=2)
    for row in _sectioned(table, rows):
        shown = (percent(row.mean, row.deviation), _number(row.ci95))
        table.add(names[row.recipe], row.inference_title, *shown, *(_mean_of_group(row, name) for name in groups))
    if len(seeds) > 1:
        table.notes.append(
            f"± seeds: standard deviation over seeds; ± {first.unit}: half of the 95 % interval of the mean over "
            f"{first.items} {first.unit}."
        )
    for row in rows:
        if row.primary and len(row.seeds) < len(seeds):
            table.notes.append(f"{names[row.recipe]}: {len(row.seeds)} of {len(seeds)} seeds are done.")
    return table


def _differences(rows: Sequence[StudyRow], names: Names, title: str) -> Table:
    """A row a recipe and inference: how much better it is than the baseline, paired by seed and episode or image."""
    compared = [row for row in rows if row.difference]
    first = compared[0].difference
    assert first is not None
    table = Table(
        f"{title}: difference to {names[first.baseline]}, {first.inference}, points",
        ["recipe", "inference", f"mean ± {rows[0].unit}", "± seeds", "relative gain, %"],
        left=2,
    )
    for row in _sectioned(table, compared):
        found = row.difference
        assert found is not None
        table.add(
            names[row.recipe],
            row.inference_title,
            percent(found.mean, found.ci95, signed=True),
            _number(found.deviation),
            percent(found.relative, signed=True),
        )
    table.notes.append(
        f"Paired: the same seeds on the same {rows[0].unit}; ± {rows[0].unit}: half of the 95 % interval of the mean "
        "over seeds; ± seeds: standard deviation of the seeds' differences."
    )
    return table


def _sectioned(table: Table, rows: Sequence[StudyRow]) -> Iterator[StudyRow]:
    """The rows, one after the other; a line is drawn between recipes if they have several rows each."""
    several = len({row.recipe for row in rows}) < len(rows)
    for place, row in enumerate(rows):
        if several and place and rows[place - 1].recipe != row.recipe:
            table.add_section()
        yield row


def _of_seeds(seeds: Sequence[int]) -> str:
    if len(seeds) == 1:
        return f"seed {seeds[0]}"
    return f"seeds {', '.join(map(str, seeds))}" if len(seeds) <= 5 else f"{len(seeds)} seeds"


def _titled(seeds: Sequence[int]) -> list[str]:
    return [f"seed {seed}" for seed in seeds]


def _number(fraction: float) -> Cell:
    return None if np.isnan(fraction) else percent(fraction)


def _mean_of_group(row: StudyRow, name: str) -> Figure | None:
    return percent(float(np.mean(row.groups[name]))) if name in row.groups else None


def _of_seed(row: StudyRow, seed: int) -> Figure | None:
    return percent(row.accuracies[row.seeds.index(seed)]) if seed in row.seeds else None


def save_study(path: Path, rows: Sequence[StudyRow], seeds: Sequence[int]) -> None:
    """Write all figures as JSON; what they were measured on stands in the ``results.json`` of the run folders."""
    document = {"seeds": list(seeds), "rows": [asdict(row) for row in rows], "versions": versions()}
    write_json(path, document)


def draw_study(path: Path, rows: Sequence[StudyRow], names: Names) -> None:
    """Every seed a point, their mean a line; recipes have their colours.

    Points and not bars: the axis does not begin at zero.
    """
    recipes = unique(row.recipe for row in rows)
    with picture(path, 8, 1.2 + 0.36 * len(rows)) as figure:
        axes = figure.subplots()
        for place, row in enumerate(rows):
            color = COLORS[recipes.index(row.recipe) % len(COLORS)]
            values = [100 * value for value in row.accuracies]
            axes.plot(values, [place] * len(values), "o", color=color, alpha=0.55, markersize=6)
            axes.plot([np.mean(values)] * 2, [place - 0.34, place + 0.34], color=color, linewidth=2.5)
        axes.set_yticks(range(len(rows)), [_title(row, names) for row in rows])
        axes.set_ylim(len(rows) - 0.5, -0.5)
        axes.set_xlabel("accuracy, %: a point a seed, a line their mean")
        axes.set_title(", ".join(unique(row.dataset for row in rows)))
        axes.grid(axis="x", alpha=0.3)


def _title(row: StudyRow, names: Names) -> str:
    return ", ".join(part for part in (names[row.recipe], row.setting, row.inference_title) if part)

"""What is not there yet of a table: trainings, ensembles, ten crops; the commands for them, and what they cost."""

import math
import shlex
from collections.abc import Sequence
from dataclasses import dataclass, field

from episodes.errors import UserError
from fewshot_sla.cli.recipes import Wing, wing_of
from fewshot_sla.paper.costs import Cost, Costs, image_shape
from fewshot_sla.paper.found_runs import FoundRun, FoundRuns
from fewshot_sla.paper.measured import ensemble_seeds, measure
from fewshot_sla.paper.published import Cell, PublishedTable
from fewshot_sla.reporting.tables import Table, unique


@dataclass(frozen=True)
class Ensemble:
    """An ensemble that is to be tested: its recipe, its inference, the seeds of its members."""

    word: str
    inference: str
    seeds: tuple[int, ...]


@dataclass
class Missing:
    """What a table lacks.

    Attributes:
        trainings: by recipe the seeds that are to be trained, or to be tested.
        ensembles: that are to be tested, once their members are trained.
        ten_crops: by recipe the seeds that are to be tested with ten crops.
        without_recipe: lines about cells that no training gives.
        quoted: lines about those that none is meant to give.
    """

    trainings: dict[str, list[int]] = field(default_factory=dict)
    ensembles: list[Ensemble] = field(default_factory=list)
    ten_crops: dict[str, list[int]] = field(default_factory=dict)
    without_recipe: list[str] = field(default_factory=list)
    quoted: list[str] = field(default_factory=list)


def missing_from(cells: Sequence[Cell], found: FoundRuns, seeds: Sequence[int]) -> Missing:
    """What is to be done for these cells; what lies where something else should lie is left alone."""
    missing = Missing()
    for cell in cells:
        if not cell.recipe:
            line = f"{cell.method}: {cell.without_recipe}"
            (missing.quoted if cell.quoted else missing.without_recipe).append(line)
        elif found.recipe(cell.recipe) is not None:
            _add(missing, cell, found, ensemble_seeds(seeds, cell.models) if cell.models > 1 else seeds)
    missing.quoted, missing.without_recipe = unique(missing.quoted), unique(missing.without_recipe)
    return missing


def commands(missing: Missing, found: FoundRuns, share: float) -> list[str]:
    """One line a command, in the order in which they are to be run."""
    lines = []
    split = "" if found.split == "test" else f" --split {found.split}"
    for group in groups(missing, found, share):
        words = " ".join(shlex.quote(word) for word in group.words)
        seeds = " ".join(map(str, group.seeds))
        behind = f" -- --loop.steps {group.steps}" if share < 1 else ""
        folder = shlex.quote(str(found.folder))
        lines.append(f"python -m fewshot_sla.study {words} --seeds {seeds} --folder {folder}{split}{behind}")
    for word, of_crops in missing.ten_crops.items():
        lines.append(f"python -m fewshot_sla.test {_run_folders(word, of_crops, found)}{split} --ten_crop")
    for ensemble in missing.ensembles:
        output = shlex.quote(str(found.ensemble_file(ensemble.word, len(ensemble.seeds))))
        lines.append(
            f"python -m fewshot_sla.test {_run_folders(ensemble.word, ensemble.seeds, found)}{split} "
            f"--inference {ensemble.inference} --output {output}"
        )
    return lines


@dataclass(frozen=True)
class Group:
    """Recipes of one wing that are trained with the same seeds for the same number of steps."""

    wing: Wing
    words: tuple[str, ...]
    seeds: tuple[int, ...]
    steps: int


def groups(missing: Missing, found: FoundRuns, share: float) -> list[Group]:
    """The trainings, as studies take them."""
    words: dict[tuple[Wing, tuple[int, ...], int], list[str]] = {}
    for word, seeds in missing.trainings.items():
        words.setdefault((wing_of(word), tuple(seeds), steps_of(word, found, share)), []).append(word)
    return [Group(wing, tuple(of_group), seeds, steps) for (wing, seeds, steps), of_group in words.items()]


def steps_of(word: str, found: FoundRuns, share: float) -> int:
    """A share of the steps of a recipe, at least one."""
    recipe = found.recipe(word)
    return max(1, round(share * recipe["loop"]["steps"])) if recipe else 0


def costs_table(missing: Missing, found: FoundRuns, table: PublishedTable, costs: Costs, share: float) -> Table:
    """What each training costs, and all of them together."""
    headings = ["recipe", "runs", "steps", "PFLOP a run", "hours a run"]
    shown = Table(f"{table.name}: trainings that are missing", headings)
    runs, hours = 0, 0.0
    timed: dict[str, list[str]] = {}
    for word, seeds in missing.trainings.items():
        cost = _cost(word, found, table, costs, share)
        shown.add(word, len(seeds), cost.steps, _petaflops(cost.flops), _hours(cost.hours))
        runs += len(seeds)
        hours += math.nan if cost.hours is None else len(seeds) * cost.hours
        if cost.device:
            timed.setdefault(cost.device, []).append(word)
    if len(missing.trainings) > 1:
        shown.add_section()
        shown.add("all of them", runs, None, None, None if math.isnan(hours) else _hours(hours))
    shown.notes += [f"Hours as on {device}: {', '.join(words)}." for device, words in timed.items()]
    shown.notes.append(
        "PFLOP: 10^15 operations of the backbone's forward passes, two a multiply-add; the backward passes are about "
        "twice as many more."
    )
    return shown


def _add(missing: Missing, cell: Cell, found: FoundRuns, seeds: Sequence[int]) -> None:
    runs = {run.seed: run for run in found.runs(cell.recipe, seeds)}
    to_do = [seed for seed in seeds if not (_done(runs.get(seed)) or found.blocked(cell.recipe, seed))]
    if to_do:
        missing.trainings[cell.recipe] = sorted({*missing.trainings.get(cell.recipe, ()), *to_do})
    blocked = [seed for seed in seeds if found.blocked(cell.recipe, seed)]
    if cell.crops > 1:
        rest = [seed for seed in seeds if seed not in blocked and not (seed in runs and runs[seed].ten_crops)]
        if rest:
            missing.ten_crops[cell.recipe] = rest
    if cell.models > 1 and not blocked and measure(cell, found, seeds).conditions is None:
        missing.ensembles.append(Ensemble(cell.recipe, cell.inference, tuple(seeds)))


def _done(run: FoundRun | None) -> bool:
    return run is not None and run.finished and bool(run.results)


def _cost(word: str, found: FoundRuns, table: PublishedTable, costs: Costs, share: float) -> Cost:
    recipe, steps = found.recipe(word), steps_of(word, found, share)
    if recipe is None:
        return Cost(steps, None, None, "")
    try:
        return costs.of(recipe, image_shape(recipe, table.image_shapes.get(word.split("+")[0])), steps)
    except UserError:  # its network cannot be built alone
        return Cost(steps, None, None, "")


def _petaflops(flops: int | None) -> str:
    return "unknown" if flops is None else f"{flops / 1e15:.3g}"


def _hours(hours: float | None) -> str:
    return "not timed yet" if hours is None else f"{hours:.2g}"


def _run_folders(word: str, seeds: Sequence[int], found: FoundRuns) -> str:
    """As a shell expands them."""
    of_recipe = shlex.quote(str(found.place(word, 0).path.parent))
    numbers = ",".join(map(str, seeds))
    return f"{of_recipe}/seed{{{numbers}}}" if len(seeds) > 1 else f"{of_recipe}/seed{numbers}"

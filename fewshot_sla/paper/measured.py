"""What the runs in a folder say about a published figure, and its relative gain over another one."""

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from fewshot_sla.paper.found_runs import FoundRun, FoundRuns
from fewshot_sla.paper.published import Cell
from fewshot_sla.runs.results import Result


class Conditions(NamedTuple):
    """What two figures must have in common before one is held against the other."""

    share: float  # of the published schedule that was trained
    trained_on: str  # fingerprint of the training images
    tested_on: str  # fingerprint of the test images
    test: tuple[Any, ...]  # its protocol: split, crops, size, number and seed of the episodes


_WHAT_DIFFERS = {
    "share": "another share of the schedule",
    "trained_on": "other training images",
    "tested_on": "other test images",
    "test": "another test",
}


@dataclass(frozen=True)
class Measured:
    """Our figure for a cell.

    Attributes:
        by_seed: accuracy in per cent (error, where the published figure is one), by the seed of the training; one
            figure, under the seed of its first member, for an ensemble.
        interval: half a 95 % interval over the test episodes or images, in per cent: the mean of those of the seeds.
        conditions: of all of them.
        remarks: what else lies there, and why it does not count.
    """

    by_seed: Mapping[int, float]
    interval: float | None
    conditions: Conditions | None
    remarks: tuple[str, ...] = ()

    @property
    def mean(self) -> float:
        """Over the seeds; not a number if nothing was measured."""
        return float(np.mean(list(self.by_seed.values()))) if self.by_seed else math.nan

    @property
    def deviation(self) -> float | None:
        """Sample standard deviation over the seeds, if there are two or more."""
        return float(np.std(list(self.by_seed.values()), ddof=1)) if len(self.by_seed) > 1 else None

    @property
    def share(self) -> float | None:
        """Of the published schedule that was trained."""
        return self.conditions.share if self.conditions else None


class Gain(NamedTuple):
    """A relative gain in per cent."""

    value: float  # of the means
    deviation: float | None  # over the seeds that both have


def measure(cell: Cell, found: FoundRuns, seeds: Sequence[int]) -> Measured:
    """What the runs of a cell's recipe came to."""
    if not cell.recipe:
        return Measured({}, None, None)
    members = ensemble_seeds(seeds, cell.models)
    runs = found.runs(cell.recipe, members if cell.models > 1 else seeds)
    if cell.models > 1:
        return _of_ensemble(cell, found, runs, members)
    counted = {run.seed: result for run in runs if run.finished for result in _results_of(cell, run)}
    remarks = [_unfinished(run) for run in runs if not run.finished]
    remarks += [f"{run.folder.path}: trained, not tested" for run in runs if run.finished and run.seed not in counted]
    conditions = {run.seed: _conditions(run, counted[run.seed]) for run in runs if run.seed in counted}
    if not conditions:
        return Measured({}, None, None, tuple(remarks))
    most = Counter(conditions.values()).most_common()
    chosen = max(most, key=lambda entry: (entry[0].share, entry[1]))[0]
    for run in runs:
        if conditions.get(run.seed, chosen) != chosen:
            why = what_differs(conditions[run.seed], chosen)
            remarks.append(f"{run.folder.path}: left out of the mean: {why} than the other seeds")
    same = {seed: result for seed, result in counted.items() if conditions[seed] == chosen}
    return _measured(cell, same, chosen, remarks)


def ensemble_seeds(seeds: Sequence[int], models: int) -> list[int]:
    """The seeds of the members of an ensemble: those given, and as many more as it needs.

    >>> ensemble_seeds([0, 1, 2], 4), ensemble_seeds([5, 6, 7, 8, 9], 4)
    ([0, 1, 2, 3], [5, 6, 7, 8])
    """
    more = (seed for seed in range(max(seeds, default=-1) + 1, max(seeds, default=-1) + 1 + models))
    return [*seeds, *more][:models]


def relative_gain(measured: Measured, over: Measured) -> Gain | str:
    """Relative gain over another figure; words that say why there is none, empty if one of the two is not there."""
    if not (measured.conditions and over.conditions):
        return ""
    if measured.conditions != over.conditions:
        return what_differs(measured.conditions, over.conditions)
    if not all(over.by_seed.values()):
        return "a baseline of 0 %"
    common = [seed for seed in measured.by_seed if seed in over.by_seed]
    gains = [100 * (measured.by_seed[seed] / over.by_seed[seed] - 1) for seed in common]
    deviation = float(np.std(gains, ddof=1)) if len(gains) > 1 else None
    return Gain(100 * (measured.mean / over.mean - 1), deviation)


def what_differs(one: Conditions, other: Conditions) -> str:
    """In words, for instance "another share of the schedule (10 % and 100 %)"."""
    names = [name for name in Conditions._fields if getattr(one, name) != getattr(other, name)]
    words = [_WHAT_DIFFERS[name] for name in names]
    if "share" in names:
        words[names.index("share")] += f" ({percentage(one.share)} and {percentage(other.share)})"
    return " and ".join(words)


def percentage(share: float) -> str:
    """A share of the whole.

    >>> percentage(1.0), percentage(0.1), percentage(1 / 3)
    ('100 %', '10 %', '33.3 %')
    """
    return f"{100 * share:.3g} %"


def _measured(
    cell: Cell, results: Mapping[int, Result], conditions: Conditions, remarks: Sequence[str] = ()
) -> Measured:
    values = {
        seed: 100 * (1 - result.accuracy if cell.is_error else result.accuracy) for seed, result in results.items()
    }
    interval = float(np.mean([100 * result.ci95 for result in results.values()]))
    return Measured(values, None if math.isnan(interval) else interval, conditions, tuple(remarks))


def _results_of(cell: Cell, run: FoundRun) -> list[Result]:
    """The result of a run that is of a cell, if it is there."""
    results = run.ten_crops if cell.crops > 1 else run.results
    wanted = f"{cell.k_shot}-shot" if cell.k_shot else "", cell.inference
    return [result for result in results if (result.setting, result.inference) == wanted][:1]


def _conditions(run: FoundRun, result: Result) -> Conditions:
    return Conditions(run.share, run.trained_on, result.fingerprint, result.protocol)


def _unfinished(run: FoundRun) -> str:
    made, steps = run.made or (0, 0)
    return f"{run.folder.path}: not finished, {made} of {steps} steps; it does not count"


def _of_ensemble(cell: Cell, found: FoundRuns, runs: Sequence[FoundRun], members: Sequence[int]) -> Measured:
    """The figure of an ensemble, if it is of the runs that lie there now."""
    record, path = found.ensemble(cell.recipe, cell.models), found.ensemble_file(cell.recipe, cell.models)
    if record is None:
        return Measured({}, None, None)
    results = [result for result in record.results if (result.inference, result.crops) == (cell.inference, cell.crops)]
    weights = {run.seed: run.step for run in runs if run.finished}
    now = [(seed, weights.get(seed)) for seed in members]
    if [(member.seed, member.step) for member in record.members] != now or record.split != found.split:
        words = ", ".join(map(str, members))
        return Measured({}, None, None, (f"{path}: not of the runs of seeds {words} as they lie there now",))
    conditions = {_conditions(run, result) for run in runs for result in results}
    if len(conditions) != 1:
        why = "its members have nothing in common" if conditions else f"no figure by the inference {cell.inference}"
        return Measured({}, None, None, (f"{path}: {why}",))
    return _measured(cell, {members[0]: results[0]}, conditions.pop())

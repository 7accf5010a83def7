"""The figures of a study: means over seeds, intervals over episodes or images, paired differences to a baseline."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from episodes.errors import UserError
from fewshot_sla.inference import inference_title
from fewshot_sla.runs.comparison import Outcomes
from fewshot_sla.runs.folder import RunFolder
from fewshot_sla.runs.results import Result
from fewshot_sla.runs.statistics import interval_half_width
from fewshot_sla.studies.cells import DoneCell
from fewshot_sla.training.kind import Kind


@dataclass(frozen=True)
class Difference:
    """How much better a row is than the primary inference of the baseline, on the same items, seed by seed.

    With d[s, e] the difference in accuracy of seed s on episode (or image) e:

    Attributes:
        baseline: name of the recipe.
        inference: of the baseline.
        seeds: that both have.
        mean: of all d[s, e], a fraction.
        ci95: half-width of the 95 % t-interval over e of the mean over s.
        by_seed: the mean over e of each seed.
        deviation: standard deviation of these; not a number with one seed.
        relative: mean accuracy over that of the baseline, minus 1.
    """

    baseline: str
    inference: str
    seeds: tuple[int, ...]
    mean: float
    ci95: float
    by_seed: tuple[float, ...]
    deviation: float
    relative: float


@dataclass(frozen=True)
class StudyRow:
    """One recipe in one setting by one inference.

    Attributes:
        recipe: its name.
        setting: of the test, such as "1-shot"; empty where there is but one.
        inference: its name.
        primary: whether it is the one that the best checkpoints were chosen by.
        dataset: that the accuracies were measured on, with the split.
        seeds: those that are done.
        accuracies: one a seed, fractions.
        mean: of them.
        deviation: their standard deviation; not a number with one seed.
        ci95: half-width of the 95 % t-interval over episodes or images of the mean over seeds.
        unit: "episodes" or "images".
        items: how many of them.
        groups: the same of the classes with many, medium and few training images, where there are such.
        run_folders: where they come from, one a seed.
        difference: to the baseline, if there is one and this is another recipe.
    """

    recipe: str
    setting: str
    inference: str
    primary: bool
    dataset: str
    seeds: tuple[int, ...]
    accuracies: tuple[float, ...]
    mean: float
    deviation: float
    ci95: float
    unit: str
    items: int
    groups: dict[str, tuple[float, ...]]
    run_folders: tuple[str, ...]
    difference: Difference | None = None

    @property
    def inference_title(self) -> str:
        """What tables call the inference."""
        return inference_title(self.inference)


class _Measured(NamedTuple):
    row: StudyRow
    accuracies: NDArray[np.float64]  # [S, E] by seed and item


def study_rows(
    kind: Kind[Any, Any],  # of all runs
    runs: Mapping[str, Mapping[int, DoneCell]],  # by recipe: by seed
    baseline: str = "",  # name of a recipe; none if it is empty
) -> list[StudyRow]:
    """Results gathered by recipe, setting and inference, and compared with a baseline.

    Raises:
        UserError: if two runs that would stand beside one another were not tested on the same images and episodes, or
            the outcomes of a test are gone.
    """
    same = _Same()
    measured = [_measure(kind, name, key, by_seed, same) for name, by_seed in runs.items() for key in _keys(by_seed)]
    if not baseline:
        return [one.row for one in measured]
    bases = {one.row.setting: one for one in measured if one.row.recipe == baseline and one.row.primary}
    if not bases:
        raise UserError(f"{baseline}: the baseline has no run that is done, so nothing can be compared with it")
    return [one.row if one.row.recipe == baseline else _compared(one, bases) for one in measured]


def _keys(by_seed: Mapping[int, DoneCell]) -> list[tuple[str, str]]:
    """Setting and inference of every result that all seeds have."""
    found = [[(result.setting, result.inference) for result in tested.results] for tested in by_seed.values()]
    return [key for key in found[0] if all(key in others for others in found)] if found else []


def _measure(
    kind: Kind[Any, Any], name: str, key: tuple[str, str], by_seed: Mapping[int, DoneCell], same: "_Same"
) -> _Measured:
    results, outcomes = [], []
    for folder, tested in by_seed.values():
        result = next(result for result in tested if (result.setting, result.inference) == key)
        results.append(result)
        outcomes.append(kind.outcomes(folder, result))
        same.check(folder, result, outcomes[-1])
    first, items = results[0], np.stack([outcome.accuracies for outcome in outcomes])
    accuracies = tuple(result.accuracy for result in results)
    row = StudyRow(
        recipe=name,
        setting=first.setting,
        inference=first.inference,
        primary=first.primary,
        dataset=f"{first.dataset}/{first.split}",
        seeds=tuple(by_seed),
        accuracies=accuracies,
        mean=float(np.mean(accuracies)),
        deviation=_deviation(accuracies),
        ci95=interval_half_width(items.mean(axis=0)),
        unit=first.unit,
        items=items.shape[1],
        groups={name: tuple(result.parts[name] for result in results) for name in first.parts},
        run_folders=tuple(str(tested.folder.path) for tested in by_seed.values()),
    )
    return _Measured(row, items)


def _compared(one: _Measured, bases: Mapping[str, _Measured]) -> StudyRow:
    base = bases.get(one.row.setting)
    if base is None or base.row.dataset != one.row.dataset:
        other = next(iter(bases.values())).row
        raise UserError(
            f"{one.row.recipe} was tested on {one.row.dataset} and the baseline {other.recipe} on {other.dataset}: "
            "their difference means nothing; study one after the other, or leave out --baseline"
        )
    seeds = tuple(seed for seed in one.row.seeds if seed in base.row.seeds)
    if not seeds:
        return one.row
    ours, theirs = (
        side.accuracies[[side.row.seeds.index(seed) for seed in seeds]]  # [S, E]
        for side in (one, base)
    )
    differences = ours - theirs
    by_seed = tuple(float(value) for value in differences.mean(axis=1))
    difference = Difference(
        baseline=base.row.recipe,
        inference=base.row.inference,
        seeds=seeds,
        mean=float(differences.mean()),
        ci95=interval_half_width(differences.mean(axis=0)),
        by_seed=by_seed,
        deviation=_deviation(by_seed),
        relative=float(ours.mean() / theirs.mean() - 1) if theirs.mean() else float("nan"),
    )
    return replace(one.row, difference=difference)


def _deviation(values: Sequence[float]) -> float:
    """Sample standard deviation; not a number for a single value."""
    return float(np.std(values, ddof=1)) if len(values) > 1 else float("nan")


class _Same:
    """Sees that all results of one data set and setting are of the same images and episodes."""

    def __init__(self) -> None:
        self._first: dict[tuple[str, str, str], tuple[RunFolder, Result, Outcomes]] = {}

    def check(self, folder: RunFolder, result: Result, outcomes: Outcomes) -> None:
        """Raise UserError unless they are those of the first one."""
        place = result.dataset, result.split, result.setting
        first_folder, first, before = self._first.setdefault(place, (folder, result, outcomes))
        both = f"{first_folder.path} and {folder.path} were tested on"
        if first.fingerprint != result.fingerprint:
            raise UserError(f"{both} different images of {result.dataset}/{result.split}; test both on the same data")
        if first.protocol != result.protocol or not before.of_the_same(outcomes):
            raise UserError(f"{both} different {result.unit}; test both again in the same way")

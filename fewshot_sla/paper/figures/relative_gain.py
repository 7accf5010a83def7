"""The relative gain over a baseline against the number of training images a class, from run folders."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import yaml

from episodes.errors import UserError
from fewshot_sla.classification.results import ClassificationResult
from fewshot_sla.classification.trained_runs import result_of, trained_on
from fewshot_sla.inference import inference_title
from fewshot_sla.runs.checkpoint import load_state
from fewshot_sla.runs.folder import RunFolder
from fewshot_sla.runs.results import read_results

# Of which inferences a line is drawn where there are several: SLA+SD is meant to be used by its distilled one.
_DRAWN = {"SLASD": ("distilled",)}


class LimitedRun(NamedTuple):
    """A run that was trained with as many images of every class, and tested."""

    folder: RunFolder
    objective: str  # name of its class
    images_per_class: int
    seed: int
    results: dict[str, ClassificationResult]  # by inference
    state: dict[str, Any]  # what its checkpoint says

    @property
    def partner(self) -> tuple[int, int]:
        """What it has in common with the runs that it is held against."""
        return self.images_per_class, self.seed


class Gains(NamedTuple):
    """Relative gains of an objective by one inference."""

    objective: str
    inference: str
    gains: dict[int, tuple[float, ...]]  # for each n, in order, one a seed: accuracy / accuracy of the baseline - 1

    @property
    def name(self) -> str:
        """What the line is called."""
        return f"{self.objective}, {inference_title(self.inference)}"


def find_runs(paths: Sequence[str]) -> list[RunFolder]:
    """Run folders, and of other folders (such as that of a study) all run folders in them, each once.

    Raises:
        UserError: if a folder is none and holds none.
    """
    found: dict[Path, RunFolder] = {}
    for path in paths:
        given = RunFolder(path)
        inside = [RunFolder(file.parent) for file in sorted(given.path.rglob("best.safetensors"))]
        runs = [given] if given.holds_run else [folder for folder in inside if folder.holds_run]
        if not runs:
            given.require()  # says what is wrong
        found.update({folder.path.resolve(): folder for folder in runs})
    return list(found.values())


def read_runs(folders: Sequence[RunFolder], split: str) -> list[LimitedRun]:
    """What the runs say of their training and their test.

    Raises:
        UserError: if a run is of another kind, was not tested, or its classes are not of one size.
    """
    return [_read_run(folder, split) for folder in folders]


def relative_gains(
    runs: Sequence[LimitedRun],
    baseline: str,  # name of the objective that the others are held against
) -> list[Gains]:
    """Runs of every objective beside those of the baseline with as many training images and the same seed.

    Raises:
        UserError: if a run has no partner, or one that was trained or tested on other images, or for another number of
            steps.
    """
    before = _by_partner([run for run in runs if run.objective == baseline])
    objectives = sorted({run.objective for run in runs} - {baseline})
    if not before or not objectives:
        there = ", ".join(sorted({run.objective for run in runs}))
        raise UserError(f"a gain needs runs of {baseline} and of another objective, tested; there are runs of {there}")
    found = []
    for objective in objectives:
        after = _by_partner([run for run in runs if run.objective == objective])
        _check_partners(before, after)
        inferences = _DRAWN.get(objective) or tuple(next(iter(after.values())).results)
        for inference in sorted(inferences):
            gains: dict[int, tuple[float, ...]] = {}
            for key in sorted(after):
                gain = _gain(before[key], after[key], inference)
                gains[key[0]] = (*gains.get(key[0], ()), gain)
            found.append(Gains(objective, inference, gains))
    return found


def _read_run(folder: RunFolder, split: str) -> LimitedRun:
    counts = trained_on(folder).class_counts
    if len(set(counts)) > 1:
        raise UserError(
            f"{folder.path}: its classes have {min(counts)} to {max(counts)} training images; "
            "this figure needs as many of every class"
        )
    try:
        described = yaml.safe_load(folder.config.read_text(encoding="utf-8"))
        seed, objective = int(described["seed"]), str(described["objective"]["class_path"]).rpartition(".")[2]
    except (yaml.YAMLError, KeyError, TypeError, ValueError) as error:
        raise UserError(f"{folder.config}: seed and objective of the run cannot be read ({error})") from error
    result_of(folder, split)  # says what is wrong with its results
    tested = [found for found in read_results(folder, ClassificationResult) if found.split == split]
    results = {result.inference: result for result in tested if result.crops == 1}
    return LimitedRun(folder, objective, counts[0], seed, results, load_state(folder.checkpoint))


def _by_partner(runs: Sequence[LimitedRun]) -> dict[tuple[int, int], LimitedRun]:
    found: dict[tuple[int, int], LimitedRun] = {}
    for run in runs:
        if run.partner in found:
            raise UserError(
                f"{run.folder.path}: another run of {run.objective} has {run.images_per_class} training images a class "
                f"and seed {run.seed} too ({found[run.partner].folder.path}); leave one out"
            )
        found[run.partner] = run
    return found


def _check_partners(
    before: dict[tuple[int, int], LimitedRun],
    after: dict[tuple[int, int], LimitedRun],
) -> None:
    first, second = next(iter(before.values())).objective, next(iter(after.values())).objective
    for (size, seed), run in (before | after).items():
        if (size, seed) not in before or (size, seed) not in after:
            lacking = second if (size, seed) in before else first
            raise UserError(
                f"{run.folder.path}: there is no run of {lacking} with {size} training images a class and seed {seed}"
            )
        a, b = before[size, seed], after[size, seed]
        for name, what in (("fingerprint", "on other images"), ("steps", "for another number of steps")):
            if a.state.get(name) != b.state.get(name):
                raise UserError(f"{b.folder.path} was trained {what} than {a.folder.path}; a gain needs the same")


def _gain(a: LimitedRun, b: LimitedRun, inference: str) -> float:
    before = next((result for result in a.results.values() if result.primary), None)
    if before is None or inference not in b.results:
        lacking, name = (b, inference) if before else (a, "its primary inference")
        raise UserError(f"{lacking.folder.results}: no results by {name}; there are {', '.join(lacking.results)}")
    after = b.results[inference]
    if before.fingerprint != after.fingerprint:
        raise UserError(
            f"{a.folder.path} and {b.folder.path} were tested on different images ({before.dataset} and "
            f"{after.dataset}); a gain needs the same"
        )
    if not before.accuracy:
        raise UserError(f"{a.folder.path}: its accuracy is 0, so that nothing can be said of a relative gain")
    return after.accuracy / before.accuracy - 1

"""What lies in a folder of trained cells: runs by recipe and seed, what they were trained on and for how long."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from episodes.errors import UserError
from fewshot_sla.classification.ensemble import EnsembleRecord, read_ensemble
from fewshot_sla.classification.kind import CLASSIFICATION
from fewshot_sla.classification.recipe import ClassificationTest
from fewshot_sla.classification.results import ClassificationResult
from fewshot_sla.cli.recipes import recipe_name, wing_of
from fewshot_sla.paper.recipe_of_run import check_recipe, configuration_of, resolved_recipe, share_of
from fewshot_sla.runs.checkpoint import load_state
from fewshot_sla.runs.folder import RunFolder
from fewshot_sla.runs.results import Result, read_results
from fewshot_sla.runs.unfinished import progress_of
from fewshot_sla.studies.kinds import KINDS
from fewshot_sla.training.kind import Kind


@dataclass(frozen=True)
class FoundRun:
    """One trained run of a recipe.

    Attributes:
        folder: where it lies.
        seed: of its training.
        share: of the schedule of the recipe that it was trained for.
        made: steps made, of how many; None where that cannot be told.
        trained_on: fingerprint of its training images.
        step: of the weights that it keeps; 0 if it has not come that far.
        results: of the standard tests of these weights on the split; empty before it was tested.
        ten_crops: the same with ten crops.
    """

    folder: RunFolder
    seed: int
    share: float
    made: tuple[int, int] | None
    trained_on: str
    step: int
    results: tuple[Result, ...]
    ten_crops: tuple[Result, ...]

    @property
    def finished(self) -> bool:
        """Whether no step is left to be made, as far as that can be told."""
        return self.made is None or self.made[0] >= self.made[1]


class FoundRuns:
    """Runs of recipes in a folder, ``FOLDER/NAME/seedS``; each is read once.

    What cannot be read is left out, and said in :attr:`problems`.

    Args:
        folder: that all runs are looked for in.
        split: that the figures are of.

    Attributes:
        problems: one line each, in the order in which they were met.
    """

    def __init__(self, folder: Path, split: str) -> None:
        self.folder, self.split = folder, split
        self.problems: list[str] = []
        self._recipes: dict[str, dict[str, Any] | None] = {}
        self._runs: dict[tuple[str, int], FoundRun | None] = {}
        self._ensembles: dict[Path, EnsembleRecord | None] = {}
        self._blocked: set[tuple[str, int]] = set()

    def place(self, word: str, seed: int) -> RunFolder:
        """Where the run of a recipe and seed goes."""
        return RunFolder(self.folder / recipe_name(word, with_base=True) / f"seed{seed}")

    def ensemble_file(self, word: str, models: int) -> Path:
        """Where the figures of an ensemble go."""
        suffix = "" if self.split == "test" else f"_{self.split}"
        return self.folder / recipe_name(word, with_base=True) / f"ensemble{models}{suffix}.json"

    def recipe(self, word: str) -> dict[str, Any] | None:
        """The resolved recipe of a word; None, once with a problem, if there is no such recipe."""
        if word not in self._recipes:
            try:
                self._recipes[word] = resolved_recipe(kind_of(word), word)
            except UserError as error:
                self._recipes[word] = None
                self._say(f"{word}: {error}")
        return self._recipes[word]

    def runs(self, word: str, seeds: Iterable[int]) -> list[FoundRun]:
        """The runs of a recipe that are there, in the order of the seeds."""
        found = [self._run(word, seed) for seed in seeds]
        return [run for run in found if run is not None]

    def blocked(self, word: str, seed: int) -> bool:
        """Whether something lies in the place of a run that must be moved away, or mended, by its owner first."""
        self._run(word, seed)
        return (word, seed) in self._blocked

    def ensemble(self, word: str, models: int) -> EnsembleRecord | None:
        """The figures of an ensemble, if they are there."""
        path = self.ensemble_file(word, models)
        if path not in self._ensembles:
            try:
                self._ensembles[path] = read_ensemble(path) if path.exists() else None
            except UserError as error:
                self._ensembles[path] = None
                self._say(error)
        return self._ensembles[path]

    def _run(self, word: str, seed: int) -> FoundRun | None:
        if (word, seed) not in self._runs:
            try:
                self._runs[word, seed] = self._read(word, seed)
            except UserError as error:
                self._runs[word, seed] = None
                self._say(error)
                self._blocked.add((word, seed))
        return self._runs[word, seed]

    def _read(self, word: str, seed: int) -> FoundRun | None:
        folder = self.place(word, seed)
        recipe = self.recipe(word) if folder.holds_run else None
        if recipe is None:
            return None
        kind = kind_of(word)
        configured = configuration_of(kind, folder, recipe)
        check_recipe(folder, configured, word, recipe)
        if configured["seed"] != seed:
            raise UserError(f"{folder.path}: its run was trained with seed {configured['seed']}, not {seed}")
        state, progress = load_state(folder.checkpoint), progress_of(folder)
        run = FoundRun(
            folder=folder,
            seed=seed,
            share=share_of(configured, recipe),
            made=progress and (progress.made, progress.steps),
            trained_on=str(state.get("fingerprint", "")),
            step=int(state.get("best", {}).get("step", 0)),
            results=(),
            ten_crops=(),
        )
        return self._with_results(run, word) if folder.best.exists() else run  # else it stopped before a validation

    def _with_results(self, run: FoundRun, word: str) -> FoundRun:
        """The run with the figures of its tests; without, and with a problem, if they cannot be read."""
        kind = kind_of(word)
        results: Sequence[Result] = ()
        ten_crops: list[Result] = []
        try:
            results = kind.results(run.folder, self.split)
            if kind is CLASSIFICATION and run.folder.results.exists():
                wanted = self.split, run.step, ClassificationTest().padding
                ten_crops += [
                    result
                    for result in read_results(run.folder, ClassificationResult)
                    if (result.split, result.step, result.padding) == wanted and result.crops > 1
                ]
        except UserError as error:
            self._say(error)
            self._blocked.add((word, run.seed))
        return replace(run, results=tuple(results), ten_crops=tuple(ten_crops))

    def _say(self, problem: object) -> None:
        line = " ".join(str(problem).split())
        if line not in self.problems:
            self.problems.append(line)


def kind_of(word: str) -> Kind[Any, Any]:
    """The kind of training that a recipe is of.

    Raises:
        UserError: if no wing has such a base.
    """
    return KINDS[wing_of(word)]

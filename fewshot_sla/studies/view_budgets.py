"""What a trained model gains by the number of views it aggregates, over one view or over another run."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from lightning_fabric import Fabric

from episodes.episode import EpisodeSpec
from episodes.errors import UserError
from episodes.images.base import Images
from episodes.progress import show_progress
from episodes.source import EpisodeSource
from fewshot_sla.inference import Inference, of_views
from fewshot_sla.meta.kind import META
from fewshot_sla.runs.folder import RunFolder
from fewshot_sla.studies.inferences_at_once import TestSetting, accuracies_at_once, images_of
from fewshot_sla.studies.kinds import kind_of
from fewshot_sla.studies.view_subsets import ALONE, SizeGains, Views, gains_by_size, subsets_of_views
from fewshot_sla.training.recipe import Hardware
from fewshot_sla.training.trained import TrainedRun, load_trained


@dataclass(frozen=True)
class BudgetCurve:
    """The gains of one test.

    Attributes:
        setting: the number of shots, such as "5-shot"; empty for a classifier.
        base_accuracy: of what the gain is over, a fraction.
        units: how many images or episodes.
        gains: one entry a number of views.
    """

    setting: str
    base_accuracy: float
    units: int
    gains: list[SizeGains]


@dataclass(frozen=True)
class BudgetedRun:
    """A run whose inference has several views, and what it is tested on.

    Attributes:
        run: the run.
        inference: name of the inference.
        images: that it is tested on.
        baseline: run that the gain is over; None for the image alone by the same model.
    """

    run: TrainedRun[Any, Any]
    inference: str
    images: Images
    baseline: TrainedRun[Any, Any] | None

    @property
    def is_few_shot(self) -> bool:
        """Whether it is tested on episodes."""
        return isinstance(self.run.recipe, META.recipe)


def open_budgeted(folder: RunFolder, baseline: RunFolder | None, inference: str, split: str) -> BudgetedRun:
    """A run and its images; nothing is computed yet.

    Args:
        folder: the run.
        baseline: another run, tested on the same images.
        inference: its name; "" for the one with several views.
        split: of the data.

    Raises:
        UserError: if a run cannot be loaded, has no views to aggregate, or the two have not the same images.
    """
    run = load_trained(kind_of(folder), folder)
    name = _inference_with_views(run, inference)
    images = images_of(run, split)
    other = None
    if baseline is not None:
        if kind_of(baseline).wing != kind_of(folder).wing:
            raise UserError(f"{baseline.path} and {folder.path} are of different kinds of training; give two of one")
        other = load_trained(kind_of(baseline), baseline)
        if images_of(other, split).fingerprint != images.fingerprint:
            raise UserError(
                f"{baseline.path}: its {split} images are not those of {folder.path}; a gain needs the same"
            )
    return BudgetedRun(run, name, images, other)


def budget_curve(
    budgeted: BudgetedRun,
    setting: TestSetting,
    subsets: dict[int, list[Views]],
    hardware: Hardware,
    fabric: Fabric,
) -> BudgetCurve:
    """Accuracy by every subset of views on the same images or episodes, and the gain of each size."""
    run, shots = budgeted.run, f"{setting.spec.k_shot}-shot" if setting.spec else ""
    inference = run.recipe.objective.inferences[budgeted.inference]
    wanted = {views for chosen in subsets.values() for views in chosen} | {tuple(range(m)) for m in subsets}
    by_name = {_name(views): of_views(inference, views) for views in sorted(wanted)}
    with show_progress(f"views, {shots}" if shots else "views") as on_progress:
        found = accuracies_at_once(run, budgeted.images, by_name, setting, hardware, fabric, on_progress)
    accuracies = {views: found[_name(views)] for views in wanted}
    base = accuracies[ALONE]
    if other := budgeted.baseline:
        objective = other.recipe.objective
        primary = {objective.primary: objective.inferences[objective.primary]}
        with show_progress("baseline") as on_progress:
            images = budgeted.images
            base = accuracies_at_once(other, images, primary, setting, hardware, fabric, on_progress)[objective.primary]
    if not base.mean():
        raise UserError(f"{run.folder.path}: what the gain is over is never right, so that there is no relative gain")
    return BudgetCurve(shots, float(base.mean()), len(base), gains_by_size(accuracies, subsets, base))


def budget_curves(
    budgeted: BudgetedRun,
    settings: Sequence[TestSetting],
    most: int,  # subsets of each size
    hardware: Hardware,
) -> list[BudgetCurve]:
    """One curve a setting.

    Raises:
        UserError: if the images cannot fill the episodes.
    """
    if budgeted.is_few_shot:
        for setting in settings:  # what cannot be drawn is said before anything is computed
            assert setting.spec is not None
            EpisodeSource(budgeted.images, setting.spec, setting.seed, budgeted.run.normalization)  # type: ignore[arg-type]
    subsets = subsets_of_views(budgeted.run.recipe.objective.transformations.m, most)
    fabric = hardware.fabric()
    return [budget_curve(budgeted, setting, subsets, hardware, fabric) for setting in settings]


def settings_of(
    budgeted: BudgetedRun,
    split: str,
    n_way: int,
    k_shot: Sequence[int],
    n_query: int,
    episodes: int,
    seed: int,
) -> list[TestSetting]:
    """For a meta-learner one setting a number of shots, for a classifier all images of the split."""
    if not budgeted.is_few_shot:
        return [TestSetting(split)]
    return [TestSetting(split, episodes, seed, EpisodeSpec(n_way, shots, n_query)) for shots in k_shot]


def _inference_with_views(run: TrainedRun[Any, Any], wanted: str) -> str:
    """Name of the inference that is asked for, or of the one that predicts from all M views."""
    objective, where = run.recipe.objective, run.folder.path
    inferences: dict[str, Inference] = dict(objective.inferences)
    if wanted and wanted not in inferences:
        raise UserError(f"{where}: no inference {wanted!r}; it has {', '.join(inferences)}")
    if objective.transformations.m < 2:
        raise UserError(f"{where}: trained with {type(objective).__name__} on one view; there is nothing to aggregate")
    name = wanted or "aggregated"
    if name not in inferences:
        raise UserError(f"{where}: no inference called aggregated; name one of {', '.join(inferences)} by --inference")
    return name


def _name(views: Views) -> str:
    return "+".join(map(str, views))

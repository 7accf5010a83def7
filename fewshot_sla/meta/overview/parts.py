"""The parts of a few-shot run in a report: from the outcome of every episode, and from some predicted again."""

from collections import defaultdict
from collections.abc import Callable, Sequence

import numpy as np
import torch
from lightning_fabric import Fabric
from numpy.typing import NDArray

from episodes.datasets.base import load_split
from episodes.episode import EpisodeSpec
from episodes.errors import UserError
from episodes.progress import OnProgress
from episodes.source import EpisodeSource
from fewshot_sla.inference import inference_title
from fewshot_sla.inference.first_views import widest_inference
from fewshot_sla.meta.features import embed_views
from fewshot_sla.meta.learners.base import MetaLearner
from fewshot_sla.meta.outcome_files import read_outcomes
from fewshot_sla.meta.overview.examples import chosen_episodes, episode_example
from fewshot_sla.meta.overview.looked import LookedAt, look_at
from fewshot_sla.meta.recipe import MetaTraining
from fewshot_sla.meta.results import EpisodeResult
from fewshot_sla.reporting.overview.neighbours import feature_map, images_of_map
from fewshot_sla.reporting.overview.parts import (
    ByViews,
    ClassAccuracy,
    Confusion,
    Example,
    FeatureMap,
    Looking,
    Missing,
    RunParts,
    part,
)
from fewshot_sla.runs.folder import RunFolder
from fewshot_sla.runs.results import read_results
from fewshot_sla.runs.statistics import interval_half_width
from fewshot_sla.training.modes import evaluation_mode
from fewshot_sla.training.recipe import Hardware
from fewshot_sla.training.trained import TrainedRun

Trained = TrainedRun[MetaTraining, MetaLearner]
Outcomes = tuple[NDArray[np.int64], NDArray[np.str_]]  # right answers [E, N], names of the classes [E, N]


def run_parts(
    load: Callable[[], Trained],
    folder: RunFolder,
    looking: Looking,
    hardware: Hardware,
    on_progress: OnProgress,
) -> RunParts:
    """All parts of a run.

    Raises:
        UserError: if results.json is damaged.
    """
    results = tuple(read_results(folder, EpisodeResult)) if folder.results.exists() else ()
    shown = shown_result(results)
    if shown is None:
        return RunParts.without(f"no results yet; run python -m fewshot_sla.meta_test {folder.path}", results)
    outcomes = part(lambda: read_outcomes(folder, shown))
    seen = part(lambda: _Seen(load(), shown, looking, hardware, outcomes, on_progress))
    return RunParts(
        results=results,
        tested=_tested(shown, folder),
        examples=seen if isinstance(seen, Missing) else part(seen.examples),
        confusion=seen if isinstance(seen, Missing) else part(seen.confusion),
        by_class=outcomes if isinstance(outcomes, Missing) else by_class(*outcomes, shown.n_query),
        by_views=seen if isinstance(seen, Missing) else part(seen.by_views),
        features=seen if isinstance(seen, Missing) else part(seen.features),
    )


def shown_result(results: Sequence[EpisodeResult]) -> EpisodeResult | None:
    """The result that is looked at: by the primary inference, of test if there is one, without crops, fewest shots."""

    def order(result: EpisodeResult) -> tuple[bool, int, int, int]:
        return result.split != "test", result.crops, result.k_shot, -result.episodes

    return min((result for result in results if result.primary), key=order, default=None)


def by_class(
    correct: NDArray[np.int64],  # [E, N] right answers
    classes: NDArray[np.str_],  # [E, N] names
    n_query: int,
) -> dict[str, ClassAccuracy]:
    """Accuracy of each class over the episodes that it occurs in; sorted by name."""
    found: dict[str, list[int]] = defaultdict(list)
    for name, right in zip(classes.flat, correct.flat, strict=True):
        found[str(name)].append(int(right))
    return {
        name: ClassAccuracy(sum(found[name]) / (n_query * len(found[name])), f"{len(found[name])} episodes")
        for name in sorted(found)
    }


def _tested(result: EpisodeResult, folder: RunFolder) -> str:
    said = (
        f"{result.dataset}/{result.split}, {result.n_way}-way {result.k_shot}-shot, {result.episodes:,} episodes, "
        f"{inference_title(result.inference)} inference"
    )
    if result.split == "test":
        return said
    return f"{said}; not tested yet: python -m fewshot_sla.meta_test {folder.path}"


class _Seen:
    """A run with its images, and some episodes of one of its results predicted again."""

    def __init__(
        self,
        run: Trained,
        result: EpisodeResult,
        looking: Looking,
        hardware: Hardware,
        outcomes: Outcomes | Missing,
        on_progress: OnProgress,
    ) -> None:
        if not looking.episodes:
            raise UserError("not asked for: --episodes 0")
        run.check_weights(result)
        images = load_split(run.recipe.data, result.split)
        run.check_images(result, images)
        fabric: Fabric = hardware.fabric()
        hardware.prepare(run.to(fabric.device).model)
        images = images.on(fabric.device, hardware.placement)
        spec = EpisodeSpec(result.n_way, result.k_shot, result.n_query)
        self._run, self._images, self._autocast, self._outcomes = run, images, fabric.autocast, outcomes
        self._source = EpisodeSource(images, spec, result.seed, run.normalization)
        self._count = min(looking.episodes, result.episodes)
        self._chosen = {} if isinstance(outcomes, Missing) else chosen_episodes(outcomes[0])
        numbers = list(dict.fromkeys([*range(self._count), *self._chosen.values()]))
        self._place = {number: place for place, number in enumerate(numbers)}
        self._looked = look_at(run.model, run.recipe.objective, self._source, numbers, self._autocast, on_progress)

    def examples(self) -> tuple[Example, ...]:
        """The best, the median and the worst episode."""
        if isinstance(self._outcomes, Missing):
            raise UserError(self._outcomes.why)
        correct, _ = self._outcomes
        n_query = self._source.sampler.spec.n_query
        return tuple(
            episode_example(
                kind,
                number,
                correct[number],
                n_query,
                self._images,
                self._looked.indices,
                self._looked.predicted,
                place,
            )
            for kind, number in self._chosen.items()
            for place in (self._place[number],)
        )

    def confusion(self) -> Confusion:
        """Over the first episodes, by the primary inference."""
        looked = self._first()
        classes = len(self._images.class_names)
        right = looked.indices.classes.gather(1, looked.indices.query_labels)  # [E, R], classes of the data set
        given = looked.indices.classes.gather(1, looked.predicted)
        pairs = (right * classes + given).flatten()
        counts = torch.bincount(pairs, minlength=classes * classes).view(classes, classes).numpy()
        met = torch.zeros(classes, classes, dtype=torch.int64)
        for drawn in looked.indices.classes:
            met[drawn[:, None], drawn[None]] += self._source.sampler.spec.n_query
        present = np.flatnonzero(counts.sum(axis=1))
        names = tuple(self._images.class_names[c] for c in present)
        n_way = self._source.sampler.spec.n_way
        of = f"The {pairs.numel():,} queries of the first {self._count:,} episodes of the test."
        both = np.ix_(present, present)
        if classes == n_way:
            return Confusion(names, counts[both], of)
        of += f" Of the queries of a class those count whose episode, of {n_way} classes, has the other class too."
        return Confusion(names, counts[both], of, met.numpy()[both])

    def by_views(self) -> ByViews:
        """Over the first episodes, by the inference that asks most views."""
        objective, looked = self._run.recipe.objective, self._first()
        widest = widest_inference(objective.inferences, objective.primary, objective.transformations.m)
        right = looked.by_first_views == looked.indices.query_labels.unsqueeze(-1)
        accuracies = right.double().mean(dim=1).numpy()  # [E, V]
        if accuracies.shape[1] == 1:
            raise UserError(f"{type(objective).__name__} predicts from one view alone: there is nothing to aggregate")
        return ByViews(
            views=objective.transformations.names[: accuracies.shape[1]],
            accuracies=tuple(map(float, accuracies.mean(axis=0))),
            half_widths=tuple(interval_half_width(column) for column in accuracies.T),
            of=f"The first {self._count:,} episodes of the test, {inference_title(widest)} inference.",
        )

    def features(self) -> FeatureMap:
        """Of all views of some images of a few classes."""
        learner, transformations = self._run.model, self._run.recipe.objective.transformations
        if not learner.has_features:
            raise UserError(f"{type(learner).__name__} has no features of single images")
        numbers = images_of_map(self._images.labels, transformations.m)
        with evaluation_mode(learner):
            features = embed_views(learner, self._source, transformations, self._autocast, numbers)
        names, of = self._images.class_names, f"{len(numbers)} images of {self._images.name}"
        return feature_map(features, self._images.labels[numbers], names, transformations.names, of)

    def _first(self) -> LookedAt:
        indices, *labels = self._looked
        return LookedAt(indices.part(0, self._count), *(part[: self._count] for part in labels))

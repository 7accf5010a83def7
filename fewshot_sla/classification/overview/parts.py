"""The parts of a classifier in a report: from the prediction for every image, and from some predicted again."""

from collections.abc import Callable, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from episodes.datasets.base import open_split
from episodes.errors import UserError
from episodes.images.base import Images
from episodes.progress import OnProgress
from episodes.views import normalized_views
from fewshot_sla.classification.classifier import Classifier
from fewshot_sla.classification.predictions import images_per_pass
from fewshot_sla.classification.recipe import Classification
from fewshot_sla.classification.results import ClassificationResult, SaidOfImages, read_predictions
from fewshot_sla.inference import inference_title
from fewshot_sla.inference.first_views import by_first_views, widest_inference
from fewshot_sla.reporting.overview.neighbours import feature_map, images_of_map
from fewshot_sla.reporting.overview.parts import (
    Asked,
    ByViews,
    ClassAccuracy,
    Confusion,
    Example,
    ExampleRow,
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

Trained = TrainedRun[Classification, Classifier]
_MOST_MISTAKES = 24  # pictures that are shown


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
    results = tuple(read_results(folder, ClassificationResult)) if folder.results.exists() else ()
    shown = shown_result(results)
    if shown is None:
        return RunParts.without(f"no results yet; run python -m fewshot_sla.test {folder.path}", results)
    said = part(lambda: read_predictions(folder, shown))
    seen = part(lambda: _Seen(load(), shown, looking, hardware, on_progress))
    return RunParts(
        results=results,
        tested=_tested(shown, folder),
        examples=_both(seen, said, lambda seen, said: seen.mistakes(said)),
        confusion=said if isinstance(said, Missing) else confusion(said),
        by_class=said if isinstance(said, Missing) else by_class(said, shown),
        by_views=seen if isinstance(seen, Missing) else part(seen.by_views),
        features=seen if isinstance(seen, Missing) else part(seen.features),
    )


def shown_result(results: Sequence[ClassificationResult]) -> ClassificationResult | None:
    """The result that is looked at: by the primary inference, of the test split if there is one, without crops."""
    primary = [result for result in results if result.primary]
    return min(primary, key=lambda result: (result.split != "test", result.crops), default=None)


def confusion(said: SaidOfImages) -> Confusion:
    """All images, in the order in which their classes occur."""
    names = list(dict.fromkeys([*said.labels.tolist(), *said.given.tolist()]))
    place = {name: number for number, name in enumerate(names)}
    counts = np.zeros((len(names), len(names)), dtype=np.int64)
    for label, given in zip(said.labels, said.given, strict=True):
        counts[place[str(label)], place[str(given)]] += 1
    return Confusion(tuple(names), counts, f"All {len(said.labels):,} images of the test.")


def by_class(said: SaidOfImages, result: ClassificationResult) -> dict[str, ClassAccuracy]:
    """Accuracy of each class that has images."""
    of_class: dict[str, list[bool]] = {}
    for label, right in zip(said.labels.tolist(), said.right.tolist(), strict=True):
        of_class.setdefault(label, []).append(right)
    return {name: ClassAccuracy(sum(mine) / len(mine), f"{len(mine)} images") for name, mine in of_class.items()}


def _both(
    seen: "_Seen | Missing", said: SaidOfImages | Missing, make: Callable[["_Seen", SaidOfImages], tuple[Example, ...]]
) -> tuple[Example, ...] | Missing:
    if isinstance(said, Missing):
        return said
    return seen if isinstance(seen, Missing) else part(lambda: make(seen, said))


def _tested(result: ClassificationResult, folder: RunFolder) -> str:
    title = inference_title(result.inference)
    said = f"{result.dataset}/{result.split}, {result.images:,} images, {title} inference"
    if result.split == "test":
        return said
    return f"{said}; not tested yet: python -m fewshot_sla.test {folder.path}"


class _Seen:
    """A run with its images; some of them are predicted again."""

    def __init__(
        self,
        run: Trained,
        result: ClassificationResult,
        looking: Looking,
        hardware: Hardware,
        on_progress: OnProgress,
    ) -> None:
        if not looking.images:
            raise UserError("not asked for: --images 0")
        run.check_weights(result)
        images = open_split(run.recipe.data, result.split)
        run.check_images(result, images)
        fabric = hardware.fabric()
        hardware.prepare(run.to(fabric.device).model)
        self._run, self._autocast, self._on_progress = run, fabric.autocast, on_progress
        self._images: Images = images.on(fabric.device, hardware.placement)
        self._batches = self._images.batches(1, 0)
        self._most = min(looking.images, len(images))
        self._at_once = images_per_pass(run.recipe.objective, images.image_shape)

    def mistakes(self, said: SaidOfImages) -> tuple[Example, ...]:
        """The pictures that were given a wrong label with the highest probability, by their class."""
        wrong = np.flatnonzero(~said.right)
        worst = wrong[np.argsort(-said.probabilities[wrong], kind="stable")][:_MOST_MISTAKES]
        if not len(worst):
            return (Example("No mistake: every image was given its own label", ()),)
        pixels = dict(zip(worst.tolist(), self._pixels(torch.from_numpy(worst)), strict=True))
        rows = []
        for label in dict.fromkeys(said.labels[worst].tolist()):
            mine = [number for number in worst.tolist() if said.labels[number] == label]
            asked = tuple(
                Asked(pixels[k], False, f"{said.given[k]}, {100 * said.probabilities[k]:.0f} %", str(said.given[k]))
                for k in mine
            )
            rows.append(ExampleRow(label, (), asked))
        shown = f"the {len(worst)} of them" if len(worst) < len(wrong) else "all of them,"
        note = f"{len(wrong):,} of {len(said.labels):,} images were given a wrong label; {shown} with the highest "
        return (Example("Mistakes, the surest first", tuple(rows), f"{note}probability are shown."),)

    def by_views(self) -> ByViews:
        """Over images that are spread over the split, by the inference that asks most views."""
        objective = self._run.recipe.objective
        m = objective.transformations.m
        widest = widest_inference(objective.inferences, objective.primary, m)
        chosen = objective.inferences[widest]
        fewer = by_first_views(chosen, m)
        if len(fewer) == 1:
            raise UserError(f"{type(objective).__name__} predicts from one view alone: there is nothing to aggregate")
        numbers = torch.linspace(0, len(self._images) - 1, self._most).round().long()
        right: list[Tensor] = []
        with evaluation_mode(self._run.model), torch.no_grad():
            for batch in self._batches.in_order(numbers, self._at_once):
                with self._autocast():
                    logits = objective.scaled(self._run.model(self._views(batch.pixels)))
                rows = chosen.labelling.rows(logits[chosen.labelling.output], 0)
                labels = torch.stack([inference.predict(rows, m).argmax(dim=-1) for inference in fewer], dim=-1)
                right.append((labels == batch.labels.unsqueeze(-1)).cpu())  # [B, V]
                self._on_progress("images", sum(map(len, right)), self._most)
        columns = torch.cat(right).double().numpy().T  # [V, n]
        return ByViews(
            views=objective.transformations.names[: len(columns)],
            accuracies=tuple(float(column.mean()) for column in columns),
            half_widths=tuple(interval_half_width(column) for column in columns),
            of=f"{self._most:,} images, spread over {self._images.name}, {inference_title(widest)} inference.",
        )

    def features(self) -> FeatureMap:
        """Of all views of some images of a few classes."""
        backbone, transformations = self._run.model.backbone, self._run.recipe.objective.transformations
        numbers = images_of_map(self._images.labels, transformations.m)
        found = []
        with evaluation_mode(backbone), torch.no_grad():
            for batch in self._batches.in_order(numbers, self._at_once):
                views = self._views(batch.pixels)
                with self._autocast():
                    found.append(backbone(views.flatten(0, 1)).unflatten(0, views.shape[:2]).float().cpu())
        names, of = self._images.class_names, f"{len(numbers)} images of {self._images.name}"
        return feature_map(torch.cat(found), self._images.labels[numbers], names, transformations.names, of)

    def _views(self, pixels: Tensor) -> Tensor:  # [B, C, H, W] -> [B, M, C, H, W]
        return normalized_views(pixels, self._run.recipe.objective.transformations, self._run.normalization)

    def _pixels(self, numbers: Tensor) -> list[NDArray[np.uint8]]:
        found: list[NDArray[np.uint8]] = []
        for batch in self._batches.in_order(numbers, len(numbers)):
            pixels = batch.pixels if batch.pixels.dtype == torch.uint8 else (batch.pixels * 255).round().byte()
            found += list(pixels.cpu().numpy())
        return found

"""Testing trained classifiers, alone and together, on the images of one split."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

from lightning_fabric import Fabric

from episodes.batches.opening import SplitImages, placed
from episodes.errors import UserError
from fewshot_sla.classification.crops import as_is, ten_crops
from fewshot_sla.classification.predictions import Predictions, predict_classes
from fewshot_sla.classification.results import ClassResult, read_class_results, summarize_classes
from fewshot_sla.classification.task import images_per_pass
from fewshot_sla.classification.trained import TrainedClassifier, load_classifier
from fewshot_sla.cli.progress import show_progress
from fewshot_sla.runs.folder import RunFolder
from fewshot_sla.training.recipe import Hardware

TEN = 10


@dataclass(frozen=True)
class Tested:
    """What came of testing one classifier.

    Attributes:
        run: the classifier.
        images: what it was tested on.
        found: its predictions by the inferences asked for.
        results: what they come to, one an inference.
    """

    run: TrainedClassifier
    images: SplitImages
    found: Predictions
    results: list[ClassResult]


def load_together(folders: Sequence[RunFolder], split: str) -> list[tuple[TrainedClassifier, SplitImages]]:
    """Classifiers, each with a split of its own data: the same images for all, perhaps under several names.

    Raises:
        UserError: if a run is given twice or cannot be loaded, has other classes or images of another shape, or other
            images in this split: it may have been trained on those that the others are tested on.
    """
    paths = [folder.path.resolve() for folder in folders]
    twice = [folder.path for folder, path in zip(folders, paths, strict=True) if paths.count(path) > 1]
    if twice:
        raise UserError(f"{twice[0]}: the run is given twice")
    runs = [load_classifier(folder) for folder in folders]
    first = runs[0]
    images = first.recipe.data.open(split)
    found = []
    for run in runs:
        run.source(images)  # what does not fit is said before anything is computed
        same = run.configuration["data"] == first.configuration["data"]
        own = images if same else run.recipe.data.open(split)
        if own.fingerprint != images.fingerprint:
            raise UserError(
                f"{run.folder.path}: its {split} images are not those of {first.folder.path}; "
                "an ensemble needs runs with the same, by the same division of the same data"
            )
        found.append((run, own))
    return found


def evaluate_run(
    run: TrainedClassifier,
    images: SplitImages,
    hardware: Hardware,
    fabric: Fabric,
    *,
    inference: str = "",  # by default all that the objective has
    padding: int = 0,  # of the ten crops; 0 for the images as they are
) -> Tested:
    """Predict the class of every image.

    Raises:
        UserError: if the model has no such inference.
    """
    objective = run.recipe.objective
    chosen = [name for name in objective.inferences if inference in ("", name)]
    if not chosen:
        raise UserError(
            f"{run.folder.path}: trained with {type(objective).__name__}, which has no inference {inference!r}; "
            f"it has {', '.join(objective.inferences)}"
        )
    hardware.prepare(run.to(fabric.device).classifier)
    source = run.source(placed(images, fabric.device, hardware.placement))
    crops = TEN if padding else 1
    with show_progress(f"testing {run.folder.path.name}") as progress:
        found = predict_classes(
            run.classifier,
            objective,
            source.in_order(batch_size=images_per_pass(objective, crops)),
            run.normalization,
            crops=partial(ten_crops, padding=padding) if padding else as_is,
            autocast=fabric.autocast,
            on_batch=lambda done: progress.count("images", done, len(images)),
        )
    found = found._replace(probabilities={name: found.probabilities[name] for name in chosen})
    step = int(run.best["step"])
    results = summarize_classes(found, images, run.class_counts, primary=objective.primary, step=step, crops=crops)
    return Tested(run, images, found, results)


def is_tested(folder: RunFolder, split: str) -> bool:
    """Whether there are results by every inference, of the weights and the images as they are now.

    Raises:
        UserError: if the run, its results or its images cannot be read.
    """
    if not folder.results.exists():
        return False
    run = load_classifier(folder)
    now = int(run.best["step"]), run.recipe.data.open(split).fingerprint
    tested = {
        result.inference
        for result in read_class_results(folder)
        if result.split == split and result.crops == 1 and (result.step, result.fingerprint) == now
    }
    return tested.issuperset(run.recipe.objective.inferences)

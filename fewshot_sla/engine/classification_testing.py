"""Testing trained classifiers, alone and together, on the images of one split."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import torch
from lightning_fabric import Fabric

from episodes.batches import SplitImages, placed
from episodes.errors import UserError
from fewshot_sla.engine.checkpoint import load_checkpoint
from fewshot_sla.engine.classification import images_per_pass
from fewshot_sla.engine.classification_results import ClassResult, read_class_results, summarize_classes
from fewshot_sla.engine.classification_trained import TrainedClassifier, load_classifier
from fewshot_sla.engine.progress import show_progress
from fewshot_sla.engine.recipe import Hardware
from fewshot_sla.engine.run_folder import RunFolder
from fewshot_sla.evaluation.classification import Predictions, predict_classes
from fewshot_sla.evaluation.crops import as_is, ten_crops

TEN = 10


@dataclass(frozen=True)
class Tested:
    """What came of testing one classifier.

    Attributes:
        run: the classifier.
        found: its predictions by the inferences asked for.
        results: what they come to, one an inference.
    """

    run: TrainedClassifier
    found: Predictions
    results: list[ClassResult]


def load_together(folders: Sequence[RunFolder], split: str) -> tuple[list[TrainedClassifier], SplitImages]:
    """Classifiers that can be tested on the same images, and these images: a split of the first one's data.

    Raises:
        UserError: if a run cannot be loaded, or was trained on other classes or images of another shape.
    """
    runs = [load_classifier(folder) for folder in folders]
    images = runs[0].recipe.data.open(split)
    for run in runs:
        run.source(images)  # what does not fit is said before anything is computed
    return runs, images


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
    black = run.normalization(torch.zeros(images.image_shape[0], 1, 1, device=fabric.device)).flatten()
    with show_progress(f"testing {run.folder.path.name}") as progress:
        found = predict_classes(
            run.classifier,
            objective,
            source.in_order(batch_size=images_per_pass(objective, crops)),
            crops=partial(ten_crops, black=black, padding=padding) if padding else as_is,
            autocast=fabric.autocast,
            on_batch=lambda done: progress.count("images", done, len(images)),
        )
    found = found._replace(probabilities={name: found.probabilities[name] for name in chosen})
    step = int(run.best["step"])
    results = summarize_classes(found, images, run.class_counts, primary=objective.primary, step=step, crops=crops)
    return Tested(run, found, results)


def is_tested(folder: RunFolder, split: str) -> bool:
    """Whether there are results of the weights that the run keeps now."""
    if not folder.results.exists():
        return False
    step = int(load_checkpoint(folder.best)[1]["best"]["step"])
    return any(result.split == split and result.step == step for result in read_class_results(folder))

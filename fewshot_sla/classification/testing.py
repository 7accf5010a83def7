"""Testing trained classifiers, alone and together, on the images of one split."""

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from lightning_fabric import Fabric

from episodes.datasets.base import DataSource, open_split
from episodes.errors import UserError
from episodes.images.base import Images
from episodes.images.crops import as_is, crops_of, ten_crops
from episodes.progress import show_progress
from fewshot_sla.classification.classifier import Classifier
from fewshot_sla.classification.ensemble import EnsembleMember, ensemble_record, mean_logits, write_ensemble
from fewshot_sla.classification.objectives import ClassificationObjective
from fewshot_sla.classification.predictions import Predictions, counted, images_per_pass, predict_classes
from fewshot_sla.classification.recipe import Classification, ClassificationTest
from fewshot_sla.classification.results import ClassificationResult, prediction_tables, summarize_classes
from fewshot_sla.classification.tables import class_results_table, ensemble_table
from fewshot_sla.reporting.formats import Format, show
from fewshot_sla.reporting.tables import Table
from fewshot_sla.runs.checkpoint import load_state
from fewshot_sla.runs.folder import RunFolder
from fewshot_sla.runs.results import read_results, save_results
from fewshot_sla.runs.unfinished import progress_of, unfinished
from fewshot_sla.training.details import evaluation_details
from fewshot_sla.training.recipe import Hardware
from fewshot_sla.training.trained import TrainedRun

TrainedClassifier = TrainedRun[Classification, Classifier]


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
    images: Images
    found: Predictions
    results: list[ClassificationResult]


def evaluate_runs(
    runs: Sequence[TrainedClassifier],
    test: ClassificationTest,
    hardware: Hardware,
    *,
    ten_crop: bool = False,
    ensemble_file: Path | None = None,
    form: Format = "terminal",
) -> None:
    """Predict the images of a split by each run, and by all of them together; write the results and show them.

    Args:
        runs: the classifiers.
        test: what to test on, and how.
        hardware: one process.
        ten_crop: also average over ten crops of each image.
        ensemble_file: JSON for the figures of the ensemble.
        form: how the tables are written.

    Raises:
        UserError: if they cannot be tested together.
    """
    members = images_of_each(runs, test.split)
    check_inferences(runs, test.inference)
    fabric = hardware.fabric()
    first, images = members[0]
    own: dict[Path, list[ClassificationResult]] = {run.folder.path: [] for run in runs}
    together: list[ClassificationResult] = []
    for padding in (0, test.padding) if ten_crop else (0,):
        found = mean_logits(_one_by_one(members, test, padding, hardware, fabric, own))
        together += _summarized(found, first, images, padding)
    tables = [_table(run, own[run.folder.path], of_run) for run, of_run in members]
    record = ensemble_record([_as_member(run) for run in runs], together, images, test.padding * ten_crop)
    show(*tables, *([ensemble_table(record)] if len(runs) > 1 else []), form=form)
    if ensemble_file:  # after the tables, which must not be lost where it cannot be written
        write_ensemble(ensemble_file, record)


def _one_by_one(
    members: Sequence[tuple[TrainedClassifier, Images]],
    test: ClassificationTest,
    padding: int,  # of the ten crops; 0 for the images as they are
    hardware: Hardware,
    fabric: Fabric,
    own: Mapping[Path, list[ClassificationResult]],  # of each run folder; what comes of the test is added
) -> Iterator[Predictions]:
    """Predictions of one run after the other, each tested when it is asked for and its results saved."""
    for run, images in members:
        began = time.monotonic()
        tested = evaluate_run(run, images, hardware, fabric, inference=test.inference, padding=padding)
        seconds = {f"{test.split}{'_10crops' if padding else ''}": time.monotonic() - began}
        details = evaluation_details(run.configuration, hardware, fabric, seconds)
        tables = prediction_tables(tested.results, tested.found, images.class_names)
        save_results(run.folder, tested.results, tables, images, details)
        own[run.folder.path] += tested.results
        yield tested.found


def images_of_each(runs: Sequence[TrainedClassifier], split: str) -> list[tuple[TrainedClassifier, Images]]:
    """Classifiers, each with a split of its own data: the same images for all, perhaps under several names.

    Raises:
        UserError: if a run is given twice, has other classes or images of another shape, or other images in this
            split: it may have been trained on those that the others are tested on.
    """
    paths = [run.folder.path.resolve() for run in runs]
    twice = [run.folder.path for run, path in zip(runs, paths, strict=True) if paths.count(path) > 1]
    if twice:
        raise UserError(f"{twice[0]}: the run is given twice")
    first = runs[0]
    images = open_split(first.recipe.data, split)
    found = []
    for run in runs:
        check_images(run, images)  # what does not fit is said before anything is computed
        same = run.configuration["data"] == first.configuration["data"]
        own = images if same else open_split(run.recipe.data, split)
        if own.fingerprint != images.fingerprint:
            raise UserError(
                f"{run.folder.path}: its {split} images are not those of {first.folder.path}; "
                "an ensemble needs runs with the same, by the same division of the same data"
            )
        found.append((run, own))
    return found


def evaluate_run(
    run: TrainedClassifier,
    images: Images,
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
    chosen = inferences_of(run, inference)
    objective = run.recipe.objective
    hardware.prepare(run.to(fabric.device).model)
    source = images.on(fabric.device, hardware.placement).batches(1, 0)
    crops = crops_of(padding)
    with show_progress(f"testing {run.folder.path.name}") as on_progress:
        batches = source.in_order(batch_size=images_per_pass(objective, images.image_shape, crops))
        found = predict_classes(
            run.model,
            objective,
            counted(batches, len(images), on_progress),
            run.normalization,
            crops=partial(ten_crops, padding=padding) if padding else as_is,
            autocast=fabric.autocast,
        )
    found = found._replace(logits={name: found.logits[name] for name in chosen})
    return Tested(run, images, found, _summarized(found, run, images, padding))


def inferences_of(run: TrainedClassifier, inference: str) -> list[str]:
    """Names of the inferences to test a run by: the one asked for, or all that its objective has.

    Raises:
        UserError: if there is no such.
    """
    objective = run.recipe.objective
    chosen = [name for name in objective.inferences if inference in ("", name)]
    if not chosen:
        raise UserError(
            f"{run.folder.path}: trained with {type(objective).__name__}, which has no inference {inference!r}; "
            f"it has {', '.join(objective.inferences)}"
        )
    return chosen


def check_inferences(runs: Sequence[TrainedClassifier], inference: str) -> None:
    """Raise UserError unless every run can be tested by an inference (any, if it is empty), and all by a common one."""
    common = set.intersection(*(set(inferences_of(run, inference)) for run in runs))
    if not common:
        raise UserError("these runs have no inference in common, so they make no ensemble; test them one by one")


def _summarized(found: Predictions, run: TrainedClassifier, images: Images, padding: int) -> list[ClassificationResult]:
    """What predictions of a run, or of an ensemble whose first member it is, come to."""
    primary, counts = run.recipe.objective.primary, run.state["class_counts"]
    return summarize_classes(
        found, images, counts, primary=primary, step=run.step, crops=crops_of(padding), padding=padding
    )


def _table(run: TrainedClassifier, results: Sequence[ClassificationResult], images: Images) -> Table:
    table = class_results_table(results, f"{run.folder.path} on {images.name}")
    stopped = unfinished(run.folder)
    table.notes += [stopped] if stopped else []
    return table


def _as_member(run: TrainedClassifier) -> EnsembleMember:
    progress = progress_of(run.folder)
    finished = progress is None or progress.finished
    return EnsembleMember(run_folder=str(run.folder.path), seed=run.recipe.seed, step=run.step, finished=finished)


def standard_results(
    folder: RunFolder,
    data: DataSource,  # of the run
    objective: ClassificationObjective,  # of the run
    split: str,
) -> list[ClassificationResult]:
    """The results of the images as they are now, of the weights that a run keeps now; none unless by every inference.

    Raises:
        UserError: if the run, its results or its images cannot be read.
    """
    if not folder.results.exists():
        return []
    now = split, 1, int(load_state(folder.best)["best"]["step"]), open_split(data, split).fingerprint
    found = [
        result
        for result in read_results(folder, ClassificationResult)
        if (result.split, result.crops, result.step, result.fingerprint) == now
    ]
    return found if {result.inference for result in found}.issuperset(objective.inferences) else []


def check_images(run: TrainedClassifier, images: Images) -> None:
    """Raise UserError unless images are of the classes, and of the shape, that a run was trained on."""
    classes = tuple(run.state["class_names"])
    if images.class_names != classes:
        raise UserError(
            f"{run.folder.path}: trained on {len(classes)} classes ({_first(classes)}), "
            f"but {images.name} has {len(images.class_names)} ({_first(images.class_names)})"
        )
    if images.image_shape != run.image_shape:
        raise UserError(
            f"{run.folder.path}: trained on images of shape {list(run.image_shape)}, "
            f"but {images.name} has {list(images.image_shape)}"
        )


def _first(names: tuple[str, ...]) -> str:
    return f"{', '.join(names[:3])}{', ...' if len(names) > 3 else ''}"

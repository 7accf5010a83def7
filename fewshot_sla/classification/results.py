"""Results of a classifier: accuracy, its interval, accuracy by how many training images a class has."""

import csv
import io
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

from episodes.errors import UserError
from episodes.images.base import Images
from fewshot_sla.classification.predictions import Predictions
from fewshot_sla.runs.folder import RunFolder, write_text
from fewshot_sla.runs.results import read_document, save_details, save_entries
from fewshot_sla.runs.statistics import interval_half_width

_TEST = "test"  # the door that makes these results
_KEY = ("dataset", "split", "inference", "crops")  # what must be equal for one result to replace another
# Liu et al., "Large-Scale Long-Tailed Recognition in an Open World", CVPR 2019: training images of a class.
MANY, FEW = 100, 20
GROUPS = {
    f"many (> {MANY})": (MANY + 1, math.inf),
    f"medium ({FEW}-{MANY})": (FEW, MANY),
    f"few (< {FEW})": (0, FEW - 1),
}


@dataclass(frozen=True)
class ClassResult:
    """Accuracy on the images of a split by one inference; accuracies and half-width of the 95 % interval are fractions.

    ``groups`` has the mean accuracy of the classes with many, medium and few training images, where there are any;
    ``per_class`` the accuracy of each class in the order of the labels. ``primary`` marks the inference that the best
    checkpoint was chosen by, ``step`` is the step of its weights, ``fingerprint`` that of the images.
    """

    dataset: str
    split: str
    inference: str
    crops: int
    images: int
    accuracy: float
    ci95: float
    groups: dict[str, float]
    per_class: list[float]
    primary: bool
    step: int
    fingerprint: str

    @property
    def predictions(self) -> str:
        """Name, in the run folder, of the file with the prediction for every image."""
        crops = f"_{self.crops}crops" if self.crops > 1 else ""
        return f"predictions/{self.split}_{self.inference}{crops}.csv"


def summarize_classes(
    found: Predictions,
    images: Images,
    class_counts: Sequence[int],  # training images of each class
    *,
    primary: str,  # name of the inference that the best checkpoint was chosen by
    step: int,  # of the weights that were tested
    crops: int = 1,
) -> list[ClassResult]:
    """One result an inference."""
    dataset, _, split = images.name.rpartition("/")
    results = []
    present = np.unique(found.labels.numpy())  # a class without images has no accuracy that a mean could hold
    for name in found.probabilities:
        right = found.right(name).numpy().astype(np.float64)
        per_class = class_accuracies(right, found.labels.numpy(), len(images.class_names))
        result = ClassResult(
            dataset=dataset or images.name,
            split=split,
            inference=name,
            crops=crops,
            images=len(right),
            accuracy=float(right.mean()),
            ci95=interval_half_width(right),
            groups=group_accuracies(per_class[present], np.asarray(class_counts)[present]),
            per_class=[round(float(value), 6) for value in per_class],
            primary=name == primary,
            step=step,
            fingerprint=images.fingerprint,
        )
        results.append(result)
    return results


def class_accuracies(
    right: NDArray[np.float64],  # [n] 1 where the prediction is right, else 0
    labels: NDArray[np.int64],  # [n]
    classes: int,
) -> NDArray[np.float64]:  # [N], 0 for a class without images
    """Share of right predictions among the images of each class."""
    counts = np.bincount(labels, minlength=classes)
    return np.bincount(labels, right, minlength=classes) / np.maximum(counts, 1)


def group_accuracies(
    per_class: NDArray[np.float64],  # [N]
    class_counts: NDArray[np.int64],  # [N] training images
) -> dict[str, float]:
    """Mean over the classes with many, medium and few training images; nothing if all have equally many."""
    if len(set(class_counts.tolist())) < 2:
        return {}
    chosen = {name: (low <= class_counts) & (class_counts <= high) for name, (low, high) in GROUPS.items()}
    return {name: float(per_class[mask].mean()) for name, mask in chosen.items() if mask.any()}


def save_class_results(
    folder: RunFolder,
    results: Sequence[ClassResult],
    found: Predictions,
    images: Images,
    details: Mapping[str, Any],
) -> None:
    """Add results to ``results.json``, and the prediction for every image to ``predictions/``.

    Args:
        folder: the run.
        results: one an inference.
        found: what they sum up.
        images: what they were measured on.
        details: configuration, versions, device, wall time; replaces what was there, key by key.

    Raises:
        UserError: if there is a file of this name that is not one of ours.
    """
    if folder.results.exists():
        read_class_results(folder)  # nothing is added to a file that is not ours
    for result in results:
        table = _as_csv(found.labels.numpy(), found.probabilities[result.inference].numpy(), images.class_names)
        write_text(folder.path / result.predictions, table)
    entries = [{**asdict(result), "predictions": result.predictions} for result in results]
    save_entries(folder, [_without_nan(entry) for entry in entries], _KEY, images, details)


def save_training_details(folder: RunFolder, details: Mapping[str, Any], step: int) -> None:
    """Write down in ``results.json`` how a run was trained; results of other weights than ``step`` are dropped.

    Raises:
        UserError: if there is a file of this name that is not one of ours.
    """
    if folder.results.exists():
        read_class_results(folder)
    save_details(folder, details, step)


def read_class_results(folder: RunFolder) -> list[ClassResult]:
    """All results of a run.

    Raises:
        UserError: if there are none, or the file is not one of ours.
    """
    document = read_document(folder, _TEST)
    names = [field.name for field in fields(ClassResult)]
    try:
        entries = [{name: entry[name] for name in names} for entry in document["results"]]
    except (KeyError, TypeError) as error:
        raise UserError(f"{folder.results}: not results of python -m fewshot_sla.test ({error})") from error
    return [ClassResult(**{**entry, "ci95": _number(entry["ci95"])}) for entry in entries]


def _as_csv(
    labels: NDArray[np.int64],  # [n]
    probabilities: NDArray[np.float32],  # [n, N]
    class_names: Sequence[str],
) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["image", "class", "predicted", "probability", "probability_of_class"])
    predicted = probabilities.argmax(axis=1)
    for number, (label, guess) in enumerate(zip(labels, predicted, strict=True)):
        row = probabilities[number]
        writer.writerow([number, class_names[label], class_names[guess], f"{row[guess]:.6f}", f"{row[label]:.6f}"])
    return text.getvalue()


def _without_nan(entry: dict[str, Any]) -> dict[str, Any]:
    return {**entry, "ci95": None if math.isnan(entry["ci95"]) else entry["ci95"]}  # JSON has no NaN


def _number(value: float | None) -> float:
    return float("nan") if value is None else value

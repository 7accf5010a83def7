"""Results of a classifier: accuracy, its interval, accuracy by how many training images a class has."""

import csv
import io
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import ClassVar, NamedTuple

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from episodes.errors import UserError
from episodes.images.base import Images
from fewshot_sla.classification.predictions import Predictions
from fewshot_sla.runs.comparison import Outcomes
from fewshot_sla.runs.folder import RunFolder
from fewshot_sla.runs.results import KEY, Result, split_of
from fewshot_sla.runs.statistics import interval_half_width

# Liu et al., "Large-Scale Long-Tailed Recognition in an Open World", CVPR 2019: training images of a class.
MANY, FEW = 100, 20
GROUPS = {
    f"many (> {MANY})": (MANY + 1, math.inf),
    f"medium ({FEW}-{MANY})": (FEW, MANY),
    f"few (< {FEW})": (0, FEW - 1),
}

_ROUNDING = 1e-5  # of a share of images


@dataclass(frozen=True, kw_only=True)
class ClassificationResult(Result):
    """Accuracy on the images of a split by one inference.

    Attributes:
        crops: of each image, whose probabilities were averaged; 1 for the images as they are.
        padding: pixels of black around the image that crops were cut from; 0 if there were none.
        images: how many.
        groups: mean accuracy of the classes with many, medium and few training images, where there are any.
        per_class: accuracy of each class, in the order of the labels.
    """

    program: ClassVar[str] = "test"

    crops: int = field(default=1, metadata=KEY)
    padding: int = field(default=0, metadata=KEY)
    images: int
    groups: dict[str, float] = field(default_factory=dict)
    per_class: list[float]

    @property
    def title(self) -> str:
        """Images as they are, or crops of them."""
        return f"{self.crops} crops" if self.crops > 1 else f"{self.split} images"

    @property
    def parts(self) -> dict[str, float]:
        """Classes with many, medium and few training images."""
        return self.groups

    @property
    def predictions(self) -> str:
        """Name, in the run folder, of the file with the prediction for every image."""
        crops = f"_{self.crops}crops_padding{self.padding}" if self.crops > 1 else ""
        return f"predictions/{self.split}_{self.inference}{crops}.csv"

    @property
    def files(self) -> dict[str, str]:
        """The prediction for every image."""
        return {"predictions": self.predictions}


def summarize_classes(
    found: Predictions,
    images: Images,
    class_counts: Sequence[int],  # training images of each class
    *,
    primary: str,  # name of the inference that the best checkpoint was chosen by
    step: int,  # of the weights that were tested
    crops: int = 1,
    padding: int = 0,
) -> list[ClassificationResult]:
    """One result an inference."""
    dataset, split = split_of(images)
    results = []
    present = np.unique(found.labels.numpy())  # a class without images has no accuracy that a mean could hold
    for name in found.logits:
        right = found.right(name).numpy().astype(np.float64)
        per_class = class_accuracies(right, found.labels.numpy(), len(images.class_names))
        result = ClassificationResult(
            dataset=dataset,
            split=split,
            inference=name,
            crops=crops,
            padding=padding,
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


def prediction_tables(
    results: Sequence[ClassificationResult],
    found: Predictions,  # what they sum up
    class_names: Sequence[str],
) -> dict[str, str]:
    """The prediction for every image as CSV, by the file's name in the run folder."""
    labels = found.labels.numpy()
    return {
        result.predictions: _as_csv(labels, found.probabilities_by_part(result.inference), class_names)
        for result in results
    }


class SaidOfImages(NamedTuple):
    """What predictions/*.csv says of n images."""

    labels: NDArray[np.str_]  # [n] the right classes
    given: NDArray[np.str_]  # [n] the predicted ones
    probabilities: NDArray[np.float64]  # [n] of the predicted ones

    @property
    def right(self) -> NDArray[np.bool_]:
        """[n] whether the prediction is the right class."""
        return self.labels == self.given


def read_predictions(folder: RunFolder, result: ClassificationResult) -> SaidOfImages:
    """What was said of every image of a result.

    Raises:
        UserError: if the file is not there, is damaged, or does not come to what the result says.
    """
    path = folder.path / result.predictions
    again = f"run python -m fewshot_sla.test {folder.path} again"
    if not path.is_file():
        raise UserError(f"{path}: the predictions are gone; {again}")
    try:
        with path.open(newline="", encoding="utf-8") as file:
            rows = [(row.get("class"), row.get("predicted"), row.get("probability")) for row in csv.DictReader(file)]
        probabilities = np.array([probability or "?" for *_, probability in rows]).astype(np.float64)
    except (ValueError, csv.Error) as error:  # not even text, or no number
        raise UserError(f"{path}: the file is damaged ({error}); {again}") from error
    if len(rows) != result.images or any(None in row for row in rows):
        raise UserError(f"{path}: the file is damaged or of other images ({len(rows)} of {result.images}); {again}")
    labels, given = np.array([row[:2] for row in rows], dtype=np.str_).T
    said = SaidOfImages(labels, given, probabilities)
    if abs(said.right.mean() - result.accuracy) > _ROUNDING:
        raise UserError(f"{path}: its predictions do not come to the accuracy in {folder.results.name}; {again}")
    return said


def paired_outcomes(folder: RunFolder, result: ClassificationResult) -> Outcomes:
    """Whether the prediction for each image is right, as two runs are compared by it.

    Raises:
        UserError: if the file with the predictions is not there, is damaged or not as long as the result says.
    """
    said = read_predictions(folder, result)
    return Outcomes(said.right.astype(np.int64)[:, None], said.labels[:, None], 1)


def _as_csv(
    labels: NDArray[np.int64],  # [n]
    probabilities: Iterable[Tensor],  # [., N] float32, n rows in all
    class_names: Sequence[str],
) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["image", "class", "predicted", "probability", "probability_of_class"])
    rows = (row for part in probabilities for row in part.numpy())
    for number, (label, row) in enumerate(zip(labels, rows, strict=True)):
        guess = row.argmax()
        writer.writerow([number, class_names[label], class_names[guess], f"{row[guess]:.6f}", f"{row[label]:.6f}"])
    return text.getvalue()

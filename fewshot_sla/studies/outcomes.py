"""What came of every episode, or of every image, of a test: what paired differences and intervals are made of."""

from dataclasses import dataclass
from functools import singledispatch

import numpy as np
from numpy.typing import NDArray

from fewshot_sla.classification.results import ClassificationResult, read_predictions
from fewshot_sla.meta.results import EpisodeResult, read_outcomes
from fewshot_sla.runs.folder import RunFolder
from fewshot_sla.runs.results import Result


@dataclass(frozen=True)
class Outcomes:
    """The items of a test, and how well each was answered.

    Attributes:
        unit: what an item is: "episodes" or "images".
        items: [E, N] classes of each episode, or [E] the class of each image; the same for all that may be compared.
        accuracies: [E] of each item, fractions.
    """

    unit: str
    items: NDArray[np.str_]
    accuracies: NDArray[np.float64]


@singledispatch
def outcomes_of(result: Result, folder: RunFolder) -> Outcomes:
    """What came of every item of a result of a run.

    Raises:
        UserError: if the file that says so is gone or damaged.
    """
    raise NotImplementedError(f"{type(result).__name__} has no items")


@outcomes_of.register
def _(result: EpisodeResult, folder: RunFolder) -> Outcomes:
    correct, classes = read_outcomes(folder, result)
    return Outcomes("episodes", classes, correct.sum(axis=1) / (result.n_way * result.n_query))


@outcomes_of.register
def _(result: ClassificationResult, folder: RunFolder) -> Outcomes:
    labels, predicted = read_predictions(folder, result)
    return Outcomes("images", labels, (labels == predicted).astype(np.float64))

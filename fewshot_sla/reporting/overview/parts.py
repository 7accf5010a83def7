"""What a wing tells the overview of one run, as plain data; what it cannot tell is :class:`Missing`, and says why."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

from episodes.errors import UserError
from fewshot_sla.runs.results import Result

T = TypeVar("T")


@dataclass
class Looking:
    """How much is looked at anew, with the trained model and its images; figures of results.json are only read.

    Args:
        episodes: of a few-shot run: how many episodes of its test are predicted again; 0 for none.
        images: of a classifier: how many images of its test are predicted again; 0 for none.
    """

    episodes: int = 100
    images: int = 1000

    def __post_init__(self) -> None:
        """Refuse counts that cannot be counted to."""
        for name in ("episodes", "images"):
            if getattr(self, name) < 0:
                raise UserError(f"{name} must be at least 0, got {getattr(self, name)}")


class Missing(NamedTuple):
    """What is not there: why, and which command gives it, in one line."""

    why: str


class Asked(NamedTuple):
    """A picture that was predicted: [C, H, W] uint8, whether it is right, the label that it was given, in short too."""

    pixels: NDArray[np.uint8]
    right: bool
    given: str
    caption: str


class ExampleRow(NamedTuple):
    """Pictures of one class, [C, H, W] uint8: those known, those asked about; and what the captions call the class."""

    label: str
    known: tuple[NDArray[np.uint8], ...]
    asked: tuple[Asked, ...]
    place: str = ""


class Example(NamedTuple):
    """Pictures that are looked at together, such as those of an episode."""

    title: str
    rows: tuple[ExampleRow, ...]
    note: str = ""


class Confusion(NamedTuple):
    """What was taken for what.

    Attributes:
        classes: names of the N classes.
        counts: [N, N] int64: pictures of the class of the row that were given the label of the column.
        of: what was counted, a sentence.
        chances: [N, N] int64: how many pictures of the row's class could have been given that label; None if all.
    """

    classes: tuple[str, ...]
    counts: NDArray[np.int64]
    of: str
    chances: NDArray[np.int64] | None = None


class ClassAccuracy(NamedTuple):
    """Accuracy of one class, a fraction; and of how many pictures, or so."""

    accuracy: float
    of: str


class ByViews(NamedTuple):
    """Accuracy by the first m views, m = 1..V.

    Attributes:
        views: names of the V views, in the order in which they are added.
        accuracies: [V], fractions.
        half_widths: [V], of the 95 % intervals.
        of: what was predicted, a sentence.
    """

    views: tuple[str, ...]
    accuracies: tuple[float, ...]
    half_widths: tuple[float, ...]
    of: str


class FeatureMap(NamedTuple):
    """Features of views in two dimensions.

    Attributes:
        points: [n, 2], a point a view.
        labels: [n] int64, its class among ``classes``.
        views: [n] int64, its transformation among ``transformations``.
        classes: names.
        transformations: names.
        same_class: share of the points whose nearest neighbour, among the features themselves and of another image, is
            of their class.
        same_transformation: share of those whose nearest neighbour has their transformation.
        of: what was embedded, a sentence.
    """

    points: NDArray[np.float64]
    labels: NDArray[np.int64]
    views: NDArray[np.int64]
    classes: tuple[str, ...]
    transformations: tuple[str, ...]
    same_class: float
    same_transformation: float
    of: str


@dataclass(frozen=True)
class RunParts:
    """What a wing tells of a run.

    Attributes:
        results: all results of the run.
        tested: what the parts below are of: data, test and inference.
        examples: pictures with what was predicted.
        confusion: what was taken for what.
        by_class: accuracies by the name of the class.
        by_views: accuracies by the number of views.
        features: the map of features.
    """

    results: tuple[Result, ...]
    tested: str
    examples: tuple[Example, ...] | Missing
    confusion: Confusion | Missing
    by_class: dict[str, ClassAccuracy] | Missing
    by_views: ByViews | Missing
    features: FeatureMap | Missing

    @classmethod
    def without(cls, why: str, results: tuple[Result, ...] = ()) -> "RunParts":
        """Nothing but the results, for one reason."""
        gone = Missing(why)
        return cls(results, "", gone, gone, gone, gone, gone)


def part(make: Callable[[], T]) -> T | Missing:
    """What ``make`` gives; if the user could mend why it gives nothing, the reason."""
    try:
        return make()
    except UserError as error:
        return Missing(" ".join(str(error).split()))

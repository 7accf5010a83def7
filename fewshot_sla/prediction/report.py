"""What was predicted, and how far to trust it: plain data, from which the tables, the files and the page are made."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class SupportImage:
    """A labelled image.

    Attributes:
        name: its path, as it was given.
        label: its class.
        picture: uint8 [C, H, W], as the model sees it, before normalisation.
        left_out_label: the class predicted for it from the other support images; "" if it was not left out: because it
            is the only one of its class, or was not among those drawn from a very large support set.
    """

    name: str
    label: str
    picture: NDArray[np.uint8]
    left_out_label: str


@dataclass(frozen=True)
class QueryPrediction:
    """An image whose class is asked for.

    Attributes:
        name: its path, as it was given.
        picture: uint8 [C, H, W], as the model sees it, before normalisation.
        labels: all classes, the most probable first.
        probabilities: in the order of ``labels``; their sum is 1.
        agreeing_views: how many of the views, each taken alone, vote for ``labels[0]``.
        views: M, the number of views that were asked; 1 with single inference.
    """

    name: str
    picture: NDArray[np.uint8]
    labels: tuple[str, ...]
    probabilities: tuple[float, ...]
    agreeing_views: int
    views: int


@dataclass(frozen=True)
class BrokenFile:
    """A file that could not be read.

    Attributes:
        name: its path, as it was given.
        reason: why, in one line and without the name.
    """

    name: str
    reason: str


@dataclass(frozen=True)
class PredictionReport:
    """Everything that the tables, the files and the page show.

    Attributes:
        classes: names of the N classes, sorted.
        support: the labelled images, class by class in the order of ``classes``.
        queries: the images asked about, in the order in which they were given.
        broken: files that could not be read, of support and query.
        notes: one-line remarks, for instance that a file is both in support and query.
        inference: name of the inference: "aggregated" or "single".
        model: run folder, exported file or class path that the model came from.
        leave_one_out: share of right answers when each support image in turn is left out and predicted from the others;
            None if no image could be left out.
        leave_one_out_interval: its 95 % interval (Wilson), fractions; None where ``leave_one_out`` is.
        leave_one_out_confusion: int64 [N, N], how often a left-out image of the row's class was given the column's.
        created: when, in ISO 8601 with the time zone.
    """

    classes: tuple[str, ...]
    support: tuple[SupportImage, ...]
    queries: tuple[QueryPrediction, ...]
    broken: tuple[BrokenFile, ...]
    notes: tuple[str, ...]
    inference: str
    model: str
    leave_one_out: float | None
    leave_one_out_interval: tuple[float, float] | None
    leave_one_out_confusion: NDArray[np.int64]
    created: str

"""Hand-made reports of predictions, and their page as a tree."""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from fewshot_sla.prediction.page.page import page
from fewshot_sla.prediction.report import PredictionReport, QueryPrediction, SupportImage
from tests.fewshot_sla.reporting.html_tree import Node, Tree


def tree(report: PredictionReport) -> Node:
    return Tree(page(report)).root


def part(report: PredictionReport, name: str) -> Node:
    found = tree(report).by_id(name)
    assert found is not None
    return found


def noise(seed: int, shape: tuple[int, ...] = (1, 6, 6)) -> NDArray[np.uint8]:
    return np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)


def query(name: str, shares: dict[str, float], agreeing: int = 4, views: int = 4, seed: int = 0) -> QueryPrediction:
    ordered = sorted(shares, key=lambda label: -shares[label])
    return QueryPrediction(
        name, noise(seed), tuple(ordered), tuple(shares[label] for label in ordered), agreeing, views
    )


def make(
    classes: tuple[str, ...] = ("a", "b"),
    shots: int = 3,
    queries: tuple[QueryPrediction, ...] = (),
    taken_for: Callable[[int, int], int | None] = lambda label, shot: label,
) -> PredictionReport:
    """A report in which shot s of class c, left out, is taken for class ``taken_for(c, s)``, or is not left out."""
    confusion = np.zeros((len(classes), len(classes)), np.int64)
    support = []
    for i, label in enumerate(classes):
        for shot in range(shots):
            given_label = taken_for(i, shot)
            if given_label is not None:
                confusion[i, given_label] += 1
            left_out = "" if given_label is None else classes[given_label]
            support.append(SupportImage(f"{label}/{shot}.png", label, noise(100 * i + shot), left_out))
    known = bool(confusion.sum())
    return PredictionReport(
        classes=classes,
        support=tuple(support),
        queries=queries,
        broken=(),
        notes=(),
        inference="aggregated",
        model="runs/letters",
        leave_one_out=float(confusion.trace() / confusion.sum()) if known else None,
        leave_one_out_interval=(0.25, 0.875) if known else None,
        leave_one_out_confusion=confusion,
        created="2025-03-02T14:05:09+01:00",
    )


QUERIES = (
    query("q/sure.png", {"a": 0.9, "b": 0.1}),
    query("q/split.png", {"a": 0.3, "b": 0.7}, agreeing=2),
    query("q/close.png", {"a": 0.52, "b": 0.48}),
)

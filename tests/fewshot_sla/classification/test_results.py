"""From predictions to results.json: classes, groups by training images, what is kept beside what."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from episodes.images.labelled import LabelledImages
from fewshot_sla.classification.predictions import Predictions
from fewshot_sla.classification.results import (
    ClassificationResult,
    class_accuracies,
    group_accuracies,
    prediction_tables,
    summarize_classes,
)
from fewshot_sla.runs.folder import RunFolder
from fewshot_sla.runs.results import read_results, save_details, save_results


def images_of(labels: list[int], classes: int, shade: int = 0, split: str = "test") -> LabelledImages:
    pixels = torch.full((len(labels), 1, 2, 2), shade, dtype=torch.uint8)
    return LabelledImages(pixels, torch.tensor(labels), tuple(f"c{y}" for y in range(classes)), f"made-up/{split}")


def results_of(
    images: LabelledImages, guesses: list[int], counts: list[int], step: int = 5
) -> list[ClassificationResult]:
    return summarize_classes(found_of(images, guesses), images, counts, primary="single", step=step)


def found_of(images: LabelledImages, guesses: list[int]) -> Predictions:
    rows = torch.nn.functional.one_hot(torch.tensor(guesses), len(images.class_names)).float().unsqueeze(1)
    return Predictions(images.labels, {"single": rows})


def save(folder: RunFolder, images: LabelledImages, guesses: list[int], step: int) -> None:
    results = results_of(images, guesses, [5, 9], step)
    tables = prediction_tables(results, found_of(images, guesses), images.class_names)
    save_results(folder, results, tables, images, {"wall_time_s": {f"step {step}": 1.0}})


def test_classes_and_groups_are_counted_as_by_hand() -> None:
    right = np.array([1.0, 0.0, 1.0, 1.0])
    assert class_accuracies(right, np.array([0, 0, 1, 2]), 4).tolist() == [0.5, 1.0, 1.0, 0.0]


@pytest.mark.parametrize(
    ("count", "group"), [(101, "many (> 100)"), (100, "medium (20-100)"), (20, "medium (20-100)"), (19, "few (< 20)")]
)
def test_the_groups_end_where_the_literature_ends_them(count: int, group: str) -> None:
    """Liu et al., CVPR 2019: more than 100, 20 to 100, fewer than 20."""
    found = group_accuracies(np.array([0.25, 0.75]), np.array([count, 1000]))
    assert found[group] == pytest.approx(0.5 if count > 100 else 0.25)


def test_balanced_classes_have_no_groups() -> None:
    assert group_accuracies(np.array([0.25, 0.75]), np.array([30, 30])) == {}


def test_a_class_that_is_not_tested_does_not_count_in_its_group() -> None:
    images = images_of([0, 0, 1, 1], classes=3)  # none of class 2
    (result,) = results_of(images, [0, 0, 1, 0], [500, 10, 5])
    assert result.per_class == [1.0, 0.5, 0.0]
    assert result.groups == {"many (> 100)": 1.0, "few (< 20)": 0.5}


def test_results_of_other_weights_or_other_images_are_never_kept_beside(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path)
    save(folder, images_of([0, 1], 2), [0, 1], step=5)
    save(folder, images_of([0, 1], 2, split="val"), [0, 0], step=5)
    assert [(r.split, r.accuracy) for r in read_results(folder, ClassificationResult)] == [("test", 1.0), ("val", 0.5)]
    save(folder, images_of([0, 1], 2, shade=9), [1, 0], step=5)  # the test images have changed
    assert {(r.split, r.accuracy) for r in read_results(folder, ClassificationResult)} == {("val", 0.5), ("test", 0.0)}
    save(folder, images_of([0, 1], 2, split="val"), [0, 1], step=6)  # the weights have changed
    assert [(r.split, r.accuracy) for r in read_results(folder, ClassificationResult)] == [("val", 1.0)]


def test_details_of_a_training_drop_the_results_of_other_weights(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path)
    save_details(folder, ClassificationResult, {"training": {"steps": 5}, "wall_time_s": {"training": 2.0}}, step=5)
    assert read_results(folder, ClassificationResult) == []
    save(folder, images_of([0, 1], 2), [0, 1], step=5)
    save_details(folder, ClassificationResult, {"training": {"steps": 5}}, step=5)
    assert len(read_results(folder, ClassificationResult)) == 1
    save_details(folder, ClassificationResult, {"training": {"steps": 9}}, step=9)
    assert read_results(folder, ClassificationResult) == []
    document = json.loads(folder.results.read_text())
    assert document["training"] == {"steps": 9}
    assert document["wall_time_s"] == {"training": 2.0, "step 5": 1.0}

"""The map of features: which images, which neighbours, against a loop and against features that are known."""

import numpy as np
import pytest
import torch

from episodes.errors import UserError
from fewshot_sla.reporting.overview.neighbours import (
    CLASSES,
    MOST_POINTS,
    _nearest_of_another,
    feature_map,
    images_of_map,
)


def test_images_are_spread_over_a_few_classes_equally() -> None:
    labels = torch.arange(20).repeat_interleave(100)
    chosen = images_of_map(labels, 4)
    counts = torch.bincount(labels[chosen])
    assert counts[counts > 0].tolist() == [MOST_POINTS // (CLASSES * 4)] * CLASSES
    assert len(chosen.unique()) == len(chosen)
    assert {int(labels[chosen].min()), int(labels[chosen].max())} == {0, 19}
    assert sorted(images_of_map(torch.tensor([5, 2, 5]), 1).tolist()) == [0, 1, 2]


def test_the_nearest_feature_is_of_another_image() -> None:
    rows = np.random.default_rng(0).normal(size=(30, 3)).astype(np.float32)
    images = np.repeat(np.arange(10), 3)
    for row, nearest in enumerate(_nearest_of_another(rows, images)):
        others = [other for other in range(30) if images[other] != images[row]]
        assert nearest == min(others, key=lambda other: ((rows[other] - rows[row]) ** 2).sum())


def test_what_the_features_tell_apart_is_counted() -> None:
    """Views of one transformation are equal in all classes: transformations can be told, classes cannot."""
    labels = torch.tensor([3, 3, 3, 8, 8, 8])
    features = torch.eye(4).expand(6, 4, 4) + 1e-3 * torch.rand(6, 4, 4, generator=torch.Generator().manual_seed(0))
    names = tuple(f"class {number}" for number in range(9))
    found = feature_map(features, labels, names, ("a", "b", "c", "d"), "these")
    assert found.same_transformation == 1
    assert found.same_class < 0.8
    assert found.classes == ("class 3", "class 8")
    assert found.labels.tolist() == [0] * 12 + [1] * 12
    assert found.views.tolist() == [0, 1, 2, 3] * 6
    again = feature_map(features, labels, names, ("a", "b", "c", "d"), "these")
    assert np.array_equal(found.points, again.points)


@pytest.mark.parametrize("features", [torch.zeros(1, 4, 2), torch.full((10, 4, 2), float("nan"))])
def test_what_cannot_be_drawn_is_said(features: torch.Tensor) -> None:
    with pytest.raises(UserError):
        feature_map(features, torch.zeros(len(features), dtype=torch.int64), ("a",), ("w", "x", "y", "z"), "")

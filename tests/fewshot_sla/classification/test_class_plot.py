"""Accuracy of each class: the order, the smoothing, the groups, and what is refused."""

from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from matplotlib.image import imread
from scipy.ndimage import gaussian_filter1d

from episodes.errors import UserError
from fewshot_sla.classification.class_plot import draw_class_accuracies, read_class_accuracies, smoothed
from fewshot_sla.reporting.pictures import COLORS
from tests.fewshot_sla.classification.made_up_runs import made_up_run
from tests.fewshot_sla.reporting.test_training_curves import colors_of

COUNTS = [7, 300, 50, 50, 120]


def test_classes_with_most_training_images_come_first(tmp_path: Path) -> None:
    figures = {"single": [0.1, 0.9, 0.5, 0.4, 0.7], "aggregated": [0.2, 0.95, 0.6, 0.5, 0.8]}
    sla = made_up_run(tmp_path / "sla", counts=COUNTS, accuracies=figures)
    base = made_up_run(tmp_path / "base", counts=COUNTS, accuracies={"single": figures["single"]}, primary="single")
    found = read_class_accuracies([sla, base], "test")
    assert found.dataset == "made/test"
    assert found.class_names == ("class 1", "class 4", "class 2", "class 3", "class 0")  # equals keep their order
    assert found.class_counts.tolist() == [300, 120, 50, 50, 7]
    assert list(found.runs) == ["sla, aggregated (AG)", "base, single (SI)"]
    assert found.runs["sla, aggregated (AG)"].tolist() == [0.95, 0.8, 0.6, 0.5, 0.2]
    assert found.runs["base, single (SI)"].tolist() == [0.9, 0.7, 0.5, 0.4, 0.1]
    (values,) = read_class_accuracies([sla], "test", "single").runs.values()
    assert values.tolist() == [0.9, 0.7, 0.5, 0.4, 0.1]


def test_smoothing_is_a_gaussian_mean() -> None:
    values = np.random.default_rng(0).uniform(size=40)
    within = gaussian_filter1d(values, 2.5, mode="constant", truncate=30)
    weight = gaussian_filter1d(np.ones(40), 2.5, mode="constant", truncate=30)
    assert smoothed(values, 2.5) == pytest.approx(within / weight, abs=1e-9)
    assert smoothed(np.full(9, 0.3), 4.0) == pytest.approx(np.full(9, 0.3))


def shades(path: Path) -> list[bool]:
    """Of each column of a picture, whether it has the darker shade of a group."""
    pixels = (255 * imread(path)[..., :3]).round()
    return ((pixels == 0xE8).all(axis=-1).mean(axis=0) > 0.2).tolist()


def test_the_picture_of_a_long_tail(tmp_path: Path) -> None:
    """Groups with many and with few images are shaded at both ends, the one between them is not."""
    counts = [int(500 * 0.01 ** (number / 99)) for number in range(100)]
    folders = [
        made_up_run(tmp_path / name, counts=counts, accuracies={"aggregated": np.linspace(top, 0.1, 100).tolist()})
        for name, top in (("one", 0.9), ("two", 0.5))
    ]
    draw_class_accuracies(tmp_path / "classes.png", read_class_accuracies(folders, "test"))
    assert colors_of(tmp_path / "classes.png") == set(COLORS[:2])
    shaded = shades(tmp_path / "classes.png")
    runs = [shaded[0], *(b for a, b in pairwise(shaded) if a != b)]
    assert runs == [False, True, False, True, False]


def test_the_picture_of_classes_of_one_size(tmp_path: Path) -> None:
    folder = made_up_run(tmp_path / "run", counts=[20, 20, 20], accuracies={"aggregated": [0.9, 0.8, 1.0]})
    draw_class_accuracies(tmp_path / "classes.png", read_class_accuracies([folder], "test"))
    assert not any(shades(tmp_path / "classes.png"))


def test_what_cannot_be_compared(tmp_path: Path) -> None:
    figures = {"aggregated": [0.5, 0.5]}
    one = made_up_run(tmp_path / "one", counts=[9, 5], accuracies=figures)
    balanced = made_up_run(tmp_path / "balanced", counts=[5, 5], accuracies=figures)
    with pytest.raises(
        UserError, match=r"balanced has other classes, or other numbers of training images, than .*one; this plot needs"
    ):
        read_class_accuracies([one, balanced], "test")
    elsewhere = made_up_run(tmp_path / "elsewhere", counts=[9, 5], accuracies=figures, shade=3)
    with pytest.raises(UserError, match=r"elsewhere was tested on other images than .*one; this plot needs the same$"):
        read_class_accuracies([one, elsewhere], "test")
    untested = made_up_run(tmp_path / "untested", counts=[9, 5])
    with pytest.raises(UserError, match=r"no results yet; run python -m fewshot_sla\.test"):
        read_class_accuracies([one, untested], "test")
    unmarked = made_up_run(tmp_path / "unmarked", counts=[9, 5], accuracies=figures, primary="distilled")
    with pytest.raises(UserError, match=r"no results by the primary inference; there are aggregated$"):
        read_class_accuracies([unmarked], "test")

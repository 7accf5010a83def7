"""Relative gain against n: how runs find their partners, what is computed, what is refused."""

from pathlib import Path

import pytest
from matplotlib.image import imread

from episodes.errors import UserError
from fewshot_sla.classification.gain_plot import Gains, draw_gains, gain_title, read_gains
from fewshot_sla.reporting.pictures import COLORS
from fewshot_sla.runs.folder import RunFolder
from tests.fewshot_sla.classification.made_up_runs import made_up_run
from tests.fewshot_sla.reporting.test_training_curves import colors_of


def baseline(path: Path, size: int, seed: int, accuracy: float, shade: int = 0) -> RunFolder:
    accuracies = {"single": [accuracy] * 3}
    return made_up_run(path, counts=[size] * 3, seed=seed, accuracies=accuracies, primary="single", shade=shade)


def method(path: Path, size: int, seed: int, single: float, aggregated: float) -> RunFolder:
    accuracies = {"single": [single] * 3, "aggregated": [aggregated] * 3}
    return made_up_run(path, counts=[size] * 3, seed=seed, accuracies=accuracies)


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> tuple[list[RunFolder], list[RunFolder]]:
    root = tmp_path_factory.mktemp("runs")
    before = [
        baseline(root / "b0", 50, 1, 0.5),
        baseline(root / "b1", 25, 0, 0.4),
        baseline(root / "b2", 25, 1, 0.2),
    ]
    after = [
        method(root / "m0", 25, 0, 0.5, 0.6),
        method(root / "m1", 25, 1, 0.2, 0.25),
        method(root / "m2", 50, 1, 0.4, 0.55),
    ]
    return before, after


def test_runs_are_paired_by_size_and_seed(runs: tuple[list[RunFolder], list[RunFolder]]) -> None:
    (found,) = read_gains(*runs, "test")
    assert found.inference == "aggregated"
    assert list(found.gains) == [25, 50]
    assert found.gains[25] == pytest.approx((0.6 / 0.4 - 1, 0.25 / 0.2 - 1))
    assert found.gains[50] == pytest.approx((0.55 / 0.5 - 1,))


def test_several_inferences_of_the_method(runs: tuple[list[RunFolder], list[RunFolder]]) -> None:
    single, aggregated = read_gains(*runs, "test", inferences_b=["single", "aggregated"])
    assert (single.inference, aggregated.inference) == ("single", "aggregated")
    assert single.gains[50] == pytest.approx((-0.2,))
    assert aggregated.gains == read_gains(*runs, "test")[0].gains
    swapped = read_gains(runs[1], runs[0], "test", inference_a="single")
    assert swapped[0].gains[50] == pytest.approx((0.25,))


def test_the_picture(tmp_path: Path, runs: tuple[list[RunFolder], list[RunFolder]]) -> None:
    title = gain_title(runs[0], "test")
    assert title == "gain over the baseline, single (SI)\nmade/test"
    found = read_gains(*runs, "test", inferences_b=["single", "aggregated"])
    draw_gains(tmp_path / "two.png", found, title)
    assert colors_of(tmp_path / "two.png") == set(COLORS[:2])
    draw_gains(tmp_path / "one.png", [Gains("single", {25: (0.1,)})], title)  # one n, one seed: nothing to spread
    assert colors_of(tmp_path / "one.png") == set(COLORS[:1])
    assert imread(tmp_path / "one.png").shape == imread(tmp_path / "two.png").shape


def test_what_has_no_partner(tmp_path: Path, runs: tuple[list[RunFolder], list[RunFolder]]) -> None:
    before, after = runs
    with pytest.raises(UserError, match=r"m2: there is no baseline run with 50 training images a class and seed 1$"):
        read_gains(before[1:], after, "test")
    with pytest.raises(UserError, match=r"b0: there is no method run with 50 training images a class and seed 1$"):
        read_gains(before, after[:2], "test")
    twin = baseline(tmp_path / "twin", 50, 1, 0.5)
    with pytest.raises(
        UserError, match=r"another baseline run has 50 training images a class and seed 1 too \(.*b0\); leave one out$"
    ):
        read_gains([*before, twin], after, "test")


def test_what_cannot_be_compared(tmp_path: Path, runs: tuple[list[RunFolder], list[RunFolder]]) -> None:
    before, after = runs
    other = baseline(tmp_path / "other", 50, 1, 0.5, shade=9)
    with pytest.raises(UserError, match=r"were tested on different images \(made and made\); a gain needs the same$"):
        read_gains([other], after[2:], "test")
    uneven = made_up_run(tmp_path / "uneven", counts=[5, 3], accuracies={"single": [1, 1]}, primary="single")
    with pytest.raises(UserError, match=r"its classes have 3 to 5 training images; this plot needs as many of every"):
        read_gains([uneven], after, "test")
    untested = made_up_run(tmp_path / "untested", counts=[50] * 3)
    with pytest.raises(UserError, match=r"no results yet; run python -m fewshot_sla\.test .*untested$"):
        read_gains([untested], after, "test")
    with pytest.raises(UserError, match=r"no results on the val split; run python -m fewshot_sla\.test .* --split val"):
        read_gains(before, after, "val")
    with pytest.raises(UserError, match=r"no results by aggregated; there are single$"):
        read_gains(before, after, "test", "aggregated")
    zero = baseline(tmp_path / "zero", 50, 1, 0.0)
    with pytest.raises(UserError, match=r"zero: its accuracy is 0, so that nothing can be said of a relative gain$"):
        read_gains([zero], after[2:], "test")
    meta = made_up_run(tmp_path / "meta", program="meta_train")
    with pytest.raises(UserError, match=r"this plot is of runs of python -m fewshot_sla\.train, and this is none$"):
        read_gains([meta], after, "test")
    seedless = baseline(tmp_path / "seedless", 50, 1, 0.5)
    seedless.config.write_text("objective: x\n")
    with pytest.raises(UserError, match=r"the seed of the run cannot be read \('seed'\)$"):
        read_gains([seedless], after, "test")

"""Training curves: what is read from the run folders, and that it is what is drawn."""

from pathlib import Path

import numpy as np
import pytest
import torch
from matplotlib.image import imread

from episodes.errors import UserError
from fewshot_sla.reporting.pictures import COLORS
from fewshot_sla.reporting.training_curves import draw_training_curves, read_curves, running_mean
from fewshot_sla.runs import checkpoint
from fewshot_sla.runs.folder import RunFolder
from fewshot_sla.runs.names import distinct_names, primary_inference
from tests.fewshot_sla.classification.made_up_runs import made_up_run

METRICS = """step,learning_rate,loss,accuracy,single,aggregated
10,0.1,2.5,0.25,,
20,0.1,1.5,0.5,0.4,0.6
30,0.1,1.0,0.75,,
40,0.1,0.5,0.875,0.5,0.7
"""


def colors_of(path: Path) -> set[str]:
    """Colours of the palette that occur in a picture."""
    pixels = (255 * imread(path)[..., :3]).round().astype(np.int64) @ [1 << 16, 1 << 8, 1]
    found = set(np.unique(pixels).tolist())
    return {color for color in COLORS if int(color[1:], 16) in found}


@pytest.mark.parametrize(
    ("paths", "names"),
    [
        (["runs/study/sla/seed0", "runs/study/da/seed0"], ["sla", "da"]),
        (["runs/sla/seed0", "runs/sla/seed1"], ["seed0", "seed1"]),
        (["a/sla/seed0", "a/sla/seed1", "a/da/seed0"], ["sla/seed0", "sla/seed1", "da/seed0"]),
        (["runs/one"], ["one"]),
        (["runs", "runs/again"], ["runs", "runs/again"]),
        (["x/y/y", "x/y"], ["y/y", "y"]),
        (["old/sla", "/elsewhere/sla"], None),
    ],
)
def test_names_are_as_short_as_they_can_be(
    paths: list[str], names: list[str] | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    found = distinct_names([RunFolder(path) for path in paths])
    assert len(set(found)) == len(paths)
    if names:
        assert found == names


def test_a_run_is_not_drawn_twice(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match=r"^a/\.\./b: the run is given twice$"):
        distinct_names([RunFolder("a/../b"), RunFolder("b")])


def test_validation_is_of_the_inference_that_chose_the_best(tmp_path: Path) -> None:
    sla = made_up_run(tmp_path / "sla" / "seed0", metrics=METRICS)
    baseline = made_up_run(tmp_path / "base" / "seed0", metrics=METRICS, primary="single")
    meta = made_up_run(tmp_path / "meta" / "seed0", metrics=METRICS, program="meta_train")
    curves = read_curves([sla, baseline, meta], "validation")
    assert [curve.name for curve in curves] == ["sla, aggregated", "base, single", "meta, aggregated"]
    assert [curve.accuracy[1].tolist() for curve in curves] == [[0.6, 0.7], [0.4, 0.5], [0.6, 0.7]]
    assert curves[0].accuracy[0].tolist() == [20, 40]
    assert curves[0].loss[0].tolist() == [10, 20, 30, 40]
    assert curves[0].loss[1].tolist() == [2.5, 1.5, 1.0, 0.5]
    (curve,) = read_curves([sla], "validation", "single")
    assert curve.accuracy[1].tolist() == [0.4, 0.5]
    (curve,) = read_curves([sla], "training")
    assert curve.name == "seed0"
    assert curve.accuracy[1].tolist() == [0.25, 0.5, 0.75, 0.875]


def test_the_primary_inference_is_told_without_the_code_of_the_objective(tmp_path: Path) -> None:
    """By the checkpoint, else by the results; a class named in a text file is not imported to ask it."""
    trained = made_up_run(tmp_path / "trained", objective="nowhere.Objective", primary="single")
    assert primary_inference(trained) == "single"
    figures = {"single": [0.5, 0.5], "aggregated": [0.5, 0.5]}
    tested = made_up_run(tmp_path / "tested", objective="nowhere.Objective", accuracies=figures)
    checkpoint.save_checkpoint(tested.best, {"x": torch.zeros(1)}, {"program": "train"})  # an older one
    assert primary_inference(tested) == "aggregated"


def test_every_run_has_its_colour(tmp_path: Path) -> None:
    folders = [made_up_run(tmp_path / name, metrics=METRICS) for name in "abcdefgh"]
    for count in (1, 3, 8):
        draw_training_curves(tmp_path / "curves.png", read_curves(folders[:count], "training"), "training")
        assert colors_of(tmp_path / "curves.png") == set(COLORS[:count])  # the same curve eight times: none is hidden


def test_long_curves_are_smoothed(tmp_path: Path) -> None:
    """The picture of a saw, 0, 1, 0, 1, ..., is a level line; of the first teeth, which are few, every one is drawn."""
    heights = {}
    for steps in (30, 400):
        rows = "".join(f"{step},0.1,{step % 2},0.5\n" for step in range(1, steps + 1))
        folder = made_up_run(tmp_path / str(steps), metrics=f"step,learning_rate,loss,accuracy\n{rows}")
        draw_training_curves(tmp_path / "curves.png", read_curves([folder], "training"), "training")
        pixels = (255 * imread(tmp_path / "curves.png")[..., :3]).round()
        full = (pixels == np.array(list(bytes.fromhex(COLORS[0][1:])))).all(axis=-1)
        rows_of_panel = np.flatnonzero(full[:, full.shape[1] * 2 // 3 :].any(axis=1))
        heights[steps] = np.ptp(rows_of_panel) / len(full)
    assert heights[30] > 0.6
    assert heights[400] < 0.1


def test_running_mean_equals_a_slow_one() -> None:
    values = np.random.default_rng(0).normal(size=23)
    for reach in (0, 1, 4, 30):
        slow = []
        for place in range(23):
            slow.append(np.mean([values[other] for other in range(23) if abs(other - place) <= reach]))
        assert running_mean(values, reach) == pytest.approx(slow)
    assert running_mean(np.empty(0), 3).tolist() == []


def test_what_cannot_be_drawn(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="there is no such folder"):
        read_curves([RunFolder(tmp_path / "none")], "training")
    empty = made_up_run(tmp_path / "empty")
    with pytest.raises(UserError, match=r"metrics\.csv: there are no figures of the training yet$"):
        read_curves([empty], "training")
    last = made_up_run(tmp_path / "last", metrics="step,learning_rate,loss,accuracy\n10,0.1,2,0.5\n")
    with pytest.raises(
        UserError,
        match=r"no validation by 'aggregated' so far; choose a run that keeps the best weights or the training "
        r"accuracy with --accuracy training$",
    ):
        read_curves([last], "validation")
    sla = made_up_run(tmp_path / "sla", metrics=METRICS)
    with pytest.raises(UserError, match="no validation by 'distilled' so far; choose --inference single or aggregated"):
        read_curves([sla], "validation", "distilled")
    broken = made_up_run(tmp_path / "broken", metrics="step,loss\nten,1\n")
    with pytest.raises(UserError, match=r"metrics\.csv: the file is damaged"):
        read_curves([broken], "training")
    silent = made_up_run(tmp_path / "silent", metrics=METRICS, primary="")
    with pytest.raises(UserError, match=r"by which inference the best weights were chosen; name one with --inference$"):
        read_curves([silent], "validation")
    assert read_curves([silent], "validation", "single")


@pytest.mark.parametrize("rows", ["1e999,1\n", f"1,{'9' * 200_000}\n"])
def test_steps_and_figures_that_are_none(rows: str, tmp_path: Path) -> None:
    run = made_up_run(tmp_path / "run")
    run.metrics.write_text(f"step,loss\n{rows}")
    with pytest.raises(UserError, match=r"metrics\.csv: the file is damaged"):
        read_curves([run], "training")

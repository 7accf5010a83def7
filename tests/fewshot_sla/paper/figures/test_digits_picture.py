from pathlib import Path

import numpy as np
import torch
from matplotlib.image import imread

from fewshot_sla.paper.toy_experiment import METHODS, TRANSFORMATION, ToyResult
from fewshot_sla.paper.toy_picture import Plane, draw_toy, toy_table
from fewshot_sla.reporting.formats import render
from fewshot_sla.reporting.pictures import COLORS


def result(first: float, seeds: int = 2) -> ToyResult:
    """Accuracies that can be told apart: method number k has ``first`` + k percent, give or take one."""
    names = (*METHODS, TRANSFORMATION)
    spread = (-0.01, 0.01)[:seeds] if seeds > 1 else (0.0,)
    return ToyResult(("6", "9"), 10, {name: tuple(first + k / 100 + s for s in spread) for k, name in enumerate(names)})


def as_text(*results: ToyResult) -> str:
    return render([toy_table(results, "accuracy")], "markdown")


def test_table() -> None:
    text = as_text(result(0.5), result(0.6))
    assert "{6, 9}" in text
    for method in (*METHODS, TRANSFORMATION):
        assert method in text
    for mean in [*range(50, 57), *range(60, 67)]:
        assert f"{mean}.00 ± 1.41" in text


def test_one_division_has_no_spread() -> None:
    text = as_text(result(0.5, seeds=1))
    assert "| 50.00 |" in text
    assert "±" not in text
    assert "nan" not in text


def test_picture(tmp_path: Path) -> None:
    """Both digits are in every panel, each in its colour."""
    plane = Plane(torch.rand(12, 2, 2, dtype=torch.float64), torch.arange(2).repeat_interleave(6))
    draw_toy(tmp_path / "toy.png", [result(0.5), result(0.6)], [plane, plane], "a title")
    pixels = (imread(tmp_path / "toy.png")[..., :3] * 255).round()
    for half in np.array_split(pixels, 2, axis=1):
        for color in COLORS[:2]:
            wanted = np.array([int(color[i : i + 2], 16) for i in (1, 3, 5)])
            assert (np.abs(half - wanted).max(axis=2) < 60).sum() > 50

"""Figure 2: which error stands in which cell, beside which published one, and what is drawn."""

from pathlib import Path

import numpy as np
import torch
from matplotlib.image import imread

from fewshot_sla.paper.figures.digits import JOINT, METHODS, ROTATED, UPRIGHT, PairResult
from fewshot_sla.paper.figures.digits_picture import Panel, beside_published, draw_digits, error_tables
from fewshot_sla.reporting.formats import render
from fewshot_sla.reporting.pictures import COLORS

ALL = [(tested, name) for tested, names in METHODS.items() for name in names]


def result(pair: tuple[str, str], first: float, seeds: int = 2) -> PairResult:
    """Accuracies that can be told apart: measure number k has ``first`` + k percent, give or take one."""
    spread = (-0.01, 0.01)[:seeds] if seeds > 1 else (0.0,)
    return PairResult(pair, 10, {measure: tuple(first + k / 100 + s for s in spread) for k, measure in enumerate(ALL)})


def error_of(measure: tuple[str, str], first: float) -> str:
    return f"{100 * (1 - first) - ALL.index(measure):.2f}"


def test_errors_stand_where_they_belong() -> None:
    results = [result(("1", "9"), 0.5), result(("6", "9"), 0.8)]
    upright, rotated, _ = (render([table], "csv").splitlines() for table in error_tables(results, "made up"))
    assert upright[0].split(",")[0] == "pair"
    shown = [line.rpartition("}")[2].split(",")[1:] for line in upright[1:]]
    for first, cells in zip((0.5, 0.8), shown, strict=True):
        expected = [float(error_of((UPRIGHT, name), first)) for name in ("baseline", "DA", "SLA+SI", "SLA+AG")]
        np.testing.assert_allclose([float(cell) for cell in cells[::2]], expected)
        np.testing.assert_allclose([float(cell) for cell in cells[1::2]], 2**0.5)
    assert "joint label" in rotated[0]
    assert error_of((ROTATED, JOINT), 0.5) in render(error_tables(results, ""), "markdown")


def test_the_published_errors_stand_beside_ours() -> None:
    table = beside_published([result(("4", "9"), 0.5), result(("6", "9"), 0.8)], "made up")
    paper_and_ours = [(row[1], str(row[2]), str(row[3])) for row in table.rows]
    assert table.notes[0].startswith("Ours: made up. ")
    ours = {measure: f"{error_of(measure, 0.8)} ± 1.41" for measure in ALL}
    assert paper_and_ours == [
        ("upright", "0.2", ours[UPRIGHT, "baseline"]),
        ("rotated, labels kept", "13.0", ours[ROTATED, "DA"]),
        ("rotated, joint labels", "1.1", ours[ROTATED, JOINT]),
    ]


def test_one_division_has_no_spread() -> None:
    tables = error_tables([result(("6", "9"), 0.5, seeds=1)], "")
    text = render(tables, "markdown")
    assert "| 50.00 |" in text
    assert "nan" not in text
    assert not any(str(cell).count("±") for table in tables for row in table.rows for cell in row)


def test_every_digit_is_in_its_panel(tmp_path: Path) -> None:
    points = torch.rand(24, 4, 2, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    of_all = Panel("all", ("1", "4", "6", "9"), points[:, :1], torch.arange(4).repeat_interleave(6))
    panels = [of_all, *(Panel(pair, (pair, "9"), points, torch.arange(2).repeat_interleave(12)) for pair in "146")]
    results = [result((pair, "9"), 0.5) for pair in "146"]
    draw_digits(tmp_path / "figure.png", panels, results, (0, 90, 180, 270), "a title")
    pixels = (imread(tmp_path / "figure.png")[..., :3] * 255).round()
    height, width = pixels.shape[:2]
    places = [(0, 0), (0, 1), (1, 0), (1, 1)]
    seen = []
    for row, column in places:
        top, left = row * height * 45 // 100, column * width // 2
        part = pixels[top : top + height * 45 // 100, left : left + width // 2]
        colors = [np.array([int(color[i : i + 2], 16) for i in (1, 3, 5)]) for color in COLORS[:4]]
        seen.append([bool((np.abs(part - color).max(axis=2) < 50).sum() > 30) for color in colors])
    assert seen == [[True] * 4, [True, False, False, True], [False, True, False, True], [False, False, True, True]]

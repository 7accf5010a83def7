"""Charts read back from their SVG: where points are drawn, against the scale that the ticks tell."""

import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fewshot_sla.reporting.page.charts import Cloud, Line, legend, line_chart, scatter, ticks
from tests.fewshot_sla.reporting.html_tree import Tree


@given(st.floats(-1e6, 1e6), st.floats(0, 1e6))
def test_ticks_enclose_the_values_at_equal_round_distances(low: float, spread: float) -> None:
    found = np.array(ticks(low, low + spread))
    room = 1e-6 * max(abs(low), spread, 1)
    assert found[0] <= low + room
    assert found[-1] >= low + spread - room
    assert 2 <= len(found) <= 8
    steps = np.diff(found)
    assert np.allclose(steps, steps[0], rtol=1e-3)
    assert f"{steps[0]:.0e}"[0] in "125"


def points(path: str) -> list[list[float]]:
    return [[float(x) for x in pair.split()] for pair in re.split("[ML]", path)[1:]]


def test_curves_lie_where_the_ticks_say() -> None:
    line = Line("<run>", np.array([0.0, 50.0, 100.0]), np.array([0.0, 5.0, 2.5]), series=7)
    root = Tree(line_chart([line], "step", "loss")).root
    marks = {
        node.text: float(node.attributes["y"]) - 4 for node in root.all("text", "tick") if node.attributes["x"] == "50"
    }
    (curve,) = root.all("path", "curve")
    assert "c1" in curve.attributes["class"].split()  # colours begin anew behind the sixth
    drawn = points(curve.attributes["d"])
    assert [y for _, y in drawn] == pytest.approx([marks["0"], marks["5"], (marks["2"] + marks["3"]) / 2], abs=0.2)
    assert drawn[1][0] - drawn[0][0] == pytest.approx(drawn[2][0] - drawn[1][0], abs=0.2)
    assert root.one("svg").attributes["aria-label"] == "loss against step: <run>"
    assert len(list(root.all("circle"))) == 3


def test_a_curve_is_broken_where_a_value_is_not_finite() -> None:
    line = Line("run", np.arange(5.0), np.array([1.0, 2.0, np.nan, 2.0, 1.0]), 0)
    (curve,) = Tree(line_chart([line], "x", "y")).root.all("path", "curve")
    assert re.sub("[^ML]", "", curve.attributes["d"]) == "MLML"
    assert "No finite values" in line_chart([line._replace(y=np.full(5, np.nan))], "x", "y")


def test_a_map_keeps_distances_in_proportion() -> None:
    clouds = [Cloud(np.array([[0.0, 0.0], [4.0, 0.0]]), 0, 0), Cloud(np.array([[0.0, 1.0]]), 1, 7)]
    first, second = Tree(scatter(clouds, "a map")).root.all("path", "point")
    assert "hollow" in second.attributes["class"].split()  # shapes begin anew, not filled
    (ax, ay), (bx, _) = (map(float, pair) for pair in re.findall(r"M([\d.]+) ([\d.]+)", first.attributes["d"]))
    ((cx, cy),) = (map(float, pair) for pair in re.findall(r"M([\d.]+) ([\d.]+)", second.attributes["d"]))
    assert ax == cx
    assert bx - ax == pytest.approx(4 * (cy - ay), abs=0.5)
    assert max(ax, bx, cy) <= 400


def test_names_in_a_legend_are_words() -> None:
    root = Tree(legend([("<b>a</b>", 0, 0), ("b", 1, 1)])).root
    assert [item.text for item in root.all("li")] == ["<b>a</b>", "b"]
    assert [("stroke-dasharray" in line.attributes) for line in root.all("line")] == [False, True]

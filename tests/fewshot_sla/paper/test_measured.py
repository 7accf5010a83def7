"""Means, gains, and when figures are not held against one another."""

import pytest

from fewshot_sla.paper.lines import Line, disagreements
from fewshot_sla.paper.measured import Conditions, Gain, Measured, relative_gain
from fewshot_sla.paper.published import Cell

FULL = Conditions(share=1.0, trained_on="a1", tested_on="b1", test=("tiny", "test", 1))


def measured(*values: float, conditions: Conditions = FULL) -> Measured:
    return Measured(dict(enumerate(values)), None, conditions)


def test_mean_and_sample_deviation_over_seeds() -> None:
    found = measured(70.0, 72.0, 77.0)
    assert found.mean == 73.0
    assert found.deviation == pytest.approx(13**0.5)  # (9 + 1 + 16) / 2
    assert measured(70.0).deviation is None


def test_gain_of_the_means_with_the_deviation_over_common_seeds() -> None:
    """60 over 50 is 20 %, 66 over 60 is 10 %; of the means 63 over 55 it is 14.5 %."""
    gain = relative_gain(measured(60.0, 66.0), measured(50.0, 60.0))
    assert isinstance(gain, Gain)
    assert gain.value == pytest.approx(100 * (63 / 55 - 1))
    assert gain.deviation == pytest.approx(5 * 2**0.5)  # of 20 and 10
    alone = relative_gain(measured(60.0), measured(50.0, 60.0))
    assert isinstance(alone, Gain)
    assert alone.deviation is None


@pytest.mark.parametrize(
    ("other", "reason"),
    [
        ({"share": 0.1}, "another share of the schedule (100 % and 10 %)"),
        ({"trained_on": "a2"}, "other training images"),
        ({"tested_on": "b2"}, "other test images"),
        ({"test": ("tiny", "test", 2)}, "another test"),
        ({"share": 0.5, "tested_on": "b2"}, "another share of the schedule (100 % and 50 %) and other test images"),
    ],
)
def test_no_gain_between_what_is_not_alike(other: dict, reason: str) -> None:
    assert relative_gain(measured(60.0), measured(50.0, conditions=FULL._replace(**other))) == reason


def test_no_gain_over_nothing() -> None:
    assert relative_gain(measured(60.0), Measured({}, None, None)) == ""
    assert relative_gain(measured(60.0), measured(0.0)) == "a baseline of 0 %"


def test_images_that_differ_within_a_data_set_are_said() -> None:
    def line(method: str, data_set: str, **other: str) -> Line:
        cell = Cell("table", method, data_set, 1.0, None, "accuracy, %", "", data_set=data_set, method=method)
        return Line(cell, measured(60.0, conditions=FULL._replace(**other)), None, "")

    assert disagreements([line("A", "one"), line("B", "one"), line("A", "two", tested_on="b2")]) == []
    (said,) = disagreements([line("A", "one"), line("B", "one", tested_on="b2"), line("C", "one")])
    assert said == "one: tested on different images, so not to be compared (A, C: b1; B: b2)"

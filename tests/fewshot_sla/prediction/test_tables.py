"""Names in the table, in CSV and in JSON: what a terminal and a spreadsheet make of them."""

import csv
import io
import json

import pytest

from fewshot_sla.prediction.tables import predictions_as_csv, predictions_as_json
from tests.fewshot_sla.prediction.page import reports as prediction_reports

# as a folder is called, and the cell of the spreadsheet
CELLS = {
    "=1+2": "'=1+2",
    '=HYPERLINK("x")': '\'=HYPERLINK("x")',
    "@SUM(A1)": "'@SUM(A1)",
    "-cmd|' /C calc'!A0": "'-cmd|' /C calc'!A0",
    "+x": "'+x",
    "\tx": "'\tx",
    "\r=x": "'\r=x",
    "=\nx": "'=\nx",
    "-1": "-1",
    "+2.5": "+2.5",
    "=": "=",
    "+": "+",
    "a=b": "a=b",
    "'quoted'": "'quoted'",
    'two\nlines, and a "quote"': 'two\nlines, and a "quote"',
    "عربي": "عربي",
    "odd \udcff": "odd \\udcff",
}


@pytest.mark.parametrize("label", CELLS)
def test_a_label_is_no_formula(label: str) -> None:
    other = prediction_reports.query(label, {"b": 0.25, label: 0.75})
    report = prediction_reports.make((label, "b"), queries=(other,))
    text = predictions_as_csv(report, 2).encode().decode()
    header, row = csv.reader(io.StringIO(text, newline=""))
    assert row == [CELLS[label], CELLS[label], "0.75", "4", "4", "b", "0.25"]
    assert len(header) == len(row)
    assert json.loads(predictions_as_json(report, 2))["queries"][0]["label"] == label


def test_confusions_are_those_that_happened() -> None:
    report = prediction_reports.make(("a", "b", "c"), shots=3, taken_for=lambda label, shot: (0, label, None)[shot])
    assert json.loads(predictions_as_json(report, 1))["leave_one_out"]["confusion"] == [
        {"right": "a", "given": "a", "pictures": 2},
        {"right": "b", "given": "a", "pictures": 1},
        {"right": "b", "given": "b", "pictures": 1},
        {"right": "c", "given": "a", "pictures": 1},
        {"right": "c", "given": "c", "pictures": 1},
    ]

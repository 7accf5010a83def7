"""One table, every format: read back by a parser that is not ours."""

import csv
import io
import json
from html.parser import HTMLParser
from pathlib import Path

import pytest
from rich.cells import cell_len

from fewshot_sla.reporting.formats import render, show
from fewshot_sla.reporting.tables import Figure, Table, percent

TEXT = "50 % & a_b | <c> [bold]d[/]"


@pytest.fixture
def table() -> Table:
    table = Table("title: 100 %", ["method", "shots", "1-shot, %"])
    table.add("ProtoNet", 1, percent(0.5925, 0.0064))
    table.add_section()
    table.add(TEXT, 5, Figure(4.851, float("nan"), signed=True))
    table.add("not run")
    table.notes.append("± is half an interval")
    return table


class Cells(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.cells: list[str] = []
        self.inside = False

    def handle_starttag(self, tag: str, attrs: list) -> None:
        if tag in ("td", "th"):
            self.inside = True
            self.cells.append("")

    def handle_endtag(self, tag: str) -> None:
        self.inside = self.inside and tag not in ("td", "th")

    def handle_data(self, data: str) -> None:
        if self.inside:
            self.cells[-1] += data


SHOWN = ["method", "shots", "1-shot, %", "ProtoNet", "1", "59.25 ± 0.64", TEXT, "5", "+4.85", "not run", "", ""]


def test_html_holds_every_cell_and_nothing_from_elsewhere(table: Table) -> None:
    page = render([table], "html")
    parser = Cells()
    parser.feed(page)
    assert parser.cells == SHOWN
    assert "http" not in page
    assert "src=" not in page


def test_csv_has_numbers_with_the_spread_beside_them(table: Table) -> None:
    rows = list(csv.reader(io.StringIO(render([table], "csv"))))
    assert rows == [
        ["method", "shots", "1-shot, %", "1-shot, % ±"],
        ["ProtoNet", "1", "59.25", "0.64"],
        [TEXT, "5", "4.851", ""],
        ["not run", "", "", ""],
    ]


def test_json_has_numbers_and_null_for_what_is_not_known(table: Table) -> None:
    (read,) = json.loads(render([table], "json"))
    assert read["rows"][1]["1-shot, %"] == {"value": 4.851, "spread": None}
    assert read["rows"][2] == {"method": "not run", "shots": None, "1-shot, %": None}
    assert read["notes"] == table.notes


def test_markdown_has_as_many_cells_in_every_row(table: Table) -> None:
    rows = [line for line in render([table], "markdown").splitlines() if line.startswith("|")]
    assert {line.replace(r"\|", "").count("|") for line in rows} == {4}
    assert "59.25 ± 0.64" in rows[2]


def test_latex_escapes_what_has_a_meaning_there(table: Table) -> None:
    text = render([table], "latex", ["a line"])
    assert r"50 \% \& a\_b | $<$c$>$ [bold]d[/] & 5 & +4.85 \\" in text
    assert r"59.25 $\pm$ 0.64 \\" in text
    assert text.count("\\midrule") == 2
    assert text.endswith("% a line\n")


def test_a_terminal_table_is_at_most_80_columns_wide_and_shows_markup_as_it_is(
    table: Table, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("COLUMNS", raising=False)
    table.add("long " * 40, 1, percent(0.1))
    show(table)
    lines = capsys.readouterr().out.splitlines()
    assert max(map(cell_len, lines)) <= 80
    assert any("[bold]d[/]" in line for line in lines)


def test_lines_stay_out_of_what_programs_read(table: Table, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    show(table, "for people", form="json")
    printed = capsys.readouterr()
    assert json.loads(printed.out)
    assert printed.err == "for people\n"
    show(table, form="csv", output=tmp_path / "table.csv")
    assert (tmp_path / "table.csv").read_text() == render([table], "csv")


def test_a_row_is_as_long_as_the_headings(table: Table) -> None:
    with pytest.raises(ValueError, match="4 cells for 3 columns"):
        table.add(1, 2, 3, 4)

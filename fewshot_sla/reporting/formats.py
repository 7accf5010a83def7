"""Tables for a terminal, a paper, a spreadsheet, a program or a page: one function a format."""

import csv
import io
import json
import os
import re
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from fewshot_sla.reporting import html
from fewshot_sla.reporting.tables import Cell, Figure, Table
from fewshot_sla.runs.folder import write_text

if TYPE_CHECKING:  # rich takes a while to import
    from rich.console import Console
    from rich.table import Table as DrawnTable

Format = Literal["terminal", "markdown", "latex", "csv", "json", "html"]
_NARROW = 80  # columns, where the output is no terminal that says how many it has
_TEX = {
    "\\": r"\textbackslash{}", "&": r"\&", "%": r"\%", "$": r"\$", "#": r"\#", "_": r"\_", "{": r"\{", "}": r"\}",
    "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "±": r"$\pm$", "<": "$<$", ">": "$>$",
}  # fmt: skip
_STYLE = """:root { color-scheme: light dark; }
body { font: 15px/1.5 system-ui, sans-serif; margin: 2rem auto; padding: 0 1rem; max-width: 70rem; }
.wide { overflow-x: auto; }
table { border-collapse: collapse; margin-top: 1.5rem; font-variant-numeric: tabular-nums; }
caption { text-align: left; font-weight: 600; padding: 0.4rem 0; }
th, td { padding: 0.25rem 0.8rem; text-align: right; border-bottom: 1px solid #8885; white-space: nowrap; }
th.words, td.words { text-align: left; white-space: normal; }
tbody + tbody { border-top: 2px solid #8888; }
p { max-width: 45rem; }"""


def show(*parts: Table | str, form: Format = "terminal", output: str | Path = "") -> None:
    """Print tables and lines to standard output, or write them to a file, whole or not at all.

    Lines are for people: in the formats that are for programs (csv, json) they go to standard error instead.

    Args:
        parts: tables and lines, in their order.
        form: how tables are written.
        output: file to write; standard output if none is named.
    """
    tables = [part for part in parts if isinstance(part, Table)]
    lines = [part for part in parts if isinstance(part, str)]
    if form == "terminal" and not output:
        _show_on_terminal(parts)
        return
    text = render(tables, form, lines)
    if output:
        write_text(Path(output).expanduser(), text)
        sys.stdout.write(f"{output}\n")
    else:
        _be_lenient()
        sys.stdout.write(text)
    if form in ("csv", "json"):
        sys.stderr.write("".join(f"{line}\n" for line in lines))


def render(tables: Sequence[Table], form: Format, lines: Sequence[str] = ()) -> str:
    """Tables, and lines below them, as text; csv and json have no lines."""
    return _WRITERS[form](tables, lines)


def _terminal(tables: Sequence[Table], lines: Sequence[str]) -> str:
    from rich.console import Console

    text = io.StringIO()
    console = Console(file=text, width=_NARROW, emoji=False)
    for table in tables:
        _print(console, table)
    for line in lines:
        _print(console, line)
    return text.getvalue()


def _markdown(tables: Sequence[Table], lines: Sequence[str]) -> str:
    parts = [_markdown_table(table) for table in tables]
    return "\n\n".join([*parts, *lines]) + "\n"


def _markdown_table(table: Table) -> str:
    marks = [":---" if place < table.left else "---:" for place in range(len(table.headings))]
    rows = [[words(cell) for cell in row] for row in table.rows]
    written = [[cell.replace("|", r"\|") for cell in row] for row in ([*table.headings], *rows)]
    written.insert(1, marks)
    body = "\n".join(f"| {' | '.join(row)} |" for row in written)
    return "\n\n".join([f"**{table.title}**", body, *table.notes])


def _latex(tables: Sequence[Table], lines: Sequence[str]) -> str:
    comments = "".join(f"% {line}\n" for line in lines)
    return "\n".join(_latex_table(table) for table in tables) + comments


def _latex_table(table: Table) -> str:
    """A booktabs table: ``\\usepackage{booktabs}``."""
    columns = "l" * table.left + "r" * (len(table.headings) - table.left)
    sections = [
        "".join(f"{' & '.join(_tex(words(cell)) for cell in row)} \\\\\n" for row in section)
        for section in table.sections
    ]
    head = " & ".join(_tex(heading) for heading in table.headings)
    caption = _tex(" ".join([f"{table.title}.", *table.notes]))
    body = "\\midrule\n".join(sections)
    return (
        f"\\begin{{table}}\n\\centering\n\\caption{{{caption}}}\n\\begin{{tabular}}{{{columns}}}\n\\toprule\n"
        f"{head} \\\\\n\\midrule\n{body}\\bottomrule\n\\end{{tabular}}\n\\end{{table}}\n"
    )


def _tex(text: str) -> str:
    return "".join(_TEX.get(character, character) for character in text)


def _csv(tables: Sequence[Table], lines: Sequence[str]) -> str:
    """Figures as numbers, their spread in a column of its own; an empty line between two tables."""
    return "\n".join(_csv_table(table) for table in tables)


def _csv_table(table: Table) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    spread = [any(_may_have_spread(row[place]) for row in table.rows) for place in range(len(table.headings))]
    writer.writerow(_widened(table.headings, [f"{heading} ±" for heading in table.headings], spread))
    for row in table.rows:
        figures = [cell if isinstance(cell, Figure) else None for cell in row]
        values = [_number(cell) if isinstance(cell, Figure) else cell for cell in row]
        spreads = [figure.spread if figure and figure.has_spread else None for figure in figures]
        writer.writerow(_widened(values, spreads, spread))
    return text.getvalue()


def _may_have_spread(cell: Cell) -> bool:
    """Whether a column with this cell has another one beside it; a spread that is not known is an empty field in it."""
    return isinstance(cell, Figure) and cell.spread is not None


def _widened(values: Sequence, beside: Sequence, chosen: Sequence[bool]) -> list:
    """The values, and behind each that is chosen what belongs beside it; nothing is an empty field."""
    wide = []
    for value, other, both in zip(values, beside, chosen, strict=True):
        wide += [value, other] if both else [value]
    return ["" if value is None else value for value in wide]


def _json(tables: Sequence[Table], lines: Sequence[str]) -> str:
    document = [
        {
            "title": table.title,
            "rows": [
                {heading: _plain(cell) for heading, cell in zip(table.headings, row, strict=True)} for row in table.rows
            ],
            "notes": table.notes,
        }
        for table in tables
    ]
    return json.dumps(document, indent=2, ensure_ascii=False, allow_nan=False) + "\n"


def _plain(cell: Cell) -> object:
    if not isinstance(cell, Figure):
        return cell
    return {"value": _number(cell), "spread": cell.spread if cell.has_spread else None}


def _number(figure: Figure) -> float | None:
    return figure.value if figure.value == figure.value else None


def _html(tables: Sequence[Table], lines: Sequence[str]) -> str:
    """A page that needs nothing else."""
    title = html.text(tables[0].title if tables else "")
    body = "\n".join([*map(html_table, tables), *(f"<p>{html.text(line)}</p>" for line in lines)])
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{title}</title>\n<style>\n{_STYLE}\n</style>\n</head>\n<body>\n{body}\n</body>\n</html>\n"
    )


def html_table(table: Table) -> str:
    """A table as HTML, for a page that has its own style; its notes are paragraphs below it."""

    def row(tag: str, cells: Sequence[Cell]) -> str:
        kinds = [' class="words"' if place < table.left else "" for place in range(len(cells))]
        fields = [f"<{tag}{kind}>{html.text(words(cell))}</{tag}>" for kind, cell in zip(kinds, cells, strict=True)]
        return f"<tr>{''.join(fields)}</tr>"

    sections = ["\n".join(row("td", cells) for cells in section) for section in table.sections]
    bodies = "\n".join(f"<tbody>\n{section}\n</tbody>" for section in sections)
    notes = "".join(f"\n<p>{html.text(note)}</p>" for note in table.notes)
    caption = f"<caption>{html.text(table.title)}</caption>"
    head = f"<thead>\n{row('th', table.headings)}\n</thead>"
    return f'<div class="wide">\n<table>\n{caption}\n{head}\n{bodies}\n</table>\n</div>{notes}'


def words(cell: Cell) -> str:
    """A cell as text.

    >>> words(None), words(20), words(Figure(1.0))
    ('', '20', '1.00')
    """
    return "" if cell is None else re.sub(r"\s+", " ", str(cell))


def _show_on_terminal(parts: Sequence[Table | str]) -> None:
    from rich.console import Console

    _be_lenient()
    console = Console(emoji=False)
    if not console.is_terminal:
        console = Console(width=_width(), emoji=False)
    for part in parts:
        _print(console, part)


def _be_lenient() -> None:
    """A terminal that cannot show a character gets its number."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")


def _width() -> int:
    """Columns of what is no terminal."""
    said = os.environ.get("COLUMNS", "")
    return int(said) if said.isdigit() and 20 <= int(said) <= 1000 else _NARROW


def _print(console: "Console", part: Table | str) -> None:
    if isinstance(part, str):
        console.print(part, highlight=False, markup=False, soft_wrap=True)
        return
    # Not as the title of the drawn table, which is folded at the table's width.
    console.print(part.title, style="italic", highlight=False, markup=False)
    console.print(_drawn(part), highlight=False, markup=False)
    for note in part.notes:
        console.print(note, highlight=False, markup=False, soft_wrap=True)


def _drawn(table: Table) -> "DrawnTable":
    from rich.table import Table as Drawn
    from rich.text import Text  # neither markup nor names of emoji are looked for in it

    drawn = Drawn()
    for place, heading in enumerate(table.headings):
        drawn.add_column(Text(heading), justify="left" if place < table.left else "right", overflow="fold")
    for section in table.sections:
        for row in section:
            drawn.add_row(*(Text(words(cell)) for cell in row))
        drawn.add_section()
    return drawn


_WRITERS: dict[Format, Callable[[Sequence[Table], Sequence[str]], str]] = {
    "terminal": _terminal,
    "markdown": _markdown,
    "latex": _latex,
    "csv": _csv,
    "json": _json,
    "html": _html,
}

"""A table as data: what all programs that print figures make, and every format is made from (see formats)."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple


class Figure(NamedTuple):
    """A measured number, in the unit that is shown, and how sure it is.

    >>> str(Figure(96.34, 0.21)), str(Figure(4.85, 0.32, signed=True)), str(Figure(99.5, float("nan")))
    ('96.34 ± 0.21', '+4.85 ± 0.32', '99.50')
    """

    value: float
    spread: float | None = None  # half an interval, or a deviation; None or not a number if there is none
    signed: bool = False  # whether a plus is written
    digits: int = 2  # behind the point

    @property
    def has_spread(self) -> bool:
        """Whether there is a spread to show."""
        return self.spread is not None and not math.isnan(self.spread)

    def __str__(self) -> str:
        value = f"{self.value:{'+' if self.signed else ''}.{self.digits}f}"
        return f"{value} ± {self.spread:.{self.digits}f}" if self.has_spread else value


Cell = str | int | Figure | None  # None: nothing is known


def percent(
    fraction: float,
    spread: float | None = None,  # in the same unit
    *,
    signed: bool = False,
) -> Figure:
    """A fraction and its interval or deviation in per cent, as papers print them.

    >>> str(percent(0.9634, 0.0021))
    '96.34 ± 0.21'
    """
    return Figure(100 * fraction, None if spread is None else 100 * spread, signed)


@dataclass
class Table:
    """Rows under headings, in sections.

    Args:
        title: what is shown, in which unit, of what.
        headings: one a column.
        left: how many columns, from the first on, hold words; the others hold figures and are flush right.

    Attributes:
        sections: groups of rows between which a line is drawn.
        notes: sentences that belong under the table.
    """

    title: str
    headings: Sequence[str]
    left: int = 1
    sections: list[list[tuple[Cell, ...]]] = field(default_factory=lambda: [[]])
    notes: list[str] = field(default_factory=list)

    def add(self, *cells: Cell) -> None:
        """Add a row to the last section; cells that are left out at its end are empty.

        Raises:
            ValueError: if there are more cells than headings.
        """
        if len(cells) > len(self.headings):
            raise ValueError(f"{len(cells)} cells for {len(self.headings)} columns")
        self.sections[-1].append((*cells, *[None] * (len(self.headings) - len(cells))))

    def add_section(self) -> None:
        """Let what follows stand below a line, unless nothing stands above it."""
        if self.sections[-1]:
            self.sections.append([])

    @property
    def rows(self) -> list[tuple[Cell, ...]]:
        """All rows, section after section."""
        return [row for section in self.sections for row in section]


def side_by_side(
    rows: Mapping[str, Mapping[str, Cell]],  # by row: by column
    title: str,
    corner: str = "",  # heading of the column with the names of the rows
) -> Table:
    """A table with a row and a column for every name that occurs, in the order in which they do.

    >>> side_by_side({"a": {"1-shot": Figure(1.0)}, "b": {"5-shot": Figure(2.0)}}, "").rows[1]
    ('b', None, Figure(value=2.0, spread=None, signed=False, digits=2))
    """
    columns = unique(name for cells in rows.values() for name in cells)
    table = Table(title, [corner, *columns])
    for name, cells in rows.items():
        table.add(name, *(cells.get(column) for column in columns))
    return table


def unique(names: Iterable[str]) -> list[str]:
    """Each name once, in the order in which they first occur."""
    return list(dict.fromkeys(names))

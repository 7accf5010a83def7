"""Published and measured figures side by side: one line a cell, as data."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from fewshot_sla.paper.found_runs import FoundRuns
from fewshot_sla.paper.measured import Gain, Measured, measure, relative_gain
from fewshot_sla.paper.published import Cell


@dataclass(frozen=True)
class Line:
    """One cell of a table.

    Attributes:
        cell: the published figure.
        measured: ours.
        published_gain: relative gain of the published figure over that of ``cell.over``, in per cent; None if the table
            has no such.
        gain: ours; words that say why there is none, empty if something was not measured or the table has no such.
    """

    cell: Cell
    measured: Measured
    published_gain: float | None
    gain: Gain | str

    @property
    def difference(self) -> float | None:
        """Measured minus published, in the unit of the table; None if nothing was measured."""
        return None if math.isnan(self.measured.mean) else self.measured.mean - self.cell.value

    @property
    def interval_of_difference(self) -> float | None:
        """Half its 95 % interval, where both figures have one: they are of different episodes."""
        if self.cell.interval is None or self.measured.interval is None:
            return None
        return math.hypot(self.cell.interval, self.measured.interval)


def lines_of(
    cells: Sequence[Cell],  # that are asked for
    table: Sequence[Cell],  # all of the table: what a gain is over need not be asked for
    found: FoundRuns,
    seeds: Sequence[int],
) -> list[Line]:
    """One line a cell."""
    of_cell: dict[Cell, Measured] = {}

    def measured(cell: Cell) -> Measured:
        if cell not in of_cell:
            of_cell[cell] = measure(cell, found, seeds)
        return of_cell[cell]

    others = {(cell.data_set, cell.method): cell for cell in table}
    lines = []
    for cell in cells:
        over = others.get((cell.data_set, cell.over))
        published = 100 * (cell.value / over.value - 1) if over and over.value else None
        gain = relative_gain(measured(cell), measured(over)) if over else ""
        lines.append(Line(cell, measured(cell), published, gain))
    return lines


def by_data_set(lines: Sequence[Line]) -> Mapping[str, list[Line]]:
    """The lines under the heading of their data set, in their order."""
    sections: dict[str, list[Line]] = {}
    for line in lines:
        sections.setdefault(line.cell.data_set, []).append(line)
    return sections


def disagreements(lines: Sequence[Line]) -> list[str]:
    """One sentence for each data set whose figures were not all measured on the same images."""
    said = []
    for name, section in by_data_set(lines).items():
        for what, attribute in (("trained", "trained_on"), ("tested", "tested_on")):
            methods: dict[str, list[str]] = {}
            for line in section:
                if line.measured.conditions:
                    methods.setdefault(getattr(line.measured.conditions, attribute), []).append(line.cell.method)
            if len(methods) > 1:
                groups = "; ".join(f"{', '.join(names)}: {print_of[:8]}" for print_of, names in methods.items())
                said.append(f"{name}: {what} on different images, so not to be compared ({groups})")
    return said

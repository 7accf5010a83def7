"""The lines of a table as tables: in sections for people, in one piece for programs."""

from collections.abc import Callable, Sequence

from fewshot_sla.paper.lines import Line, by_data_set, disagreements
from fewshot_sla.paper.measured import Gain, percentage
from fewshot_sla.paper.published import Cell, PublishedTable
from fewshot_sla.reporting.tables import Cell as Shown
from fewshot_sla.reporting.tables import Figure, Table, unique


def for_people(table: PublishedTable, lines: Sequence[Line], split: str) -> list[Table]:
    """Published beside measured, a section a data set; and the relative gains, if the table has any."""
    notes = _Notes()
    shares = unique(percentage(line.measured.share) for line in lines if line.measured.share is not None)
    main = _main_table(table, lines, notes, with_share=len(shares) > 1)
    gains = _gain_table(table, lines, notes)
    last = gains or main
    last.notes += notes.sentences
    last.notes += disagreements(lines)
    last.notes += unique(remark for line in lines for remark in line.measured.remarks)
    last.notes += [*_how_it_was_measured(table, lines, shares, split), *table.notes, f"Published: {table.source}."]
    return [main, gains] if gains else [main]


def for_programs(table: PublishedTable, lines: Sequence[Line], split: str) -> Table:
    """One row a cell with all that is known of it."""
    headings = [
        "table", "data set", "method", "unit", "published", "measured", "over seeds", "seeds", "difference",
        "gain over", "published gain, %", "measured gain, %", "share", "split", "tested on", "trained on", "recipe",
        "tested", "remarks",
    ]  # fmt: skip
    shown = Table(f"{table.name}: {table.title}", headings, left=4)
    for line in lines:
        cell, measured = line.cell, line.measured
        seen, conditions = measured.conditions is not None, measured.conditions
        why = [f"no gain: {line.gain}"] if isinstance(line.gain, str) and line.gain else []
        without = [cell.without_recipe] if cell.without_recipe else []
        shown.add(
            table.name, cell.data_set, cell.method, cell.unit,
            _published(cell),
            Figure(measured.mean, measured.interval) if seen else None,
            Figure(measured.mean, measured.deviation) if seen else None,
            " ".join(map(str, measured.by_seed)) or None,
            None if line.difference is None else Figure(line.difference, line.interval_of_difference, signed=True),
            cell.over or None,
            None if line.published_gain is None else _gain(line.published_gain),
            _measured_gain(line) if isinstance(line.gain, Gain) else None,
            Figure(measured.share) if measured.share is not None else None,
            split if seen else None,
            conditions.tested_on if conditions else None,
            conditions.trained_on if conditions else None,
            cell.recipe or None, cell.tested or None,
            "; ".join([*without, *why, *measured.remarks]) or None,
        )  # fmt: skip
    shown.notes += [*disagreements(lines), *table.notes]
    return shown


class _Notes:
    """Sentences under a table, each with the number that refers to it."""

    def __init__(self) -> None:
        self._texts: list[str] = []

    def mark(self, text: str) -> str:
        if text not in self._texts:
            self._texts.append(text)
        return f"[{self._texts.index(text) + 1}]"

    @property
    def sentences(self) -> list[str]:
        return [f"[{number}] {text}" for number, text in enumerate(self._texts, 1)]


def _main_table(table: PublishedTable, lines: Sequence[Line], notes: _Notes, *, with_share: bool) -> Table:
    headings = ["", "published", "measured", "diff.", "seeds", *(["share"] if with_share else [])]
    shown = Table(f"{table.name}, {table.unit}: {table.title}", headings)

    def row(line: Line) -> list[Shown]:
        cell, measured = line.cell, line.measured
        mark = f" {notes.mark(cell.without_recipe)}" if cell.without_recipe else ""
        if measured.conditions is None:
            return [cell.method + mark, _published(cell)]
        spread = measured.interval if cell.k_shot else measured.deviation
        share = percentage(measured.conditions.share)
        return [
            cell.method,
            _published(cell),
            Figure(measured.mean, spread),
            None if line.difference is None else Figure(line.difference, signed=True),
            _seeds(line),
            *([share] if with_share else []),
        ]

    _in_sections(shown, lines, row)
    return shown


def _gain_table(table: PublishedTable, lines: Sequence[Line], notes: _Notes) -> Table | None:
    chosen = [line for line in lines if line.published_gain is not None]
    if not chosen:
        return None
    shown = Table(f"{table.name}, relative gain, %", ["", "published", "measured"])

    def row(line: Line) -> list[Shown]:
        words = f"{line.cell.method} over {line.cell.over}"
        published: Shown = None if line.published_gain is None else _gain(line.published_gain)
        if line.cell.printed_gain is not None:
            printed = _gain(line.cell.printed_gain)
            published = f"{published} {notes.mark(f'the paper prints {printed}, which its figures do not give')}"
        if isinstance(line.gain, str):
            reason = line.gain and notes.mark(f"no gain: {line.gain} than {line.cell.over}")
            return [words, published, reason or None]
        return [words, published, _measured_gain(line)]

    _in_sections(shown, chosen, row)
    return shown


def _in_sections(shown: Table, lines: Sequence[Line], row: Callable[[Line], Sequence[Shown]]) -> None:
    """A section a data set, its name above."""
    for name, section in by_data_set(lines).items():
        shown.add_section()
        shown.add(name)
        for line in section:
            method, *figures = row(line)
            shown.add(f" {method}", *figures)


def _seeds(line: Line) -> str:
    """How many, and for few-shot figures, whose spread is over episodes, their deviation."""
    measured = line.measured
    count = f"{line.cell.models} models" if line.cell.models > 1 else str(len(measured.by_seed))
    if line.cell.k_shot and measured.deviation is not None:
        return f"{count} (±{measured.deviation:.2f})"
    return count


def _published(cell: Cell) -> Figure:
    """As it is printed."""
    return Figure(cell.value, cell.interval, digits=cell.digits)


def _gain(value: float, deviation: float | None = None) -> Figure:
    """Two digits behind the point, one from 10 % on, as the paper prints gains."""
    return Figure(value, deviation, signed=True, digits=1 if abs(value) >= 10 else 2)


def _measured_gain(line: Line) -> Figure:
    assert isinstance(line.gain, Gain)
    return _gain(line.gain.value, line.gain.deviation)


def _how_it_was_measured(table: PublishedTable, lines: Sequence[Line], shares: Sequence[str], split: str) -> list[str]:
    """What the figures of ours are, in words; nothing if there are none."""
    if not shares:
        can_be = any(line.cell.recipe for line in lines)
        return ["Nothing of it is measured yet; --missing prints the commands, --run does it."] * can_be
    few_shot = any(line.cell.k_shot for line in lines)
    spread = (
        "Measured: mean over seeds ± half a 95 % interval over the test episodes; in brackets the deviation over seeds."
        if few_shot
        else "Measured: mean over seeds ± standard deviation over seeds."
    )
    said = [spread]
    if shares != ["100 %"]:
        said.append(
            f"Trained for {', '.join(shares)} of the published schedule: the published figures are of all of it."
        )
    if split != "test":
        said.append(f"Measured on the split {split}; the published figures are of the test split.")
    return said

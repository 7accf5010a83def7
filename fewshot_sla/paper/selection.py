"""Which cells of a table are asked for, by names as people type them."""

import re
from collections.abc import Callable, Sequence

from episodes.errors import UserError
from fewshot_sla.cli.keys import unknown
from fewshot_sla.paper.published import Cell, PublishedTable


def chosen_cells(
    table: PublishedTable,
    data_sets: Sequence[str] = (),  # bases ("cifarfs"), data sets ("CIFAR-FS"), whole headings; none means all
    methods: Sequence[str] = (),  # methods ("ProtoNet + SLA+AG"), fragments ("protonet_sla"); none means all
) -> list[Cell]:
    """The cells of a table that are asked for, data set by data set, methods in the table's order.

    Raises:
        UserError: if a name is of no cell; names the nearest.
    """
    cells = _kept(table, table.cells, data_sets, _names_of_data_set, "data set")
    cells = _kept(table, cells, methods, _names_of_method, "row")
    order = list(dict.fromkeys(cell.data_set for cell in table.cells))
    return sorted(cells, key=lambda cell: order.index(cell.data_set))


def _kept(
    table: PublishedTable,
    cells: Sequence[Cell],
    asked: Sequence[str],
    names_of: Callable[[Cell], list[str]],
    what: str,
) -> list[Cell]:
    found: list[Cell] = []
    for name in asked:
        # Whole names come first: "baseline" is that method, and not also an ensemble of baselines.
        ranks = zip(*(names_of(cell) for cell in cells), strict=True)
        matching = next(filter(None, (_matching(cells, names, name) for names in ranks)), None)
        if matching is None:
            valid = {other for cell in cells for other in names_of(cell) if other}
            raise UserError(unknown(name, table.name, valid, what=what))
        found += matching
    return [cell for cell in cells if cell in found] if asked else list(cells)


def _matching(cells: Sequence[Cell], names: Sequence[str], asked: str) -> list[Cell]:
    return [cell for cell, name in zip(cells, names, strict=True) if name and _plain(name) == _plain(asked)]


def _names_of_data_set(cell: Cell) -> list[str]:
    """The whole heading, the same without shots or ratio, the base."""
    return [cell.data_set, re.sub(r"(,| \().*", "", cell.data_set), cell.recipe.split("+")[0]]


def _names_of_method(cell: Cell) -> list[str]:
    """The whole name, the fragments."""
    return [cell.method, cell.fragments.replace("+", "_")]


def _plain(name: str) -> str:
    """Letters and digits alone."""
    return re.sub(r"[^a-z0-9]", "", name.lower())

"""The figures that papers published, cell by cell, and which recipe is meant to give them."""

import functools
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from episodes.errors import UserError
from fewshot_sla.cli.keys import unknown
from fewshot_sla.cli.recipes import read_options

_FILE = Path(__file__).with_suffix(".yaml")


@dataclass(frozen=True)
class Cell:
    """One published figure.

    Attributes:
        table: for instance "table 6".
        row: its name.
        column: its name.
        value: in the unit.
        interval: half a 95 % interval, in the same unit; None if none was published.
        unit: for instance "accuracy, %".
        source: the paper.
        recipe: word of the training that is meant to give it; empty if there is none.
        inference: the inference that does.
        k_shot: shots of the test episodes; None in classification.
        models: of an independent ensemble.
        crops: of each test image.
        data_set: which of row and column is the data set, with the shots of the test.
        method: the other one.
        fragments: the part of the recipe that makes the method.
        over: method that its relative gain is over; empty if there is none.
        printed_gain: the relative gain in per cent that the paper prints, where it does not follow from the figures.
        without_recipe: why there is no training for it; empty if there is one.
        quoted: whether the paper took it over from others, and no training for it is meant to come.
        n_way: classes of the test episodes; None in classification.
        episodes: how many the published figure is the mean of; None in classification.
        digits: that are printed behind the point.
    """

    table: str
    row: str
    column: str
    value: float
    interval: float | None
    unit: str
    source: str
    recipe: str = ""
    inference: str = ""
    k_shot: int | None = None
    models: int = 1
    crops: int = 1
    data_set: str = ""
    method: str = ""
    fragments: str = ""
    over: str = ""
    printed_gain: float | None = None
    without_recipe: str = ""
    quoted: bool = False
    n_way: int | None = None
    episodes: int | None = None
    digits: int = 2

    @property
    def is_error(self) -> bool:
        """Whether the figure is a share of wrong answers, not of right ones."""
        return self.unit.startswith("error")

    @property
    def tested(self) -> str:
        """How, in a few words; empty for a figure without a training."""
        sizes = [f"{size}-{what}" for size, what in ((self.n_way, "way"), (self.k_shot, "shot")) if size]
        parts = [" ".join(sizes), self.inference]
        parts += [f"{self.episodes} episodes" if self.episodes else ""]
        parts += [f"mean logits of {self.models} models" if self.models > 1 else ""]
        parts += [f"{self.crops} crops" if self.crops > 1 else ""]
        return ", ".join(part for part in parts if part) if self.recipe else ""


@dataclass(frozen=True)
class PublishedTable:
    """A table of a paper.

    Attributes:
        key: what the program calls it, for instance "6".
        name: for instance "table 6".
        title: what it is of.
        source: the paper.
        unit: of its figures.
        notes: what is ambiguous, or not as the authors did it.
        cells: row after row.
        image_shapes: (C, H, W) of the images of bases of recipes, as far as it is known without their files.
    """

    key: str
    name: str
    title: str
    source: str
    unit: str
    notes: tuple[str, ...]
    cells: tuple[Cell, ...]
    image_shapes: Mapping[str, tuple[int, ...]]


@functools.cache
def published_tables(path: Path = _FILE) -> dict[str, PublishedTable]:
    """The tables of a file, by their keys; cells that a table leaves empty are left out.

    Raises:
        UserError: if it is no such file.
    """
    document = read_options(path)
    try:
        shapes = {base: _shape(base, shape) for base, shape in document.get("images", {}).items()}
        tables = [_table(described, shapes) for described in document["tables"]]
        for table in tables:
            _check(table)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise UserError(
            f"{path}: not a file of tables ({type(error).__name__}: {error}); published.yaml shows the form"
        ) from error
    keys = [table.key for table in tables]
    if twice := sorted({key for key in keys if keys.count(key) > 1}):
        raise UserError(f"{path}: two tables have the same key: {', '.join(twice)}; give one another")
    return {table.key: table for table in tables}


def published_table(key: str, path: Path = _FILE) -> PublishedTable:
    """The table with a key; "table 6" and "6" are the same.

    Raises:
        UserError: if there is none; names the nearest.
    """
    tables = published_tables(path)
    wanted = key.lower().removeprefix("table").strip(" _-")
    if wanted not in tables:
        raise UserError(unknown(key, "", tables, what="table"))
    return tables[wanted]


def published() -> tuple[Cell, ...]:
    """Every cell of ``published.yaml``, table by table and row by row."""
    return tuple(cell for table in published_tables().values() for cell in table.cells)


def published_for(
    recipe: str,  # a word as in configs/README.md; the order of its fragments does not matter
    inference: str,
    k_shot: int | None = None,
) -> tuple[Cell, ...]:
    """The cells that one model of a recipe is meant to give by an inference, on test images as they are."""
    base, *fragments = recipe.split("+")
    return tuple(
        cell
        for cell in published()
        if (cell.recipe.split("+")[0], sorted(cell.recipe.split("+")[1:])) == (base, sorted(fragments))
        and (cell.inference, cell.k_shot, cell.models, cell.crops) == (inference, k_shot, 1, 1)
    )


def _table(described: dict[str, Any], shapes: Mapping[str, tuple[int, ...]]) -> PublishedTable:
    return PublishedTable(
        key=str(described["key"]),
        name=str(described["table"]),
        title=described["title"],
        source=described["source"],
        unit=described["unit"],
        notes=tuple(_list(described.get("notes", []))),
        cells=tuple(_cells(described)),
        image_shapes=shapes,
    )


def _cells(table: dict[str, Any]) -> list[Cell]:
    cells = []
    if table["data_sets"] not in ("rows", "columns"):
        raise ValueError(f"data_sets must be rows or columns, got {table['data_sets']!r}")
    for row, described in table["rows"].items():
        gains = described.get("printed_gains", [None] * len(described["values"]))
        columns = zip(table["columns"].items(), described["values"], gains, strict=True)
        for (column, beside), value, gain in columns:
            if value is not None:
                number, interval = value if isinstance(value, list) else (value, None)
                one, other = str(row), str(column)  # YAML reads some as numbers
                data_set, method = (one, other) if table["data_sets"] == "rows" else (other, one)
                fragments = (beside if table["data_sets"] == "rows" else described).get("recipe", "")
                training = _training(described, beside)
                without = "" if training.get("recipe") else table.get("no_recipe", "no recipe here")
                episodes: dict[str, Any] = {name: table.get(name) for name in ("n_way", "episodes")}
                cells.append(
                    Cell(
                        str(table["table"]), one, other, float(number), interval, table["unit"], table["source"],
                        **training, data_set=data_set, method=method, fragments=fragments, printed_gain=gain,
                        without_recipe=without,
                        quoted=bool(without and table.get("quoted")), **episodes,
                    )
                )  # fmt: skip
    return cells


def _training(row: dict[str, Any], column: dict[str, Any]) -> dict[str, Any]:
    """What gives a cell, where its row and its column say so: the one has the base, the other the fragments."""
    said = {**column, **row}
    printed: dict[str, Any] = {name: said[name] for name in ("over", "digits") if name in said}
    if not (row.get("recipe") and column.get("recipe")):
        return {"k_shot": said.get("k_shot"), **printed}
    of_row = row.get("recipe_of_1_shot", row["recipe"]) if said.get("k_shot") == 1 else row["recipe"]
    base, fragments = (of_row, column["recipe"]) if "inference" in column else (column["recipe"], of_row)
    kept: dict[str, Any] = {name: said[name] for name in ("inference", "k_shot", "models", "crops") if name in said}
    return {"recipe": f"{base}+{fragments}", **printed, **kept}


def _check(table: PublishedTable) -> None:
    """Raise ValueError unless all that a table says is of its type and can be."""
    for name in ("title", "source", "unit"):
        _check_text(name, getattr(table, name))
    for note in table.notes:
        _check_text("notes", note)
    methods = {cell.method for cell in table.cells}
    for cell in table.cells:
        where = f"{table.name}, {cell.row}, {cell.column}: "
        for name in ("recipe", "inference", "fragments", "over", "without_recipe"):
            _check_text(where + name, getattr(cell, name))
        for name, least in (("k_shot", 1), ("n_way", 1), ("episodes", 1), ("models", 1), ("crops", 1), ("digits", 0)):
            number = getattr(cell, name)
            if number is not None and (type(number) is not int or number < least):
                raise ValueError(f"{where}{name} must be a whole number from {least} on, got {number!r}")
        for number in (cell.value, cell.interval, cell.printed_gain):
            if number is not None and not (isinstance(number, int | float) and math.isfinite(number)):
                raise ValueError(f"{where}not a number: {number!r}")
        if cell.over and cell.over not in methods:
            raise ValueError(f"{where}over {cell.over!r}, which is no method of this table")


def _check_text(where: str, value: object) -> None:
    if not isinstance(value, str):
        raise ValueError(f"{where} must be text, got {value!r}")


def _list(value: object) -> list[Any]:
    if not isinstance(value, list):
        raise ValueError(f"notes must be a list, got {value!r}")
    return value


def _shape(base: str, shape: object) -> tuple[int, ...]:
    if isinstance(shape, list) and len(shape) == 3 and all(type(size) is int and size > 0 for size in shape):
        return tuple(shape)
    raise ValueError(f"images of {base} must be [channels, height, width], got {shape!r}")

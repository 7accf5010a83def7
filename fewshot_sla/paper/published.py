"""The figures that papers published, cell by cell, and which recipe is meant to give them."""

import functools
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

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


@functools.cache
def published() -> tuple[Cell, ...]:
    """Every cell of ``published.yaml``, table by table and row by row; cells that a table leaves empty are left out."""
    document = yaml.safe_load(_FILE.read_text(encoding="utf-8"))
    return tuple(cell for table in document["tables"] for cell in _cells(table))


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


def _cells(table: dict[str, Any]) -> list[Cell]:
    cells = []
    for row, described in table["rows"].items():
        for (column, beside), value in zip(table["columns"].items(), described["values"], strict=True):
            if value is not None:
                number, interval = value if isinstance(value, list) else (value, None)
                cells.append(
                    Cell(
                        table["table"], row, column, float(number), interval, table["unit"], table["source"],
                        **_training(described, beside),
                    )
                )  # fmt: skip
    return cells


def _training(row: dict[str, Any], column: dict[str, Any]) -> dict[str, Any]:
    """What gives a cell, where its row and its column say so: the one has the base, the other the fragments."""
    said = {**column, **row}
    if not (row.get("recipe") and column.get("recipe")):
        return {"k_shot": said.get("k_shot")}
    of_row = row.get("recipe_of_1_shot", row["recipe"]) if said.get("k_shot") == 1 else row["recipe"]
    base, fragments = (of_row, column["recipe"]) if "inference" in column else (column["recipe"], of_row)
    kept: dict[str, Any] = {name: said[name] for name in ("inference", "k_shot", "models", "crops") if name in said}
    return {"recipe": f"{base}+{fragments}", **kept}

"""What every figure gives: a picture, and beside it a JSON with all its numbers and where they come from."""

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from fewshot_sla.runs.provenance import versions
from fewshot_sla.runs.records import write_json


def numbers_of(picture: Path) -> Path:
    """The JSON beside a picture: the same name with another ending."""
    return picture.with_suffix(".json")


def write_numbers(
    picture: Path,
    figure: str,  # as the command line names it
    numbers: Mapping[str, Any],
    began: float,  # time.monotonic() when the work began
) -> None:
    """Write the numbers of a figure, versions and wall time among them, to the JSON beside its picture."""
    seconds = round(time.monotonic() - began, 2)
    document = {"figure": figure, **numbers, "versions": versions(), "wall_time_s": {"figure": seconds}}
    write_json(numbers_of(picture), document)


def lines_about(picture: Path) -> list[str]:
    """Where picture and numbers are."""
    return [f"picture: {picture}", f"numbers: {numbers_of(picture)}"]

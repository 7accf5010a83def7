"""metrics.csv as rows of figures; it is written by :class:`fewshot_sla.runs.loggers.CSVLogger`."""

import csv
from pathlib import Path

from episodes.errors import UserError


def read_metrics(path: Path) -> list[dict[str, float]]:
    """Rows of a metrics.csv; a value that a row does not have is left out. No file, no rows.

    Raises:
        UserError: if it holds anything else than numbers.
    """
    if not path.exists():
        return []
    try:
        with path.open(newline="") as file:
            rows = [{name: float(value) for name, value in row.items() if value} for row in csv.DictReader(file)]
        return [{**row, "step": int(row["step"])} for row in rows]
    except (ValueError, TypeError, KeyError, csv.Error) as error:
        said = f"{type(error).__name__}: {error}"
        raise UserError(f"{path}: the file is damaged ({said}); move it away, and only its figures are gone") from error

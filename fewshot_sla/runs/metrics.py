"""metrics.csv and TensorBoard: one row a log step, kept in step with the checkpoint a run resumes from."""

import csv
import io
from collections.abc import Mapping
from pathlib import Path

from fewshot_sla.runs.folder import write_text


class MetricsLog:
    """Appends rows to ``metrics.csv`` and mirrors them to TensorBoard.

    Args:
        path: the CSV file.
        resume_from: rows of later steps than this are dropped: they are about to be written again; -1 for a new run.
    """

    def __init__(self, path: Path, resume_from: int = -1) -> None:
        from torch.utils.tensorboard import SummaryWriter  # takes a second to import

        self._path = path
        self.rows = [row for row in read_metrics(path) if row["step"] <= resume_from]
        self._writer = SummaryWriter(str(path.parent), purge_step=resume_from + 1 if resume_from >= 0 else None)

    def add(self, step: int, values: Mapping[str, float]) -> None:
        """Record the values of one step."""
        self.rows.append({"step": step, **values})
        self._write()
        for name, value in values.items():
            self._writer.add_scalar(name, value, step)

    def close(self) -> None:
        """Let TensorBoard finish its file."""
        self._writer.close()

    def _write(self) -> None:
        # Written anew each time: a row is a few dozen bytes, and so the file is whole at any moment. A column that
        # first occurs late (validation) is empty before.
        columns = list(dict.fromkeys(name for row in self.rows for name in row))
        text = io.StringIO()
        writer = csv.DictWriter(text, columns, restval="", lineterminator="\n")
        writer.writeheader()
        writer.writerows(self.rows)
        write_text(self._path, text.getvalue())


def read_metrics(path: Path) -> list[dict[str, float]]:
    """Rows of a metrics.csv; a value that a row does not have is left out. No file, no rows."""
    if not path.exists():
        return []
    with path.open(newline="") as file:
        rows = [{name: float(value) for name, value in row.items() if value} for row in csv.DictReader(file)]
    return [{**row, "step": int(row["step"])} for row in rows]

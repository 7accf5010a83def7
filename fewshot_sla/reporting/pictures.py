"""What the pictures share: a canvas without a window system, and files that are written whole or not at all."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import matplotlib
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from episodes.errors import UserError
from episodes.storage import atomic_write

COLORS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")  # Okabe and Ito: told apart by everyone
ENDINGS = (".png", ".svg", ".pdf")
_UNDATED: dict[str, dict[str, Any]] = {"svg": {"Date": None}, "pdf": {"CreationDate": None}}  # the same file each time
RIGHT, WRONG = "#009E73", "#D55E00"


@contextmanager
def picture(path: Path, width: float, height: float) -> Iterator[Figure]:
    """A matplotlib figure of so many inches that is saved, as SVG or PDF or else as PNG, when the block ends well."""
    figure = Figure(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(figure)
    yield figure
    form = path.suffix.lower().removeprefix(".")
    form, undated = (form, _UNDATED[form]) if form in _UNDATED else ("png", {})
    with atomic_write(path) as file, matplotlib.rc_context({"svg.hashsalt": "fewshot-sla"}):
        figure.savefig(file, format=form, dpi=120, metadata=undated)


def picture_path(output: str) -> Path:
    """Where a picture goes, as a user gives it.

    Raises:
        UserError: if its name does not end as one of the forms of pictures, or a file stands where its folder should.
    """
    path = Path(output).expanduser()
    if path.suffix.lower() not in ENDINGS:
        raise UserError(f"--output {output}: give a file name that ends in {', '.join(ENDINGS[:-1])} or {ENDINGS[-1]}")
    in_the_way = next((folder for folder in path.parents if folder.exists() and not folder.is_dir()), None)
    if in_the_way:  # said before hours are spent on what cannot be written
        raise UserError(f"--output {output}: {in_the_way} is a file, not a folder; name another file")
    return path

"""What the pictures share: a canvas without a window system, and files that are written whole or not at all."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from episodes.storage import atomic_write

COLORS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")  # Okabe and Ito: told apart by everyone
RIGHT, WRONG = "#009E73", "#D55E00"


@contextmanager
def picture(path: Path, width: float, height: float) -> Iterator[Figure]:
    """A matplotlib figure of so many inches that is saved as PNG when the block ends well."""
    figure = Figure(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(figure)
    yield figure
    with atomic_write(path) as file:
        figure.savefig(file, format="png", dpi=120)

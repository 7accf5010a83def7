"""One reader a file; each makes LabelledImages out of what users have."""

from episodes.datasets.base import DataSource
from episodes.datasets.glyphs import Glyphs

__all__ = ["DataSource", "Glyphs"]

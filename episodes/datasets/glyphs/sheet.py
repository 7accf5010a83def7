"""A picture of the glyphs, to look at before believing any figure: ``python -m episodes.datasets.glyphs.sheet PNG``."""

import io
import os
import sys

import torch

from episodes.datasets.glyphs.letters import SPLITS
from episodes.datasets.readers.glyphs import Glyphs
from episodes.errors import UserError
from episodes.images.labelled import LabelledImages
from episodes.storage import atomic_write


def write_sheet(path: str | os.PathLike[str], source: Glyphs | None = None, rows: int = 8) -> None:
    """Write a PNG with letters of every split, one a row, 16 of its images side by side.

    Args:
        path: the file to write.
        source: the glyphs to show; the default ones if none are given.
        rows: letters a split, spread evenly over its classes.
    """
    from PIL import Image

    source = source or Glyphs()
    columns = [_column(source.open(split), rows) for split in SPLITS]
    encoded = io.BytesIO()
    Image.fromarray(torch.cat(columns, dim=1).numpy()).save(encoded, "PNG", optimize=True)
    with atomic_write(path) as file:
        file.write(encoded.getvalue())


def _column(images: LabelledImages, rows: int) -> torch.Tensor:  # [rows*28, 16*28 + gap] uint8
    """Some letters of one split, each in 16 images, with a grey line at the right."""
    count = len(images) // len(images.class_names)
    labels = torch.linspace(0, len(images.class_names) - 1, rows).long()
    chosen = images.images[labels[:, None] * count + torch.arange(16), 0]
    picture = chosen.permute(0, 2, 1, 3).flatten(2).flatten(0, 1)
    return torch.cat([picture, torch.full((len(picture), 4), 128, dtype=torch.uint8)], dim=1)


def main() -> None:
    """The command line: one argument, the file to write."""
    if len(sys.argv) != 2 or sys.argv[1].startswith("-"):
        sys.exit("usage: python -m episodes.datasets.glyphs.sheet OUT.png")
    try:
        write_sheet(sys.argv[1])
    except (UserError, OSError) as error:
        sys.stderr.write(f"{error}\n")
        sys.exit(2)


if __name__ == "__main__":
    main()

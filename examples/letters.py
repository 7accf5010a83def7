"""Pictures to try predict on: letters of an alphabet that no model trained on the embedded letters ever saw.

    python -m examples.letters letters
    python -m fewshot_sla.predict --support letters/support --query letters/query

The pictures look as if scanned: dark on light, larger than the model's, in folders a class. The names of the queries
say the letter, so that one sees what is right.
"""

import sys
from pathlib import Path

from PIL import Image, ImageOps

from episodes.datasets import Glyphs


def write_letters(folder: Path, classes: int = 12, shots: int = 5, queries: int = 3) -> None:
    """Write ``folder/support/LETTER/*.png`` and ``folder/query/*.png``."""
    images = Glyphs().open("test")
    for label, class_name in enumerate(images.class_names[:classes]):
        name = class_name.rpartition(" ")[2]
        rows = (images.labels == label).nonzero().flatten().tolist()[: shots + queries]
        for number, row in enumerate(rows):
            place = folder / "support" / name if number < shots else folder / "query"
            place.mkdir(parents=True, exist_ok=True)
            scanned = ImageOps.invert(Image.fromarray(images.images[row, 0].numpy())).resize((96, 96))
            scanned.save(place / f"{name} {number}.png")


if __name__ == "__main__":
    write_letters(Path(sys.argv[1] if len(sys.argv) > 1 else "letters"))

"""Small photographs of several sizes, formats and colour modes in train/, val/ and test/, for tests of streaming."""

from pathlib import Path

import numpy as np
from PIL import Image

CLASSES = ("ant", "bee", "cat")
KINDS = (
    ((40, 30), "RGB", "png"),
    ((30, 41), "RGB", "jpg"),
    ((64, 25), "L", "png"),
    ((33, 33), "P", "gif"),
    ((20, 90), "RGBA", "png"),
)


def write_photographs(root: Path, per_class: int = 5) -> Path:
    random = np.random.default_rng(0)
    for split in ("train", "val", "test"):
        for name in CLASSES:
            folder = root / split / name
            folder.mkdir(parents=True)
            for number in range(per_class):
                size, mode, ending = KINDS[number % len(KINDS)]
                pixels = random.integers(0, 256, (size[1] // 3 + 1, size[0] // 3 + 1, 3), dtype=np.uint8)
                image = Image.fromarray(pixels.repeat(3, 0).repeat(3, 1)[: size[1], : size[0]]).convert(mode)
                image.save(folder / f"{number}.{ending}")
    return root

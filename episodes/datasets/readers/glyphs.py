"""The embedded data set: letters of five alphabets, drawn from the fonts that ship with matplotlib. No download."""

import hashlib
import json
import logging
import zipfile
import zlib
from collections.abc import Mapping
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray

from episodes.datasets.base import DataSource
from episodes.datasets.glyphs import rendering
from episodes.datasets.glyphs.letters import SPLITS, Letter, choose_letters
from episodes.errors import UserError
from episodes.images.labelled import LabelledImages
from episodes.storage import atomic_write, cache_folder

if TYPE_CHECKING:
    from PIL import ImageFont

RECIPE = 1  # to be raised by whoever changes a letter or a pixel: cached files of another recipe are not read

_log = logging.getLogger(__name__)


class Glyphs(DataSource):
    """Letters rendered from fonts, 28 by 28 pixels, one class a letter; whole alphabets are held apart.

    Train is Latin, Greek and Cyrillic, validation Georgian, test Armenian. Letters that look alike occur once; letters
    that are each other turned upside down (u and n, d and p) are all there. Built in seconds when first asked for, then
    read from the cache folder. See ``docs/glyphs.md``.

    >>> Glyphs(images_per_class=20).images_per_class
    20

    Args:
        cache_dir: folder for the finished images; by default the user's cache folder, or what the environment variable
            FEWSHOT_SLA_CACHE says.
        seed: seed of the random distortions, 0 or more; the letters are the same for every seed.
        images_per_class: images of every letter, 16 or more, so that each of a letter's 12 to 16 fonts occurs.

    Raises:
        UserError: if the seed or the number of images is too small.
    """

    name = "glyphs"

    def __init__(self, cache_dir: str | None = None, seed: int = 0, images_per_class: int = 24) -> None:
        if seed < 0:
            raise UserError(f"glyphs: seed must be 0 or more, not {seed}")
        if images_per_class < len(rendering.FONTS):
            raise UserError(
                f"glyphs: images_per_class must be {len(rendering.FONTS)} or more, one a font, not {images_per_class}"
            )
        self.cache_dir = cache_dir
        self.seed = seed
        self.images_per_class = images_per_class
        self._built: Mapping[str, NDArray[Any]] = {}

    def open(
        self,
        split: str,  # "train", "val" or "test"
    ) -> LabelledImages:
        """The images of one split, uint8 [n, 1, 28, 28], ink 255 on 0, sorted by class.

        Raises:
            UserError: if there is no such split.
        """
        if split not in SPLITS:
            raise UserError(f"glyphs: there is no split {split!r}; the splits are {', '.join(SPLITS)}")
        if not self._built:
            read = self._read(split)
            if read is not None:
                return read
            self._built = build(self.seed, self.images_per_class)
            self._keep()
        return self._labelled(split, self._built)

    def cache_file(self) -> Path:
        """Where the finished images are kept; the name changes with everything that can change a pixel.

        Raises:
            OSError: if no folder was given and the user has no cache folder.
        """
        from PIL import features

        causes = {
            "recipe": RECIPE,
            "seed": self.seed,
            "images_per_class": self.images_per_class,
            "freetype": features.version("freetype2"),
            **{package: version(package) for package in ("matplotlib", "numpy", "pillow")},
        }
        key = hashlib.sha256(json.dumps(causes, sort_keys=True).encode()).hexdigest()[:16]
        folder = Path(self.cache_dir).expanduser() if self.cache_dir else cache_folder()
        return folder / f"glyphs-{key}.npz"

    def _read(self, split: str) -> LabelledImages | None:
        """The split from the cache; None if it is not there or not whole."""
        path: Path | None = None
        try:
            path = self.cache_file()
            with open(path, "rb") as file, np.load(file, allow_pickle=False) as arrays:
                return self._labelled(split, arrays)
        except (FileNotFoundError, NotADirectoryError):
            return None
        except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile, zlib.error) as error:
            _log.warning("glyphs: cannot use the cached %s (%s); drawing the letters anew", path, error)
            return None

    def _keep(self) -> None:
        """Put what was built into the cache, if that is possible."""
        try:
            with atomic_write(self.cache_file()) as file:
                np.savez_compressed(file, **self._built)
        except OSError as error:
            _log.warning("glyphs: cannot keep the images in the cache (%s); they are drawn anew next time", error)

    def _labelled(self, split: str, arrays: Mapping[str, NDArray[Any]]) -> LabelledImages:
        """One split as labelled images; the arrays hold the pixels and the class names of every split."""
        names = tuple(str(name) for name in arrays[f"{split}_class_names"])
        pixels = torch.from_numpy(arrays[f"{split}_images"]).unsqueeze(1)
        labels = torch.arange(len(names)).repeat_interleave(self.images_per_class)
        return LabelledImages(images=pixels, labels=labels, class_names=names, name=f"{self.name}/{split}")


def build(seed: int, images_per_class: int) -> dict[str, NDArray[Any]]:
    """Draw everything: ``{split}_images`` uint8 [n, 28, 28], sorted by class, and ``{split}_class_names``."""
    fonts = rendering.load_fonts()
    arrays: dict[str, NDArray[Any]] = {}
    for split, letters in choose_letters(fonts).items():
        draw = partial(draw_letter, fonts=fonts, seed=seed, count=images_per_class)
        arrays[f"{split}_images"] = np.concatenate([draw(letter) for letter in letters])
        arrays[f"{split}_class_names"] = np.array([letter.class_name for letter in letters])
    return arrays


def draw_letter(
    letter: Letter, fonts: Mapping[str, "ImageFont.FreeTypeFont"], seed: int, count: int
) -> NDArray[np.uint8]:  # [count, SIDE, SIDE]
    """The images of one class, its fonts in turn; image i depends on the seed, the letter and i alone."""
    pictures = [rendering.ink(letter.character, fonts[font]) for font in letter.fonts]
    return np.stack(
        [
            rendering.distorted(pictures[i % len(pictures)], np.random.default_rng((seed, ord(letter.character), i)))
            for i in range(count)
        ]
    )

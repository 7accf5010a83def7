"""Which letters become classes: drawn in enough fonts, not composed, and not a look-alike of one that came before."""

import unicodedata
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from episodes.datasets.glyphs.rendering import DEJAVU_FONTS, FONTS, SIDE, font_file, ink, plain

if TYPE_CHECKING:
    from PIL import ImageFont

Measure = Callable[[NDArray[np.float32], NDArray[np.float32]], NDArray[np.float32]]  # [n, SIDE, SIDE] twice -> [n, n]

# Whole alphabets are held apart. The order matters: of two letters that look alike the first is kept, so what is left
# for validation and test looks like nothing in training.
SPLITS: Mapping[str, tuple[str, ...]] = {
    "train": ("LATIN", "GREEK", "CYRILLIC"),
    "val": ("GEORGIAN",),
    "test": ("ARMENIAN",),
}

# Two letters look alike when their likeness, the mean of two measures with these weights, is above the limit. Found by
# looking at the pairs on either side of it; see docs/glyphs.md.
LIKENESS_LIMIT = 0.9496
CORRELATION_WEIGHT, COVERAGE_WEIGHT = 0.2, 0.8
NEAR = 1.5  # pixels; ink this close to ink of the other letter is covered by it

# Look-alikes are measured in these fonts, plain and upright: bold ones say the same again.
MEASURED_FONTS = tuple(font for font in DEJAVU_FONTS if "Bold" not in font)

# The second letter may be this much wider (and lower) than the first, and moved by these steps (down, right; pixels).
_STRETCHES = (0.0, -0.15, 0.15)
_SHIFTS = ((0, 0), (0, 1), (0, -1), (1, 0), (-1, 0))


@dataclass(frozen=True)
class Letter:
    """One class: a letter and the fonts that have it.

    Attributes:
        character: the letter.
        fonts: names of the fonts that draw it, in the order of FONTS.
    """

    character: str
    fonts: tuple[str, ...]

    @property
    def alphabet(self) -> str:
        """First word of the letter's Unicode name, for instance ``"ARMENIAN"``."""
        return unicodedata.name(self.character).split()[0]

    @property
    def class_name(self) -> str:
        """Alphabet and letter, for instance ``"Armenian/small letter ayb"``."""
        alphabet, rest = unicodedata.name(self.character).split(maxsplit=1)
        return f"{alphabet.capitalize()}/{rest.lower()}"


def choose_letters(fonts: Mapping[str, "ImageFont.FreeTypeFont"]) -> dict[str, list[Letter]]:
    """The classes of every split, by alphabet and then by code point."""
    candidates = simple_letters()
    pictures = plain_pictures(candidates, fonts)
    kept = [candidates[i] for i in first_of_each_kind(likeness(pictures) > LIKENESS_LIMIT)]
    return {split: [letter for letter in kept if letter.alphabet in alphabets] for split, alphabets in SPLITS.items()}


def simple_letters() -> list[Letter]:
    """All letters of the alphabets in SPLITS that every DejaVu font draws and that are not composed of others."""
    from fontTools.ttLib import TTFont  # type: ignore[import-untyped]

    drawn = {}
    for font in FONTS:
        with TTFont(font_file(font), lazy=True) as file:
            drawn[font] = set(file.getBestCmap())
    everywhere = sorted(set.intersection(*(drawn[font] for font in DEJAVU_FONTS)))
    letters = [
        Letter(chr(code), tuple(font for font in FONTS if code in drawn[font]))
        for code in everywhere
        if _is_simple_letter(chr(code))
    ]
    alphabets = [alphabet for split in SPLITS.values() for alphabet in split]
    return [letter for alphabet in alphabets for letter in letters if letter.alphabet == alphabet]


def _is_simple_letter(character: str) -> bool:
    """A letter, without the ones that Unicode takes apart (é, ǆ) or calls a ligature or digraph of two letters."""
    if unicodedata.category(character) not in ("Lu", "Ll", "Lo") or unicodedata.decomposition(character):
        return False
    words = unicodedata.name(character).split()
    return "LIGATURE" not in words and "DIGRAPH" not in words


def plain_pictures(
    letters: Sequence[Letter], fonts: Mapping[str, "ImageFont.FreeTypeFont"]
) -> NDArray[np.float32]:  # [measured fonts, stretches, letters, SIDE, SIDE], 0..1
    """The letters as look-alikes are measured: upright, centred, one size; first unstretched, then stretched."""
    inks = [[ink(letter.character, fonts[font]) for letter in letters] for font in MEASURED_FONTS]
    pictures = [[[plain(picture, stretch) for picture in row] for stretch in _STRETCHES] for row in inks]
    return np.asarray(pictures, dtype=np.float32) / 255


def likeness(
    pictures: NDArray[np.float32],  # [fonts, stretches, letters, SIDE, SIDE], 0..1
) -> NDArray[np.float32]:  # [letters, letters], symmetric, 1 for copies
    """How alike letters look: a weighted mean of correlation and coverage, each the median over the fonts.

    In every font the second letter is stretched and moved to where it fits best. *Correlation* is that of the pixels.
    *Coverage* is the part of the ink that lies on or near ink of the other letter, in the direction where it is less.
    Correlation alone puts E and F (a bar more) above M and м (the same, wider), coverage alone takes a maze of strokes
    for anything.
    """
    correlation, coverage = (
        np.median([_best_fit(measure, picture) for picture in pictures], axis=0)
        for measure in (_correlation, _coverage)
    )
    alike: NDArray[np.float32] = CORRELATION_WEIGHT * correlation + COVERAGE_WEIGHT * coverage
    return alike


def first_of_each_kind(alike: NDArray[np.bool_]) -> list[int]:
    """Numbers of the letters that look like none that was kept before them."""
    kept: list[int] = []
    for i in range(len(alike)):
        if not alike[i, kept].any():
            kept.append(i)
    return kept


def _best_fit(measure: Measure, picture: NDArray[np.float32]) -> NDArray[np.float32]:  # [stretches, n, ...] -> [n, n]
    """The highest value of a measure over the ways to lay the second letter on the first, whichever is the second."""
    best: NDArray[np.float32] = np.max([measure(picture[0], stretched) for stretched in picture], axis=0)
    return np.maximum(best, best.T)


def _correlation(first: NDArray[np.float32], second: NDArray[np.float32]) -> NDArray[np.float32]:  # -> [n, n]
    """Highest normalised correlation of the pixels over the shifts."""
    first, second = (_unit(picture - picture.mean(axis=(1, 2), keepdims=True)) for picture in (first, second))
    return np.max([_products(first, _moved(second, shift)) for shift in _SHIFTS], axis=0)


def _coverage(first: NDArray[np.float32], second: NDArray[np.float32]) -> NDArray[np.float32]:  # -> [n, n]
    """Highest mutual coverage over the shifts: the part of either's ink that is near the other's, the smaller one."""
    first_thick, second_thick = _thick(first), _thick(second)
    first, second = (picture / picture.sum(axis=(1, 2), keepdims=True) for picture in (first, second))
    return np.max(
        [
            np.minimum(_products(first, _moved(second_thick, shift)), _products(first_thick, _moved(second, shift)))
            for shift in _SHIFTS
        ],
        axis=0,
    )


def _unit(picture: NDArray[Any]) -> NDArray[Any]:
    """Scaled to length 1."""
    scaled: NDArray[Any] = picture / np.linalg.norm(picture, axis=(1, 2), keepdims=True)
    return scaled


def _thick(picture: NDArray[Any]) -> NDArray[Any]:
    """With ink wherever there was ink within NEAR pixels."""
    steps = range(-int(NEAR), int(NEAR) + 1)
    disc = [(down, right) for down in steps for right in steps if down * down + right * right <= NEAR * NEAR]
    thick: NDArray[Any] = np.max([_moved(picture, step) for step in disc], axis=0)
    return thick


def _moved(picture: NDArray[Any], step: tuple[int, int]) -> NDArray[Any]:
    """Moved down and right; the margin is wide enough that nothing comes back on the other side."""
    return np.roll(picture, step, axis=(1, 2))


def _products(first: NDArray[Any], second: NDArray[Any]) -> NDArray[Any]:  # [n, SIDE, SIDE] twice -> [n, n]
    """Inner products of all pairs of pictures."""
    product: NDArray[Any] = first.reshape(-1, SIDE * SIDE) @ second.reshape(-1, SIDE * SIDE).T
    return product

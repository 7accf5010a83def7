"""Letters to pictures: the fonts that ship with matplotlib, plain letters of one size, and small random distortions."""

import math
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from episodes.errors import UserError

if TYPE_CHECKING:
    from PIL import Image, ImageFont

SIDE = 28  # pixels; height and width of an image, as in MNIST
LETTER_SIDE = 20.0  # pixels; the longer side of a plain letter, as in MNIST

# Every alphabet used here is drawn in all twelve; STIX has Latin, Greek and Cyrillic only.
DEJAVU_FONTS = (
    *("DejaVuSans", "DejaVuSans-Oblique", "DejaVuSans-Bold", "DejaVuSans-BoldOblique"),
    *("DejaVuSerif", "DejaVuSerif-Italic", "DejaVuSerif-Bold", "DejaVuSerif-BoldItalic"),
    *("DejaVuSansMono", "DejaVuSansMono-Oblique", "DejaVuSansMono-Bold", "DejaVuSansMono-BoldOblique"),
)
STIX_FONTS = ("STIXGeneral", "STIXGeneralItalic", "STIXGeneralBol", "STIXGeneralBolIta")
FONTS = (*DEJAVU_FONTS, *STIX_FONTS)

# The largest distortions, each drawn evenly between plus and minus. Small enough that no letter is ever taken for its
# own quarter turn, large enough that a nearest neighbour on the pixels does not solve the data set.
TILT = 12.0  # degrees
SHEAR = 0.3  # horizontal shift a unit of height
STRETCH = 0.25  # relative: width times (1 + s), height divided by it
SHIFT = 2.0  # pixels, each axis
SMALLEST, LARGEST = 14.0, 21.0  # pixels; the longer side of the letter
MARGIN = 1.0  # pixels left free at the edge

_FONT_SIZE = 80  # pixels an em: letters come out about as large as on the fine grid, which is drawn once and averaged
_FINE = 4  # cells of the fine grid a pixel


def font_file(font: str) -> Path:
    """Where matplotlib keeps a font.

    Raises:
        UserError: if it is not there, which happens to matplotlibs that were not installed from a package index.
    """
    import matplotlib

    path = Path(matplotlib.get_data_path()) / "fonts" / "ttf" / f"{font}.ttf"
    if not path.is_file():
        raise UserError(f"glyphs: the font {path} is missing; reinstall matplotlib from PyPI or conda-forge")
    return path


def load_fonts() -> Mapping[str, "ImageFont.FreeTypeFont"]:
    """All fonts by name, ready to draw with."""
    from PIL import ImageFont

    # Basic layout: the other one needs a library that is not on every machine and could shape letters differently.
    return {
        font: ImageFont.truetype(font_file(font), _FONT_SIZE, layout_engine=ImageFont.Layout.BASIC) for font in FONTS
    }


def ink(letter: str, font: "ImageFont.FreeTypeFont") -> "Image.Image":
    """The letter in large, anti-aliased, cut to its bounding box; ink 255 on 0."""
    from PIL import Image, ImageDraw

    left, top, right, bottom = font.getbbox(letter)
    picture = Image.new("L", (math.ceil(right - left) + 4, math.ceil(bottom - top) + 4))
    ImageDraw.Draw(picture).text((2 - left, 2 - top), letter, font=font, fill=255)
    return picture.crop(picture.getbbox())


def place(picture: "Image.Image", matrix: NDArray[Any], shift: NDArray[Any]) -> NDArray[np.uint8]:  # [SIDE, SIDE]
    """Map the picture's centre to the image's centre plus a shift, and what is around it by a matrix.

    Args:
        picture: a letter cut to its bounding box.
        matrix: [2, 2] from picture pixels to image pixels, both (x, y).
        shift: [2] in image pixels.
    """
    from PIL import Image

    fine = SIDE * _FINE
    back = np.linalg.inv(matrix) / _FINE
    offset = np.asarray(picture.size) / 2 - back @ (fine / 2 + _FINE * shift)
    coefficients = (*back[0], offset[0], *back[1], offset[1])
    drawn = picture.transform((fine, fine), Image.Transform.AFFINE, coefficients, Image.Resampling.BILINEAR)
    return np.asarray(drawn.reduce(_FINE))


def plain(picture: "Image.Image", stretch: float = 0.0) -> NDArray[np.uint8]:  # [SIDE, SIDE]
    """The letter upright and centred, its longer side LETTER_SIDE pixels; if asked for, wider by a part and lower."""
    sides = np.asarray(picture.size) * _stretched(stretch)
    return place(picture, np.diag(_stretched(stretch)) * LETTER_SIDE / sides.max(), np.zeros(2))


def distorted(picture: "Image.Image", rng: np.random.Generator) -> NDArray[np.uint8]:  # [SIDE, SIDE]
    """The letter with a random size, stretch, shear, tilt and shift, in one resampling, never cut off at the edge."""
    stretch, shear, tilt = rng.uniform(-1.0, 1.0, 3) * (STRETCH, SHEAR, math.radians(TILT))
    turn = np.array([[math.cos(tilt), -math.sin(tilt)], [math.sin(tilt), math.cos(tilt)]])
    slant = np.array([[1.0, shear], [0.0, 1.0]])
    matrix = turn @ slant @ np.diag(_stretched(stretch))
    matrix *= rng.uniform(SMALLEST, LARGEST) / max(picture.size)
    half = np.abs(matrix) @ picture.size / 2  # of the box that the letter now needs
    shrink = min(1.0, (SIDE / 2 - MARGIN) / half.max())
    room = SIDE / 2 - MARGIN - shrink * half
    return place(picture, shrink * matrix, np.clip(rng.uniform(-SHIFT, SHIFT, 2), -room, room))


def _stretched(stretch: float) -> NDArray[Any]:  # [2]
    """Factors of width and height."""
    return np.array((1.0 + stretch, 1.0 / (1.0 + stretch)))

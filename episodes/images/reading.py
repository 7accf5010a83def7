"""Image files as arrays of bytes: any format that Pillow reads, any size, grey or colour; broken files are named."""

import io
import os
import struct
import unicodedata
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from episodes.errors import UserError, first_line

if TYPE_CHECKING:
    from PIL.Image import Image

Mode = Literal["RGB", "L"]
Fit = Literal["crop", "stretch"]

MOST_PIXELS = 100_000_000  # an image of more than this is taken for a decompression bomb
# JPEG files may be decoded at 1/2, 1/4 or 1/8 of their size, if what remains is at least this many times too large.
_DRAFT_MARGIN = 4
# What Pillow's decoders raise when a file is not what its first bytes say.
_BROKEN = (
    OSError,
    SyntaxError,
    ValueError,
    TypeError,
    LookupError,
    EOFError,
    AttributeError,
    ArithmeticError,
    RuntimeError,
    MemoryError,
    RuntimeWarning,
    struct.error,
    zlib.error,
)
_NOT_MEANT_AS_IMAGES = ("thumbs.db", "desktop.ini")


class BrokenImageError(UserError):
    """A file that is no image that can be read; the message names it and says why."""


class FolderContents(NamedTuple):
    """The files of one folder.

    Attributes:
        images: files whose name says that Pillow can read them, sorted by name.
        others: all others, sorted, without hidden ones and what file browsers leave behind.
    """

    images: list[Path]
    others: list[Path]


def read_image(
    source: str | os.PathLike[str] | bytes,
    size: int | None = None,
    mode: Mode = "RGB",
    fit: Fit = "crop",
    name: str = "",
) -> NDArray[np.uint8]:  # [C, size, size], or [C, H, W] as in the file if size is None
    """Decode one image.

    It is turned upright as its EXIF data say, transparent parts become white, 16 bits a channel become 8. Then the
    middle square (or, with ``fit="stretch"``, all of it) is resized to ``size`` by ``size``, antialiased, bilinear: for
    "crop" that is the shorter side resized to ``size``, and the centre cut out. An image that has this size already
    keeps its pixels.

    Args:
        source: path of a file, or the bytes of one.
        size: side of the result in pixels; None keeps the image's own size.
        mode: "RGB" for colour (C = 3), "L" for grey (C = 1); images of the other kind are converted.
        fit: what becomes of an image that is not square.
        name: how messages call an image that is given as bytes.

    Raises:
        BrokenImageError: if it cannot be read, or is too large to be meant.
    """
    with opened(source, name) as image:
        if size is not None:
            image.draft(None, (_DRAFT_MARGIN * size, _DRAFT_MARGIN * size))
        upright = eight_bits(turned_upright(image), mode)
        pixels = np.asarray(upright if size is None else resized(upright, size, fit))
    return pixels[None] if pixels.ndim == 2 else np.ascontiguousarray(pixels.transpose(2, 0, 1))


@contextmanager
def opened(source: str | os.PathLike[str] | bytes, name: str = "") -> Iterator["Image"]:
    """An image of which nothing is decoded yet; whatever Pillow raises meanwhile becomes an error that names the file.

    Args:
        source: path of a file, or the bytes of one.
        name: how messages call an image that is given as bytes.

    Raises:
        BrokenImageError: if it cannot be read, or is too large to be meant.
    """
    from PIL import Image

    what = name or ("the image" if isinstance(source, bytes) else str(source))
    try:
        with Image.open(io.BytesIO(source) if isinstance(source, bytes) else source) as image:
            if image.width * image.height > MOST_PIXELS:
                raise BrokenImageError(f"{what}: {image.width} x {image.height} pixels are too many to be meant")
            yield image
    except BrokenImageError:
        raise
    except (*_BROKEN, Image.DecompressionBombError) as error:
        raise BrokenImageError(f"{what}: {_reason(error)}") from None


def turned_upright(image: "Image") -> "Image":
    """Decoded, and turned as the camera was held; the image itself if it is upright already."""
    from PIL import ExifTags, ImageOps

    image.load()
    upright = image.getexif().get(ExifTags.Base.Orientation, 1) == 1
    return image if upright else ImageOps.exif_transpose(image)  # which would copy it


def eight_bits(image: "Image", mode: Mode) -> "Image":
    """Any kind of pixels as 8 bits of grey or of red, green and blue."""
    from PIL import Image

    if image.mode == "F":
        raise ValueError("its pixels are floating-point numbers; save it with 8 bits a channel")
    if image.mode.startswith("I"):  # 16 bits of grey; convert() would cut off all above 255
        values = np.asarray(image)
        image = Image.fromarray((values >> (8 if values.max(initial=0) > 255 else 0)).clip(0, 255).astype(np.uint8))
    if image.mode in ("RGBA", "LA", "PA", "RGBa", "La") or "transparency" in image.info:
        image = image.convert("RGBA")
        paper = Image.new("RGBA", image.size, "white")
        image = Image.alpha_composite(paper, image)
    return image if image.mode == mode else image.convert(mode)


def resized(image: "Image", size: int, fit: Fit) -> "Image":
    """The middle square, or everything, at size x size."""
    from PIL import Image

    width, height = image.size
    if (width, height) == (size, size):
        return image
    side = min(width, height)
    left, top = (width - side) // 2, (height - side) // 2
    box = (left, top, left + side, top + side) if fit == "crop" else (0, 0, width, height)
    return image.resize((size, size), Image.Resampling.BILINEAR, box=box)


def _reason(error: BaseException) -> str:
    """Why, in one line and without repeating the name of the file."""
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    why = first_line(error)
    return "not an image that Pillow can read" if "cannot identify" in why else why


@cache
def _extensions() -> frozenset[str]:
    """Endings of the files that Pillow reads, in small letters."""
    from PIL import Image

    return frozenset(end for end, kind in Image.registered_extensions().items() if kind in Image.OPEN)


def list_folder(folder: Path) -> FolderContents:
    """The files directly in a folder; hidden ones and folders in it are passed over, links to files are followed.

    Raises:
        UserError: if the folder cannot be read.
    """
    images: list[Path] = []
    others: list[Path] = []
    for name, is_folder in _entries(folder):
        if not is_folder and name.lower() not in _NOT_MEANT_AS_IMAGES:
            ending = os.path.splitext(name)[1].lower()
            (images if ending in _extensions() else others).append(folder / name)
    return FolderContents(images, others)


def list_class_folders(folder: Path) -> dict[str, Path]:
    """The folders directly in a folder, by name in Unicode's composed form, sorted; hidden ones are passed over.

    Raises:
        UserError: if the folder cannot be read, if a name is not valid text, or if two names are the same but for their
            Unicode form.
    """
    found: dict[str, Path] = {}
    for entry in [name for name, is_folder in _entries(folder) if is_folder]:
        name = unicodedata.normalize("NFC", entry)
        if not _is_text(name):
            raise UserError(f"{folder}: the folder name {os.fsencode(entry)!r} is not valid UTF-8; rename it")
        if name in found:
            raise UserError(f"{folder}: two folders are called {name!r}; rename one")
        found[name] = folder / entry
    return dict(sorted(found.items()))


def _entries(folder: Path) -> list[tuple[str, bool]]:
    """What is in a folder and not hidden, sorted: names, and whether they are folders (or links to folders)."""
    try:
        with os.scandir(folder) as entries:
            return sorted((entry.name, _is_folder(entry)) for entry in entries if not entry.name.startswith("."))
    except OSError as error:
        raise UserError(f"cannot read the folder {folder} ({error.strerror})") from None


def _is_folder(entry: os.DirEntry[str]) -> bool:
    """Not so for a link that leads nowhere or in a circle: that is a file which cannot be read."""
    try:
        return entry.is_dir()
    except OSError:
        return False


def _is_text(name: str) -> bool:
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True


def read_images(
    paths: list[Path], size: int | None = None, mode: Mode = "RGB", fit: Fit = "crop"
) -> tuple[NDArray[np.uint8], list[BrokenImageError]]:  # [n, C, H, W]; n may be 0
    """Decode files of one size (or all to one size); those that cannot be read are left out and returned as errors.

    Raises:
        BrokenImageError: if no size is given and a file has another one than the first.
    """
    images: list[NDArray[np.uint8]] = []
    broken: list[BrokenImageError] = []
    for path in paths:
        try:
            image = read_image(path, size, mode, fit)
        except BrokenImageError as error:
            broken.append(error)
            continue
        if images and image.shape != images[0].shape:
            raise BrokenImageError(f"{path}: its size is {image.shape[1:]}, that of {paths[0]} {images[0].shape[1:]}")
        images.append(image)
    if not images:
        return np.empty((0, 3 if mode == "RGB" else 1, size or 0, size or 0), np.uint8), broken
    return np.stack(images), broken

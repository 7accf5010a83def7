"""Whatever a picture comes as (path, PIL image, array, tensor) as the bytes that a model was trained to see."""

import os
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from episodes.errors import UserError, first_line

# The three steps of read_image, for pictures that are in memory already.
from episodes.images.reading import eight_bits, read_image, resized, turned_upright

if TYPE_CHECKING:
    from PIL.Image import Image

Framing = Literal["crop", "stretch"]

_MODES = {1: "L", 3: "RGB", 4: "RGBA"}


class Format(NamedTuple):
    """What pictures are made into.

    Attributes:
        channels: 1 for grey, 3 for colour.
        height: in pixels.
        width: in pixels.
        framing: "crop" cuts out the middle in the right proportions, "stretch" squeezes all of the picture in.
    """

    channels: int
    height: int
    width: int
    framing: Framing = "crop"

    @property
    def mode(self) -> Literal["L", "RGB"]:
        """Pillow's name for the channels."""
        return "L" if self.channels == 1 else "RGB"


def make_pictures(
    given: Any,  # n pictures: a list of anything that make_picture takes, or arrays and tensors as below
    wanted: Format,
) -> NDArray[np.uint8]:  # [n, C, H, W]
    """Many pictures: a list, a numpy stack [n, H, W] or [n, H, W, C], or a tensor [n, H, W] or [n, C, H, W].

    Raises:
        UserError: if there is none, if ``given`` is a single one, rows of numbers, or sparse; if one cannot be used.
    """
    pictures = list_pictures(given)
    made = np.empty((len(pictures), *wanted[:3]), np.uint8)
    for number, picture in enumerate(pictures):
        made[number] = make_picture(picture, wanted, f"picture {number}")
    return made


def list_pictures(given: Any) -> Sequence[Any]:
    """One element a picture.

    Raises:
        UserError: if that cannot be.
    """
    if isinstance(given, str | os.PathLike | bytes):
        raise UserError(f"give a list of pictures, not a single one ({given!r:.60})")
    if hasattr(given, "toarray"):
        raise UserError("a sparse matrix holds no pictures; give a list of pictures, or an array [n, H, W, C]")
    if not isinstance(given, Iterable) and not hasattr(given, "__array__"):
        raise UserError(f"a {type(given).__name__} is no list of pictures")
    if isinstance(given, Iterator):  # folder.glob("*.png"), say
        given = list(given)
    pictures: Any = given if isinstance(given, Tensor | list | tuple) else np.asarray(given)
    if isinstance(pictures, Tensor | np.ndarray):
        _check_stack(pictures)
    if not len(pictures):
        raise UserError("there is no picture: 0 samples were given, at least 1 is needed")
    return pictures


def _check_stack(stack: "Tensor | NDArray[Any]") -> None:
    shape = list(stack.shape)
    objects = isinstance(stack, np.ndarray) and stack.dtype.kind in "OUST"  # PIL images, paths
    if len(shape) == 1 and objects:
        return
    if len(shape) not in (3, 4):
        raise UserError(
            f"an array of shape {shape} is no stack of pictures (rows of features are none): "
            "reshape it to [n, H, W] or [n, H, W, C]"
        )


def make_picture(picture: Any, wanted: Format, name: str = "") -> NDArray[np.uint8]:  # [C, H, W]
    """One picture: a path, the bytes of a file, a PIL image, a numpy array [H, W] or [H, W, C], a tensor [C, H, W].

    Arrays and tensors hold bytes (0..255), or floats or booleans between 0 and 1.

    Args:
        picture: the picture.
        wanted: what to make of it.
        name: how messages call a picture that is no path.

    Raises:
        UserError: if it cannot be read or is none of these.
    """
    if isinstance(picture, str | os.PathLike | bytes):
        if wanted.height == wanted.width:
            return read_image(picture, wanted.height, wanted.mode, wanted.framing, name if _is(picture, bytes) else "")
        whole = read_image(picture, None, wanted.mode, name=name if _is(picture, bytes) else "")
        return _of_array(np.moveaxis(whole, 0, -1), wanted, name)
    if isinstance(picture, Tensor):
        pixels = picture.detach().cpu().numpy()
        return _of_array(np.moveaxis(pixels, 0, -1) if pixels.ndim == 3 else pixels, wanted, name)
    if isinstance(picture, np.ndarray):
        return _of_array(picture, wanted, name)
    if hasattr(picture, "getexif"):
        return _of_image(picture, wanted, name)
    raise UserError(f"{name}: a {type(picture).__name__} is no picture; give a path, PIL image, array or tensor")


def _is(thing: Any, kind: type) -> bool:
    return isinstance(thing, kind)


def _of_array(
    pixels: NDArray[Any],  # [H, W] or [H, W, C]
    wanted: Format,
    name: str,
) -> NDArray[np.uint8]:  # [C, H, W]
    """Bytes from an array; Pillow is only asked if something else than the layout has to change."""
    if pixels.ndim == 2:
        pixels = pixels[..., None]
    if pixels.ndim != 3 or pixels.shape[-1] not in _MODES or 0 in pixels.shape:
        raise UserError(
            f"{name}: an array of shape {list(pixels.shape)} is no picture; "
            "arrays are [H, W] or [H, W, C], tensors [C, H, W], with 1, 3 or 4 channels"
        )
    content = _as_bytes(pixels, name)
    if content.shape == (wanted.height, wanted.width, wanted.channels):
        return np.ascontiguousarray(content.transpose(2, 0, 1))
    from PIL import Image

    content = np.ascontiguousarray(content[..., 0] if content.shape[-1] == 1 else content)
    return _of_image(Image.fromarray(content), wanted, name)


def _as_bytes(pixels: NDArray[Any], name: str) -> NDArray[np.uint8]:
    if pixels.dtype == np.uint8:
        return pixels
    if pixels.dtype == np.bool_:
        return pixels.astype(np.uint8) * np.uint8(255)
    kind = pixels.dtype.kind
    if kind not in "iuf":
        raise UserError(f"{name}: pixels of type {pixels.dtype}; they must be bytes, or floats between 0 and 1")
    low, high, most = pixels.min(), pixels.max(), 1 if kind == "f" else 255
    if not (low >= 0 and high <= most):  # so is NaN refused
        raise UserError(
            f"{name}: pixels from {low:g} to {high:g}; {'floats' if kind == 'f' else 'integers'} must be "
            f"finite and between 0 and {most}"
        )
    return (np.rint(pixels * 255) if kind == "f" else pixels).astype(np.uint8)


def _of_image(image: "Image", wanted: Format, name: str) -> NDArray[np.uint8]:  # [C, H, W]
    """The same for an image of Pillow's."""
    try:
        upright = eight_bits(turned_upright(image), wanted.mode)
    except Exception as error:  # of a decoder: an image of Pillow's may still be a file that nobody has read
        raise UserError(f"{name}: {first_line(error)}") from error
    square = wanted.height == wanted.width
    fitted = resized(upright, wanted.height, wanted.framing) if square else _oblong(upright, wanted)
    pixels = np.asarray(fitted)
    return pixels[None].copy() if pixels.ndim == 2 else np.ascontiguousarray(pixels.transpose(2, 0, 1))


def _oblong(image: "Image", wanted: Format) -> "Image":
    """What read_image does for squares, for other proportions."""
    from PIL import Image

    width, height = image.size
    box = (0.0, 0.0, float(width), float(height))
    if wanted.framing == "crop":
        scale = min(width / wanted.width, height / wanted.height)
        left, top = (width - scale * wanted.width) / 2, (height - scale * wanted.height) / 2
        box = (left, top, width - left, height - top)
    return image.resize((wanted.width, wanted.height), Image.Resampling.BILINEAR, box=box)


def exchange(pictures: NDArray[np.uint8]) -> None:  # [n, C, H, W]
    """Light for dark and dark for light, in place."""
    np.bitwise_not(pictures, out=pictures)


def border_brightness(pictures: NDArray[np.uint8]) -> float:  # [n, C, H, W]
    """Mean brightness, 0..1, of the outermost pixels: the paper that something is written on."""
    edges = [pictures[..., 0, :], pictures[..., -1, :], pictures[..., :, 0], pictures[..., :, -1]]
    return float(np.mean([edge.mean() for edge in edges]) / 255)


def is_negative(
    pictures: NDArray[np.uint8],  # [n, C, H, W]
    mean: Tensor,  # [C] mean of the training images, 0..1
) -> bool:
    """Whether pictures are dark on light where the model was trained on light on dark, or the other way round.

    Only said of grey pictures whose border is as clearly dark or light as the training images are on the whole (0.2
    away from middle grey); colour models and photographs are left alone.
    """
    if pictures.shape[1] != 1 or not len(pictures):
        return False
    ours, theirs = border_brightness(pictures) - 0.5, float(torch.as_tensor(mean).mean()) - 0.5
    return min(abs(ours), abs(theirs)) >= 0.2 and (ours > 0) != (theirs > 0)

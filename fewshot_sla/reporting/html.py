"""What pages in HTML are made of: text that is escaped, pictures inside the file, fractions as people read them."""

import base64
import io
import re
from collections.abc import Iterable
from html import escape

import numpy as np
from numpy.typing import NDArray
from PIL import Image

# Control characters, separators of lines, overrides of the direction of writing (they show "gnp.exe" as "exe.png"),
# halves of a surrogate pair (a byte of a file name that is no UTF-8).
_UNPRINTABLE = re.compile("[\x00-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")


def printable(words: str) -> str:
    r"""The same without what would break a line, move the cursor or turn the direction of writing.

    >>> printable("a" + chr(27) + "[31m" + chr(0xdcff))
    'a\\x1b[31m\\udcff'
    """
    return _UNPRINTABLE.sub(lambda match: match[0].encode("unicode_escape").decode(), words)


def text(words: str) -> str:
    r"""Any words as HTML text or as the value of an attribute; what cannot be printed becomes a backslash sequence.

    >>> text('<b> & "c"' + chr(10))
    '&lt;b&gt; &amp; &quot;c&quot;\\n'
    """
    return escape(printable(words), quote=True)


def name(words: str) -> str:
    """A name that the user gave, isolated: its direction of writing does not leak into the sentence around it."""
    return f"<bdi>{text(words)}</bdi>"


def whole_percent(fraction: float) -> str:
    """A fraction as whole per cent; only what is exactly nothing or all is called 0 or 100.

    >>> [whole_percent(p).replace(chr(160), " ") for p in (0.0, 0.004, 0.5, 0.9999, 1.0)]
    ['0 %', '<1 %', '50 %', '>99 %', '100 %']
    """
    if 0 < fraction < 0.005:
        return "<1\N{NO-BREAK SPACE}%"
    if 0.995 <= fraction < 1:
        return ">99\N{NO-BREAK SPACE}%"
    return f"{100 * fraction:.0f}\N{NO-BREAK SPACE}%"


def count(number: int, noun: str, plural: str = "") -> str:
    """A number and its noun.

    >>> count(1, "class", "classes"), count(1200, "picture")
    ('1 class', '1,200 pictures')
    """
    return f"{number:,} {noun if number == 1 else plural or noun + 's'}"


def data_uri(picture: NDArray[np.uint8], largest: int, *, lossy: bool = False) -> str:  # picture [C, H, W] uint8
    """A picture as PNG in a data URI; pixels unchanged, unless a side is longer than ``largest``.

    Three channels are red, green and blue; of any other number the first is shown in grey. With ``lossy`` what is
    coloured becomes a JPEG, a third of the size, which is for pages of very many pictures.
    """
    pixels = picture.transpose(1, 2, 0) if len(picture) == 3 else picture[0]
    image = Image.fromarray(np.ascontiguousarray(pixels))
    image.thumbnail((largest, largest), Image.Resampling.LANCZOS)
    file = io.BytesIO()
    form = "JPEG" if lossy and image.mode == "RGB" else "PNG"
    image.save(file, format=form, **({"quality": 85} if form == "JPEG" else {}))
    return f"data:image/{form.lower()};base64,{base64.b64encode(file.getvalue()).decode()}"


def image(
    picture: NDArray[np.uint8],  # [C, H, W]
    alt: str,
    box: int,
    *,
    lossy: bool = False,
) -> str:
    """An ``img`` that fits a square of ``box`` CSS pixels.

    A small picture is enlarged by a whole factor and with sharp pixels, so that a letter of 28 by 28 stays a letter.
    A large one is kept to one and a half times the box: enough for dense screens, and the file stays small.
    """
    height, width = picture.shape[1:]
    longest = max(height, width)
    scale = box // longest if longest <= box else box / longest
    sharp = ' class="sharp"' if scale > 1 else ""
    size = f'width="{max(1, round(scale * width))}" height="{max(1, round(scale * height))}"'
    return f'<img{sharp} src="{data_uri(picture, box * 3 // 2, lossy=lossy)}" alt="{text(alt)}" {size}>'


def element(tag: str, parts: Iterable[str], **attributes: str) -> str:
    """Parts that are HTML already, in an element; ``class`` is written ``class_``, and ``aria-x`` ``aria_x``."""
    given = "".join(f' {key.rstrip("_").replace("_", "-")}="{text(value)}"' for key, value in attributes.items())
    return "\n".join([f"<{tag}{given}>", *parts, f"</{tag}>"])

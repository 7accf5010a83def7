"""Escaping against the parser, pictures against their pixels, sizes against a table by hand."""

import base64
import io

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image

from fewshot_sla.reporting.html import data_uri, image, name, text
from tests.fewshot_sla.reporting.html_tree import Tree


def noise(seed: int, shape: tuple[int, ...]) -> NDArray[np.uint8]:
    return np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)


@given(st.text(st.characters(codec="utf-8", exclude_categories=("Cc", "Cf", "Zl", "Zp"))))
def test_any_printable_text_comes_back_from_the_parser(words: str) -> None:
    node = Tree(f'<span title="{text(words)}">{name(words)}</span>').root.one("span")
    assert "".join(node.pieces) == node.attributes["title"] == words


@pytest.mark.parametrize(
    ("character", "shown"),
    [("\n", r"\n"), ("\0", r"\x00"), ("\x9b", r"\x9b"), ("\u2028", r"\u2028"), ("\u202e", r"\u202e"),
     ("\u2066", r"\u2066"), ("\udcff", r"\udcff")],
)  # fmt: skip
def test_what_cannot_be_printed_is_spelled_out(character: str, shown: str) -> None:
    assert text(f"a{character}b") == f"a{shown}b"


@pytest.mark.parametrize("joiner", ["\u200c", "\u200d", "\u200f"])
def test_joiners_that_scripts_need_stay(joiner: str) -> None:
    assert text(f"a{joiner}b") == f"a{joiner}b"


def decoded(uri: str) -> NDArray[np.uint8]:
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(uri.removeprefix("data:image/png;base64,")))))


@pytest.mark.parametrize("shape", [(1, 28, 28), (3, 32, 32), (3, 5, 9), (1, 1, 160)])
def test_pictures_come_back_pixel_by_pixel(shape: tuple[int, ...]) -> None:
    picture = noise(3, shape)
    pixels = decoded(data_uri(picture, 160))
    assert np.array_equal(
        pixels if shape[0] == 1 else pixels.transpose(2, 0, 1), picture[0] if shape[0] == 1 else picture
    )


def test_large_pictures_are_reduced_and_odd_channels_shown_in_grey() -> None:
    assert decoded(data_uri(noise(0, (3, 224, 448)), 160)).shape == (80, 160, 3)
    two = noise(1, (2, 4, 4))
    assert np.array_equal(decoded(data_uri(two, 160)), two[0])


@pytest.mark.parametrize(
    ("sides", "width", "height", "sharp"),
    [((28, 28), 112, 112, True), ((32, 32), 96, 96, True), ((84, 84), 84, 84, False), ((224, 112), 56, 112, False),
     ((10, 30), 90, 30, True), ((500, 1), 1, 112, False)],
)  # fmt: skip
def test_small_pictures_grow_by_whole_factors(sides: tuple[int, int], width: int, height: int, sharp: bool) -> None:
    node = Tree(image(np.zeros((1, *sides), np.uint8), "a picture", 112)).root.one("img")
    assert (int(node.attributes["width"]), int(node.attributes["height"])) == (width, height)
    assert ("sharp" in node.attributes.get("class", "")) == sharp

"""Pictures: the form that the name asks for, the same bytes each time, whole or not at all."""

from pathlib import Path

import pytest

from episodes.errors import UserError
from fewshot_sla.reporting.pictures import picture, picture_path

BEGINNINGS = {".png": b"\x89PNG", ".svg": b"<?xml", ".pdf": b"%PDF", ".SVG": b"<?xml"}


def draw(path: Path) -> bytes:
    with picture(path, 2, 1) as figure:
        figure.subplots().plot([1, 2])
    return path.read_bytes()


@pytest.mark.parametrize("ending", BEGINNINGS)
def test_the_name_says_the_form(ending: str, tmp_path: Path) -> None:
    first, second = draw(tmp_path / f"first{ending}"), draw(tmp_path / f"second{ending}")
    assert first.startswith(BEGINNINGS[ending])
    assert first == second


def test_a_picture_that_fails_leaves_nothing_behind(tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError), picture(tmp_path / "a.png", 2, 1):
        raise ZeroDivisionError
    assert list(tmp_path.iterdir()) == []


def test_another_ending_is_refused() -> None:
    assert picture_path("a/b.pdf") == Path("a/b.pdf")
    with pytest.raises(UserError, match=r"^--output a/b: give a file name that ends in \.png, \.svg or \.pdf$"):
        picture_path("a/b")

"""Which files are meant, and what is said of those that cannot be."""

import os
import re
import warnings
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from episodes.errors import UserError
from episodes.images.reading import MOST_PIXELS, BrokenImageError, read_image
from fewshot_sla.prediction import folders
from fewshot_sla.prediction.folders import query_files, read_pictures, same_files, support_files
from fewshot_sla.prediction.pictures import Format

WANTED = Format(1, 8, 8)


def draw(path: Path, value: int = 0) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.random.default_rng(value).integers(0, 256, (9, 9), np.uint8)).save(path)
    return path


def test_folders_are_classes_in_the_order_of_their_names(tmp_path: Path) -> None:
    for name in ("b/2.png", "b/1.jpg", "a/x.bmp", "Ünïcode 字/ß.png", ".hidden/1.png", "a/.hidden.png"):
        draw(tmp_path / name)
    (tmp_path / "a" / "notes.txt").write_text("")
    (tmp_path / "loose.txt").write_text("")
    found, notes = support_files(tmp_path)
    assert {name: [path.name for path in paths] for name, paths in found.items()} == {
        "a": ["x.bmp"],
        "b": ["1.jpg", "2.png"],
        "Ünïcode 字": ["ß.png"],
    }
    assert list(found) == ["a", "b", "Ünïcode 字"]
    assert notes == [f"{tmp_path / 'a'}: 1 file that is no picture by name passed over (notes.txt)"]


def test_queries_are_files_and_folders_each_once(tmp_path: Path) -> None:
    a, b = draw(tmp_path / "q" / "a.png"), draw(tmp_path / "q" / "b.png")
    (tmp_path / "q" / "below").mkdir()
    for name in ("1.txt", "2.txt", "3.txt", "4.txt"):
        (tmp_path / "q" / name).write_text("")
    odd = tmp_path / "no ending"
    odd.write_bytes(a.read_bytes())
    found, notes = query_files([str(b), str(tmp_path / "q"), str(odd)])
    assert found == [b, a, odd]
    assert notes == [
        f"{tmp_path / 'q'}: 4 files that are no picture by name passed over (1.txt, 2.txt, 3.txt, ...)",
        f"{tmp_path / 'q'}: 1 folder in it passed over, with what is inside (below)",
    ]


def test_pictures_that_take_no_part_are_said(tmp_path: Path) -> None:
    for name in ("a/1.png", "a/more/2.png", "a/and/2.png", "a/.hidden/3.png", "b/1.png", "loose.png"):
        draw(tmp_path / name)
    assert support_files(tmp_path)[1] == [
        f"{tmp_path}: 1 picture that is in no class folder passed over (loose.png)",
        f"{tmp_path / 'a'}: 2 folders in it passed over, with what is inside (and, more)",
    ]


def test_odd_pictures_that_can_be_read_warn_nobody(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 50)  # from here to twice as many Pillow warns
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        read = read_pictures([draw(tmp_path / "a.png")], WANTED)
    assert (len(read.paths), read.broken, told) == (1, [], [])


def loop(path: Path) -> Path:
    path.symlink_to(path)
    return path


SUPPORT = {
    "missing": (
        lambda root: root / "gone",
        "ROOT/gone: there is no such folder; give a folder with a folder of pictures for each class",
    ),
    "a file": (lambda root: draw(root / "it.png"), "cannot read the folder ROOT/it.png (Not a directory)"),
    "a link loop": (
        lambda root: loop(root / "loop"),
        "cannot read the folder ROOT/loop (Too many levels of symbolic links)",
    ),
    "no class folder": (
        lambda root: draw(root / "s" / "1.png").parent,
        "ROOT/s: there is no class folder in it; put the pictures of each class into ROOT/s/CLASS/",
    ),
    "one class": (
        lambda root: draw(root / "s" / "cat" / "1.png").parents[1],
        "ROOT/s: there is only one class, 'cat'; at least two are needed",
    ),
    "a class without pictures": (
        lambda root: [draw(root / "s" / "cat" / "1.png"), (root / "s" / "dog").mkdir()] and root / "s",
        "ROOT/s/dog: the class 'dog' has no picture; add one or remove the folder",
    ),
}


@pytest.mark.parametrize("name", SUPPORT)
def test_supports_that_cannot_be(name: str, tmp_path: Path) -> None:
    make, message = SUPPORT[name]
    folder = make(tmp_path)
    with pytest.raises(UserError, match=f"^{re.escape(message.replace('ROOT', str(tmp_path)))}$"):
        support_files(folder)


QUERY = {
    "an empty name": (
        lambda root: [""],
        "a query has no name; give a picture or a folder of pictures",
    ),
    "nothing": (lambda root: [], "there is no query; give a picture or a folder of pictures"),
    "missing": (
        lambda root: [root / "gone.png"],
        "ROOT/gone.png: No such file or directory; give a picture or a folder of pictures as query",
    ),
    "a link loop": (
        lambda root: [loop(root / "loop")],
        "ROOT/loop: Too many levels of symbolic links; give a picture or a folder of pictures as query",
    ),
    "a folder of folders": (
        lambda root: {draw(root / "q" / name / "1.png").parents[1] for name in "abcd"},
        "ROOT/q: there are only folders in it (a, b, c, ...); give one of them, or the files",
    ),
    "an empty folder": (lambda root: [(root / "q").mkdir() or root / "q"], "ROOT/q: there is no picture in it"),
}


@pytest.mark.parametrize("name", QUERY)
def test_queries_that_cannot_be(name: str, tmp_path: Path) -> None:
    make, message = QUERY[name]
    given = make(tmp_path)
    with pytest.raises(UserError, match=f"^{re.escape(message.replace('ROOT', str(tmp_path)))}$"):
        query_files(given)


def broken_files(root: Path) -> dict[Path, str]:
    """Files that cannot be read, and what is said of each."""
    whole = draw(root / "whole.png").read_bytes()
    (root / "cut off.png").write_bytes(whole[: len(whole) // 2])
    (root / "text.jpg").write_text("not an image")
    (root / "empty.png").write_bytes(b"")
    loop(root / "loop.png")
    side = int(MOST_PIXELS**0.5) + 1
    Image.new("1", (side, side)).save(root / "bomb.png")
    return {
        root / "bomb.png": f"{side} x {side} pixels are too many to be meant",
        root / "cut off.png": "image file is truncated",
        root / "empty.png": "not an image that Pillow can read",
        root / "loop.png": "Too many levels of symbolic links",
        root / "text.jpg": "not an image that Pillow can read",
    }


@pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")  # it is of Pillow's, and only a warning
def test_broken_files_are_named_and_the_rest_goes_on(tmp_path: Path) -> None:
    broken = broken_files(tmp_path)
    good = [tmp_path / "whole.png", draw(tmp_path / "字.png", 3)]
    told = []
    read = read_pictures(
        [good[0], *broken, good[1]], WANTED, on_progress=lambda _, done, total: told.append((done, total))
    )
    assert read.paths == good
    assert read.numbers == [0, len(broken) + 1]
    assert [Path(file.name) for file in read.broken] == list(broken)
    for file in read.broken:
        assert broken[Path(file.name)] in file.reason
        assert str(tmp_path) not in file.reason
    assert np.array_equal(read.pixels, np.stack([read_image(path, 8, "L") for path in good]))
    assert told[-1] == (len(broken) + 2, len(broken) + 2)


def test_strict_stops_at_the_first(tmp_path: Path) -> None:
    broken_files(tmp_path)
    with pytest.raises(BrokenImageError, match=r"text\.jpg: not an image that Pillow can read"):
        read_pictures([tmp_path / "whole.png", tmp_path / "text.jpg"], WANTED, strict=True)


def test_many_pictures_lie_in_a_file_and_not_in_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    paths = [draw(tmp_path / f"{number}.png", number) for number in range(5)]
    in_memory = read_pictures(paths, WANTED)
    monkeypatch.setattr(folders, "_IN_MEMORY", 4 * 64)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    mapped = read_pictures(paths, WANTED)
    assert isinstance(mapped.pixels, np.memmap)
    assert not isinstance(in_memory.pixels, np.memmap)
    assert np.array_equal(mapped.pixels, in_memory.pixels)
    assert len(list(tmp_path.iterdir())) == 5  # the file has no name


def test_a_file_is_the_same_by_whatever_path(tmp_path: Path) -> None:
    support, other = draw(tmp_path / "s" / "1.png"), draw(tmp_path / "2.png")
    (tmp_path / "link.png").symlink_to(support)
    roundabout = Path(os.path.join(tmp_path, "s", "..", "s", "1.png"))
    found = same_files([support], [other, tmp_path / "link.png", roundabout])
    assert found == [(tmp_path / "link.png", support), (roundabout, support)]

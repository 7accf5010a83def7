"""``python -m episodes.datasets verify``: what it says, and its exit codes."""

import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from episodes.datasets import EpisodeFolders
from episodes.datasets.__main__ import main
from episodes.datasets.verify import NAMES, find_reader, make_reader, verify
from episodes.errors import UserError


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FEWSHOT_SLA_CACHE", str(tmp_path / "cache"))


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for number, place in enumerate(["train/cat", "train/dog", "val/cow", "test/owl"]):
        folder = tmp_path / "pets" / place
        folder.mkdir(parents=True)
        for image in range(3 + number):
            paint(folder / f"{image}.png", 10 * number + image)
    return tmp_path / "pets"


def paint(path: Path, seed: int) -> None:
    Image.fromarray(np.random.default_rng(seed).integers(0, 256, (8, 8, 3), dtype=np.uint8)).save(path)


def run(monkeypatch: pytest.MonkeyPatch, *arguments: object) -> int:
    monkeypatch.setattr(sys, "argv", ["episodes.datasets", *map(str, arguments)])
    with pytest.raises(SystemExit) as caught:
        main()
    return int(caught.value.code or 0)


def test_a_sound_data_set(root: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(monkeypatch, "verify", "episode-folders", root, "--option", "image-size=8", "--classes") == 0
    lines = capsys.readouterr().out.splitlines()
    fingerprint = EpisodeFolders(str(root), image_size=8).open("train").fingerprint
    assert lines[0].startswith("pets: a folder a class in")
    assert lines[1] == "pets/train: 2 classes, 7 images of 3 x 8 x 8, 3 to 4 a class"
    assert lines[2:5] == [f"  fingerprint {fingerprint}", "       3  cat", "       4  dog"]
    assert lines[-3:] == [
        "pairs of equal images within a class: 0",
        "pairs of equal images between classes of a split: 0",
        "pairs of equal images across splits: 0",
    ]


def test_duplicates_are_counted_where_they_are(root: Path) -> None:
    paint(root / "train" / "cat" / "again.png", 0)
    paint(root / "train" / "cat" / "and_again.png", 0)
    paint(root / "train" / "dog" / "cat.png", 1)
    report = verify(EpisodeFolders(str(root), image_size=8))
    assert report.sound
    assert "pairs of equal images within a class: 3" in report.lines
    assert "  3 x train/cat = train/cat" in report.lines
    assert "  1 x train/cat = train/dog" in report.lines
    paint(root / "test" / "owl" / "cat.png", 1)
    report = verify(EpisodeFolders(str(root), image_size=8))
    assert not report.sound
    assert "pairs of equal images across splits: 2" in report.lines


def test_what_the_published_data_set_shares_is_no_fault(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    paint(root / "test" / "owl" / "cat.png", 1)
    monkeypatch.setattr(EpisodeFolders, "published_overlap", 1)
    report = verify(EpisodeFolders(str(root), image_size=8))
    assert report.sound
    assert report.lines[-1] == "  (not more than the 1 that the published data set has)"


def test_classes_that_all_splits_share(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A reader for classification says whether they do; a reader for few-shot learning says nothing of it."""
    line = "all splits hold the same classes, as they must for classification"
    assert line not in verify(EpisodeFolders(str(root), image_size=8)).lines
    monkeypatch.setattr(EpisodeFolders, "shares_classes", True)
    report = verify(EpisodeFolders(str(root), image_size=8))
    assert "  ! the splits do not hold the same classes; classification needs them to" in report.lines
    assert not report.sound


@pytest.mark.parametrize("copies", [0, 2])
def test_classification_from_the_command_line(
    root: Path, copies: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("val", "test"):
        shutil.rmtree(root / name)
    for number, place in enumerate(["cat", "dog"]):
        for image in range(4):
            (root / "test" / place).mkdir(parents=True, exist_ok=True)
            paint(root / "test" / place / f"{image}.png", (0 if image < copies else 100) + 10 * number + image)
    code = run(
        monkeypatch, "verify", "classification-folders", root, "--option", "image_size=8", "--option", "val_share=0"
    )
    lines = capsys.readouterr().out.splitlines()
    assert "all splits hold the same classes, as they must for classification" in lines
    assert f"pairs of equal images across splits: {2 * copies}" in lines
    assert code == (1 if copies else 0)


def test_broken_files_give_exit_code_1(
    root: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (root / "val" / "cow" / "x.png").write_bytes(b"no")
    for _ in range(2):  # decoding, and from the store
        assert run(monkeypatch, "verify", "episode-folders", root) == 1
        assert "cow/x.png: not an image that Pillow can read" in capsys.readouterr().out


def test_a_store_with_another_pixel_is_found(root: Path) -> None:
    source = EpisodeFolders(str(root), image_size=8)
    assert verify(source).sound
    path = source.store_file("val")
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    report = verify(source)
    assert not report.sound
    assert any("have changed since they were decoded" in line for line in report.lines)


def test_splits_that_are_absent_are_named(root: Path) -> None:
    (root / "val").rename(root / ".val")
    report = verify(EpisodeFolders(str(root)))
    assert report.sound
    assert "there is no split val" in report.lines


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("episode-folders", "/nowhere"), "there is no /nowhere. Put your images"),
        (("fodler", "."), "there is no data set 'fodler'; there are"),
        (("episodes.datasets.Glyphs", "."), "there is no data set"),
        (("episode-folders", ".", "--option", "size=3"), "unexpected keyword argument 'size'"),
        (("episode-folders", ".", "--option", "size"), "not of the form KEY=VALUE"),
        (("episode-folders",), "the following arguments are required: ROOT; see python -m episodes.datasets verify"),
    ],
)
def test_exit_code_2_is_one_line(
    arguments: tuple[str, ...],
    message: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert run(monkeypatch, "verify", *arguments) == 2
    captured = capsys.readouterr()
    assert captured.err.startswith("error: ")
    assert message in captured.err
    assert captured.err.count("\n") == 1
    assert captured.out == ""


@pytest.mark.parametrize("name", NAMES)
def test_every_name_is_a_reader(name: str) -> None:
    assert find_reader(name).name


def test_a_reader_of_ones_own() -> None:
    reader = make_reader("episodes.datasets.EpisodeFolders", "there", {"grey": True})
    assert isinstance(reader, EpisodeFolders)
    assert reader.grey
    with pytest.raises(UserError):
        find_reader("")


def test_the_command_itself(root: Path) -> None:
    command = [sys.executable, "-m", "episodes.datasets"]
    result = subprocess.run([*command, "verify", "episode-folders", str(root)], capture_output=True, text=True)
    assert (result.returncode, result.stderr) == (0, "")
    assert subprocess.run([*command, "verify", "--help"], capture_output=True, text=True).stdout.startswith("usage:")

"""The store: decoded once, mapped ever after, whole or not there, the same for every order of the same images."""

import errno
import logging
import os
import subprocess
import sys
from collections import namedtuple
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from episodes.datasets.store import file as store_file
from episodes.datasets.store import source as store
from episodes.datasets.store.source import SplitContents, StoredSource, files_key, sorted_by_content
from episodes.errors import UserError

SHAPE = (3, 5, 7)


class Fake(StoredSource):
    """Three classes of 3, 4 and 5 random images; counts how often it is decoded."""

    name = "fake"
    how_to_get = "Put it there."

    def __init__(self, root: str, cache_dir: str, key: str = "key", reverse: bool = False) -> None:
        super().__init__(root, cache_dir)
        self.key = key
        self.reverse = reverse
        self.decoded = 0
        self.notes: list[str] = []
        self.at_most = 12

    def layout(self) -> str:
        return "nothing"

    def source_key(self, split: str) -> str:
        return self.key

    def contents(self, split: str) -> SplitContents:
        self.decoded += 1
        return SplitContents(("a", "b", "ü"), SHAPE, self.at_most, self.read_class, list(self.notes))

    def read_class(self, number: int) -> NDArray[np.uint8]:
        images = np.random.default_rng(number).integers(0, 256, (3 + number, *SHAPE), dtype=np.uint8)
        return images[::-1] if self.reverse else images


@pytest.fixture
def fake(tmp_path: Path) -> Fake:
    return Fake(str(tmp_path), str(tmp_path / "cache"))


def visible(folder: Path) -> list[str]:
    return sorted(os.listdir(folder)) if folder.exists() else []


def test_first_use_decodes_and_the_next_one_maps(fake: Fake) -> None:
    first, second = fake.open("train"), fake.open("train")
    assert fake.decoded == 1
    for images in (first, second):
        assert images.images.shape == (12, *SHAPE)
        assert images.images.dtype == torch.uint8
        assert images.class_counts.tolist() == [3, 4, 5]
        assert images.class_names == ("a", "b", "ü")
        assert images.name == "fake/train"
    assert torch.equal(first.images, second.images)
    assert sorted(map(bytes, fake.read_class(1))) == sorted(bytes(image) for image in second.images[3:7].numpy())


def test_the_fingerprint_is_known_and_right(fake: Fake) -> None:
    images = fake.open("train")
    assert "fingerprint" in vars(images)  # not computed
    assert images.fingerprint == replace(images, known_fingerprint="").fingerprint


def test_the_order_in_which_images_come_does_not_matter(fake: Fake, tmp_path: Path) -> None:
    other = Fake(str(tmp_path), str(tmp_path / "other"), reverse=True)
    assert other.open("train").fingerprint == fake.open("train").fingerprint


def test_a_reader_may_keep_the_order(fake: Fake, monkeypatch: pytest.MonkeyPatch) -> None:
    path = fake.store_file("train")
    monkeypatch.setattr(Fake, "keeps_order", True)
    images = fake.open("train")
    for number in range(3):
        assert np.array_equal(images.images[images.labels == number], fake.read_class(number))
    assert fake.store_file("train") != path


def test_sorted_by_content_keeps_every_image() -> None:
    images = np.random.default_rng(0).integers(0, 3, (40, 1, 1, 2), dtype=np.uint8)
    ordered = sorted_by_content(images)
    assert sorted(map(bytes, ordered)) == sorted(map(bytes, images))
    assert np.array_equal(ordered, sorted_by_content(images[::-1]))


def test_fewer_images_than_promised_leave_no_gap(fake: Fake) -> None:
    fake.at_most = 1000
    assert fake.open("train").images.shape == (12, *SHAPE)
    assert fake.open("train").fingerprint == fake.open("train").fingerprint


def test_safetensors_reads_the_file(fake: Fake) -> None:
    from safetensors.torch import load_file

    images = fake.open("train")
    read = load_file(fake.store_file("train"))
    assert torch.equal(read["images"], images.images)
    assert torch.equal(read["labels"], images.labels)


@pytest.mark.skipif(sys.platform != "linux", reason="makes a file that is larger than the disk")
def test_a_store_may_be_larger_than_the_memory(tmp_path: Path) -> None:
    shape = (10_000_000, 3, 84, 84)
    with open(tmp_path / "store", "wb") as file:
        file.truncate(100 + int(np.prod(shape)))
    images = store_file._map(tmp_path / "store", 100, shape)
    images[-1] += 1
    assert images[-2:].sum() == 3 * 84 * 84


def test_writing_to_the_images_does_not_reach_the_file(fake: Fake) -> None:
    images = fake.open("train").images
    images.zero_()
    assert fake.open("train").images.any()


def test_a_changed_source_is_decoded_anew(fake: Fake) -> None:
    fake.open("train")
    fake.key = "other"
    fake.open("train")
    fake.open("val")
    assert fake.decoded == 3


@pytest.mark.parametrize("keep", [0, 5, 2000, -1])
def test_a_store_that_is_cut_off_is_decoded_anew(fake: Fake, keep: int, caplog: pytest.LogCaptureFixture) -> None:
    fake.open("train")
    path = fake.store_file("train")
    path.write_bytes(path.read_bytes()[:keep])
    assert fake.open("train").images.shape == (12, *SHAPE)
    assert fake.decoded == 2
    assert "decoding the images anew" in caplog.text


def test_notes_are_kept_and_said_once(fake: Fake, caplog: pytest.LogCaptureFixture) -> None:
    fake.notes = [f"left out {number:03d}" for number in range(99)]
    assert len(fake.stored("train").notes) == 51
    assert fake.stored("train").notes[-1] == "... and 49 more"
    (record,) = [record for record in caplog.records if record.levelno == logging.WARNING]
    assert record.getMessage() == "fake/train: 99 remark(s), first: left out 000; left out 001; left out 002"


def test_a_disk_that_is_too_small_is_noticed_before(fake: Fake, monkeypatch: pytest.MonkeyPatch) -> None:
    usage = namedtuple("usage", "free")
    monkeypatch.setattr(store.shutil, "disk_usage", lambda _: usage(10))
    with pytest.raises(UserError, match=r"fake/train: cannot keep 0\.00 GB .*cache.*0\.00 GB are free.*cache_dir"):
        fake.open("train")
    assert visible(Path(str(fake.cache_dir))) == []


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EDQUOT])
def test_a_disk_that_fills_up_leaves_nothing_behind(fake: Fake, monkeypatch: pytest.MonkeyPatch, code: int) -> None:
    def full(*_: object) -> bytes:
        raise OSError(code, "no space")

    monkeypatch.setattr(store_file, "_header", full)
    with pytest.raises(UserError, match="the disk is full") as caught:
        fake.open("train")
    assert "\n" not in str(caught.value)
    assert visible(Path(str(fake.cache_dir))) == []


def test_a_cache_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match=r"cannot keep .*file/cache.*another folder"):
        Fake(str(tmp_path), str(tmp_path / "file" / "cache")).open("train")


@pytest.mark.parametrize(
    ("images", "error", "message"),
    [
        (np.zeros((0, *SHAPE), np.uint8), UserError, "class 'b' has no image that can be read"),
        (np.zeros((2, 3, 5, 8), np.uint8), TypeError, "promised"),
        (np.zeros((2, *SHAPE), np.int64), TypeError, "promised"),
        (OSError(5, "input/output error"), UserError, "cannot read class 'b'"),
    ],
)
def test_a_reader_that_fails_leaves_nothing_behind(
    fake: Fake, monkeypatch: pytest.MonkeyPatch, images: object, error: type[Exception], message: str
) -> None:
    good = fake.read_class

    def read_class(number: int) -> object:
        if number != 1:
            return good(number)
        if isinstance(images, Exception):
            raise images
        return images

    monkeypatch.setattr(fake, "read_class", read_class)
    with pytest.raises(error, match=message):
        fake.open("train")
    assert visible(Path(str(fake.cache_dir))) == []


def test_a_split_that_there_is_not(fake: Fake) -> None:
    with pytest.raises(UserError, match="no split 'tset'; the splits are train, val, test"):
        fake.open("tset")


def test_missing_says_what_to_do(fake: Fake, tmp_path: Path) -> None:
    assert str(fake.missing("images/")) == f"fake: {tmp_path} has no images/. Put it there."
    assert f"there is no {tmp_path / 'x'}." in str(Fake(str(tmp_path / "x"), "").missing("images/"))


def test_names_of_data_sets_may_be_anything(fake: Fake) -> None:
    fake.name = "../" + "ü" * 300
    assert fake.open("train").name.startswith("../ü")
    assert fake.store_file("train").parent == Path(str(fake.cache_dir))


@pytest.mark.slow
def test_processes_that_decode_at_once_do_no_harm(tmp_path: Path) -> None:
    code = (
        "import sys; sys.path[:0] = sys.argv[1:2]; from test_source import Fake\n"
        "fake = Fake('x', sys.argv[2]); print(fake.open('train').fingerprint, fake.decoded)"
    )
    command = [sys.executable, "-c", code, str(Path(__file__).parent), str(tmp_path / "cache")]
    running = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(3)]
    answers = [process.communicate()[0].split() for process in running]
    assert all(process.returncode == 0 for process in running)
    assert len({fingerprint for fingerprint, _ in answers}) == 1
    assert [name for name in visible(tmp_path / "cache") if not name.endswith(".safetensors")] == []


class TestFilesKey:
    def test_changes_with_files_and_options_only(self, tmp_path: Path) -> None:
        one, two = tmp_path / "a" / "1", tmp_path / "a" / "2"
        one.parent.mkdir()
        one.write_text("1")
        two.write_text("2")
        key = files_key(tmp_path / "a", [one, two], size=84)
        assert key == files_key(tmp_path / "a", [two, one], size=84)
        assert key != files_key(tmp_path / "a", [one, two], size=32)
        assert key != files_key(tmp_path / "a", [one], size=84)
        (tmp_path / "a").rename(tmp_path / "b")
        moved = [tmp_path / "b" / "1", tmp_path / "b" / "2"]
        assert key == files_key(tmp_path / "b", moved, size=84)
        os.utime(moved[0], ns=(1, 1))
        assert key != files_key(tmp_path / "b", moved, size=84)

    def test_a_file_that_is_not_there(self, tmp_path: Path) -> None:
        with pytest.raises(UserError, match=r"cannot read .*gone"):
            files_key(tmp_path, [tmp_path / "gone"])

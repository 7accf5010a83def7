"""SVHN from MATLAB files, and what can be wrong with them."""

from pathlib import Path

import numpy as np
import pytest
from scipy.io import savemat

from episodes.datasets import SVHN
from episodes.errors import UserError

LABELS = {"train": [1, 10, 2, 3, 4, 5, 6, 7, 8, 9, 10, 1, 2, 3, 4, 5, 6, 7, 8, 9], "test": [*range(10, 0, -1), 4]}


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FEWSHOT_SLA_CACHE", str(tmp_path / "cache"))


def images_of(part: str) -> np.ndarray:  # [n, 32, 32, 3]
    rng = np.random.default_rng(len(part))
    return rng.integers(0, 256, (len(LABELS[part]), 32, 32, 3), dtype=np.uint8)


def write(folder: Path, *parts: str) -> Path:
    folder.mkdir(exist_ok=True)
    for part in parts:
        labels = np.array(LABELS[part], np.uint8)[:, None]
        savemat(folder / f"{part}_32x32.mat", {"X": images_of(part).transpose(1, 2, 3, 0), "y": labels})
    return folder


def test_both_parts_with_10_for_the_digit_0(tmp_path: Path) -> None:
    source = SVHN(str(write(tmp_path / "svhn", "train", "test")), val_per_class=1)
    assert source.available_splits() == ("train", "val", "test")
    for number in range(10):
        chosen = np.array(LABELS["train"]) % 10 == number
        expected = images_of("train")[chosen].transpose(0, 3, 1, 2)
        train, val = source.open("train"), source.open("val")
        assert np.array_equal(train.images[train.labels == number], expected[:-1])
        assert np.array_equal(val.images[val.labels == number], expected[-1:])
    test = source.open("test")
    assert test.class_counts.tolist() == [1, 1, 1, 1, 2, 1, 1, 1, 1, 1]
    assert np.array_equal(test.images[test.labels == 0][0], images_of("test")[0].transpose(2, 0, 1))


def test_the_test_file_alone_is_enough_for_the_test(tmp_path: Path) -> None:
    folder = write(tmp_path / "svhn", "test")
    for root in (folder, folder / "test_32x32.mat"):
        source = SVHN(str(root))
        assert source.available_splits() == ("test",)
        assert len(source.open("test")) == len(LABELS["test"])
        with pytest.raises(UserError, match=r"has no train_32x32\.mat\. Give the folder"):
            source.open("train")


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ({"X": np.zeros((32, 32, 3, 2), np.uint8)}, "no X and y in it"),
        ({"X": np.zeros((2, 32, 32, 3), np.uint8), "y": np.ones((2, 1))}, r"X is uint8 \[2, 32, 32, 3\]"),
        ({"X": np.zeros((32, 32, 3, 1), np.uint8), "y": np.array([[11]])}, "y reaches from 11 to 11, not 1 to 10"),
    ],
)
def test_files_that_hold_something_else(content: dict[str, np.ndarray], words: str, tmp_path: Path) -> None:
    savemat(tmp_path / "test_32x32.mat", content)
    with pytest.raises(UserError, match=words):
        SVHN(str(tmp_path)).open("test")


def test_files_that_are_cut_off_or_no_matlab_files(tmp_path: Path) -> None:
    path = write(tmp_path / "svhn", "test") / "test_32x32.mat"
    whole = path.read_bytes()
    for content in (whole[:200], whole[:-500], b"", b"<html>not found</html>" * 30):
        path.write_bytes(content)
        with pytest.raises(UserError, match="is cut off or damaged"):
            SVHN(str(path)).open("test")


def test_nothing_there(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"has no test_32x32\.mat or train_32x32\.mat\. Give the folder"):
        SVHN(str(tmp_path)).open("test")

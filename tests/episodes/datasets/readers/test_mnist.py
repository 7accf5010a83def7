"""MNIST from idx files and from npz files, and what can be wrong with either."""

import gzip
import struct
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from episodes.datasets import MNIST
from episodes.datasets.readers.mnist import read_idx
from episodes.datasets.verify import verify
from episodes.errors import UserError

COUNTS = {"train": 60, "test": 20}
IDX = {"train": "train", "test": "t10k"}


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FEWSHOT_SLA_CACHE", str(tmp_path / "cache"))


def fake(part: str) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    rng = np.random.default_rng(len(part))
    labels = rng.permutation(np.arange(COUNTS[part]) % 10).astype(np.uint8)
    return rng.integers(0, 256, (len(labels), 28, 28), dtype=np.uint8), labels


def idx_bytes(array: NDArray[np.uint8]) -> bytes:
    return struct.pack(f">I{array.ndim}I", 0x800 + array.ndim, *array.shape) + array.tobytes()


def write_idx(folder: Path, packed: bool = False, dot: bool = False) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for part, stem in IDX.items():
        images, labels = fake(part)
        for kind, array in (("images-idx3", images), ("labels-idx1", labels)):
            name = f"{stem}-{kind.replace('-', '.') if dot else kind}-ubyte"
            content = idx_bytes(array)
            (folder / (name + ".gz" * packed)).write_bytes(gzip.compress(content) if packed else content)
    return folder


def write_npz(path: Path, keras: bool = False) -> Path:
    (train, train_labels), (test, test_labels) = fake("train"), fake("test")
    if keras:
        np.savez(path, x_train=train, y_train=train_labels, x_test=test, y_test=test_labels)
        return path
    turns = np.random.default_rng(0).permutation([False] * len(train) + [True] * len(test))
    images = np.empty((80, 28, 28, 1), np.uint8)
    labels = np.empty(80, np.int64)
    images[~turns, ..., 0], images[turns, ..., 0] = train, test
    labels[~turns], labels[turns] = train_labels, test_labels
    np.savez_compressed(path, images=images, labels=labels, is_test=turns)
    return path


def roots(tmp_path: Path) -> list[Path]:
    for name in ("npz", "keras"):
        (tmp_path / name).mkdir()
    return [
        write_idx(tmp_path / "plain"),
        write_idx(tmp_path / "packed", packed=True),
        write_idx(tmp_path / "dots", dot=True),
        write_idx(tmp_path / "torchvision" / "MNIST" / "raw", packed=True).parents[1],
        write_npz(tmp_path / "npz" / "mnist.npz").parent,
        write_npz(tmp_path / "one.npz"),
        write_npz(tmp_path / "keras" / "mnist.npz", keras=True).parent,
    ]


def test_every_form_gives_the_images_in_their_order(tmp_path: Path) -> None:
    for root in roots(tmp_path):
        source = MNIST(str(root), val_per_class=2)
        train, val, test = (source.open(split) for split in ("train", "val", "test"))
        for number in range(10):
            pixels, labels = fake("train")
            there = pixels[labels == number][:, None]
            assert np.array_equal(train.images[train.labels == number], there[:-2])
            assert np.array_equal(val.images[val.labels == number], there[-2:])
            pixels, labels = fake("test")
            assert np.array_equal(test.images[test.labels == number], pixels[labels == number][:, None])
        assert train.class_names == val.class_names == test.class_names == tuple("0123456789")
        assert train.image_shape == (1, 28, 28)


def test_the_form_is_named(tmp_path: Path) -> None:
    words = [MNIST(str(root)).layout() for root in roots(tmp_path)]
    assert words[0] == f"the idx files in {tmp_path / 'plain'}"
    assert words[3] == f"the idx files in {tmp_path / 'torchvision' / 'MNIST' / 'raw'}"
    assert words[5] == f"the npz file {tmp_path / 'one.npz'}"


def test_torchvision_reads_the_same(tmp_path: Path) -> None:
    from torchvision.datasets.mnist import read_image_file, read_label_file

    folder = write_idx(tmp_path)
    images, labels = folder / "train-images-idx3-ubyte", folder / "train-labels-idx1-ubyte"
    assert np.array_equal(read_idx(images), read_image_file(str(images)))
    assert np.array_equal(read_idx(labels), read_label_file(str(labels)))


def test_verify(tmp_path: Path) -> None:
    report = verify(MNIST(str(write_idx(tmp_path))))
    assert report.sound
    assert "there is no split val" in report.lines
    assert "all splits hold the same classes, as they must for classification" in report.lines


def message_of(root: Path, split: str = "train", held: int = 0) -> str:
    with pytest.raises(UserError) as caught:
        MNIST(str(root), held).open(split)
    assert "\n" not in str(caught.value)
    return str(caught.value)


class TestBadInput:
    def test_nothing_there(self, tmp_path: Path) -> None:
        message = message_of(tmp_path / "gone")
        assert message.startswith(f"mnist: there is no {tmp_path / 'gone'}. Give the folder that holds train-images")
        (write_idx(tmp_path) / "t10k-labels-idx1-ubyte").unlink()
        assert f"mnist: {tmp_path} has no train-images-idx3-ubyte with its labels" in message_of(tmp_path)

    def test_no_val(self, tmp_path: Path) -> None:
        assert message_of(write_idx(tmp_path), "val") == (
            "mnist: there is no split val; hold images out of train with val_per_class (50, say)"
        )
        assert message_of(tmp_path, "val", 6) == (
            "mnist: class '0' has 6 images in train; val_per_class must be less, not 6"
        )

    @pytest.mark.parametrize("keep", [0, 3, 10, 1000])
    @pytest.mark.parametrize("packed", [False, True])
    def test_an_idx_file_that_is_cut_off(self, tmp_path: Path, packed: bool, keep: int) -> None:
        path = write_idx(tmp_path, packed) / ("train-images-idx3-ubyte" + ".gz" * packed)
        path.write_bytes(path.read_bytes()[:keep])
        assert message_of(tmp_path).startswith(f"{path} is cut off or damaged (")

    def test_a_page_in_place_of_a_file(self, tmp_path: Path) -> None:
        for packed, name in ((False, "train-images-idx3-ubyte"), (True, "train-labels-idx1-ubyte.gz")):
            path = write_idx(tmp_path / name, packed) / name
            path.write_bytes(b"<html>not found</html>")
            assert message_of(path.parent).startswith(f"{path} is cut off or damaged (")

    def test_parts_that_do_not_fit(self, tmp_path: Path) -> None:
        path = write_idx(tmp_path) / "train-labels-idx1-ubyte"
        path.write_bytes(idx_bytes(fake("test")[1]))
        assert message_of(tmp_path) == (
            f"{tmp_path / 'train-images-idx3-ubyte'}: images are uint8 [60, 28, 28] and labels uint8 [20], "
            "not uint8 [n, 28, 28] and integers [n]"
        )

    def test_labels_that_are_no_digits(self, tmp_path: Path) -> None:
        path = write_idx(tmp_path) / "train-labels-idx1-ubyte"
        path.write_bytes(idx_bytes(fake("train")[1] + 1))
        assert "labels reach from 1 to 10, not 0 to 9" in message_of(tmp_path)

    def test_a_digit_that_is_missing(self, tmp_path: Path) -> None:
        path = write_idx(tmp_path) / "train-labels-idx1-ubyte"
        path.write_bytes(idx_bytes(np.maximum(fake("train")[1], 1)))
        assert message_of(tmp_path) == "mnist/train: class '0' has no image that can be read"

    @pytest.mark.parametrize("content", [b"", b"<html>", b"PK\3\4" + b"x" * 50])
    def test_an_npz_file_that_is_none(self, tmp_path: Path, content: bytes) -> None:
        (tmp_path / "mnist.npz").write_bytes(content)
        assert message_of(tmp_path).startswith(f"{tmp_path / 'mnist.npz'} is cut off or damaged (")

    def test_an_npz_file_that_is_cut_off_or_of_something_else(self, tmp_path: Path) -> None:
        path = write_npz(tmp_path / "mnist.npz")
        path.write_bytes(path.read_bytes()[:-500])
        assert "is cut off or damaged" in message_of(tmp_path)
        np.savez(path, pictures=np.zeros(3))
        assert "no images, labels and is_test in it that fit together" in message_of(tmp_path)
        np.savez(path, images=np.zeros((3, 28, 28), np.uint8), labels=np.zeros(3, int), is_test=np.zeros(4, bool))
        assert "no images, labels and is_test in it that fit together" in message_of(tmp_path)
        np.savez(path, images=np.array([object()]), labels=np.zeros(1), is_test=np.zeros(1, bool))
        assert "is cut off or damaged" in message_of(tmp_path)


@pytest.mark.real_data
def test_all_real_images(real_data: Path) -> None:
    source = MNIST(str(real_data), val_per_class=500)
    counts = [5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949]
    train, val, test = (source.open(split) for split in ("train", "val", "test"))
    assert train.class_counts.tolist() == [count - 500 for count in counts]
    assert val.class_counts.tolist() == [500] * 10
    assert test.class_counts.tolist() == [980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009]
    assert 30 < train.images.float().mean() < 36  # ink on 0: the published mean is 0.1307 of 255

"""CIFAR-10 and CIFAR-100 for classification: official parts, official order, whatever the form of the files."""

import pickle
import shutil
import tarfile
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from episodes.datasets import CIFAR10, CIFAR100, LongTailed, StoredSource
from episodes.datasets.layouts.cifar_editions import CIFAR_10, CIFAR_100, Edition
from episodes.datasets.readers import cifar as module
from episodes.datasets.verify import verify
from episodes.errors import UserError

TRAIN, TEST = 6, 2  # fake images a class
CIFAR_10_NAMES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
READERS: dict[type[StoredSource], Edition] = {CIFAR10: CIFAR_10, CIFAR100: CIFAR_100}
FORMS = ("official_folder", "official_archive", "image_files")

Part = tuple[NDArray[np.uint8], NDArray[np.int64]]  # [n, 3072] and [n], classes mixed


def fake_parts(edition: Edition) -> dict[str, Part]:
    parts = {}
    for seed, (part, count) in enumerate({"train": TRAIN, "test": TEST}.items()):
        rng = np.random.default_rng(seed)
        labels = rng.permutation(np.repeat(np.arange(len(edition.classes)), count))
        parts[part] = rng.integers(0, 256, (len(labels), 3072), dtype=np.uint8), labels
    return parts


def write_pickles(folder: Path, edition: Edition, parts: dict[str, Part]) -> None:
    """As Python 2 wrote them, the train part of CIFAR-10 in five files."""
    folder.mkdir(parents=True)
    for part, (pixels, labels) in parts.items():
        names = edition.parts[part]
        pieces = zip(np.array_split(pixels, len(names)), np.array_split(labels, len(names)), strict=True)
        for name, (some_pixels, some_labels) in zip(names, pieces, strict=True):
            content = {b"data": some_pixels, edition.labels_key.encode(): some_labels.tolist(), b"batch_label": b"x"}
            (folder / name).write_bytes(pickle.dumps(content, protocol=2))
    names = {edition.names_key.encode(): [name.encode() for name in edition.classes]}
    (folder / edition.meta).write_bytes(pickle.dumps(names, protocol=2))


def official_folder(root: Path, edition: Edition) -> Path:
    write_pickles(root / edition.folder, edition, fake_parts(edition))
    return root


def official_archive(root: Path, edition: Edition) -> Path:
    official_folder(root, edition)
    with tarfile.open(root / edition.archive, "w:gz", compresslevel=1) as archive:
        archive.add(root / edition.folder, edition.folder)
    shutil.rmtree(root / edition.folder)
    return root


def image_files(root: Path, edition: Edition) -> Path:
    for part, (pixels, labels) in fake_parts(edition).items():
        for number, (image, label) in enumerate(zip(pixels, labels, strict=True)):
            folder = root / part / edition.classes[label].replace("_", " ")
            folder.mkdir(parents=True, exist_ok=True)
            Image.fromarray(image.reshape(3, 32, 32).transpose(1, 2, 0)).save(folder / f"{number:05d}.png")
    return root


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FEWSHOT_SLA_CACHE", str(tmp_path / "cache"))


@pytest.fixture(scope="module")
def roots(tmp_path_factory: pytest.TempPathFactory) -> dict[tuple[str, str], Path]:
    """Both editions in every form."""
    return {
        (reader.name, form): globals()[form](tmp_path_factory.mktemp(form) / "root", edition)
        for reader, edition in READERS.items()
        for form in FORMS
    }


def of_class(edition: Edition, part: str, label: int) -> NDArray[np.uint8]:
    pixels, labels = fake_parts(edition)[part]
    return pixels[labels == label].reshape(-1, 3, 32, 32)


def test_names_of_the_classes() -> None:
    assert CIFAR_10.classes == CIFAR_10_NAMES
    assert CIFAR_100.classes[:3] == ("apple", "aquarium_fish", "baby")
    assert CIFAR_100.classes[-1] == "worm"
    assert len(CIFAR_100.classes) == 100


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("reader", READERS)
def test_every_form_keeps_parts_labels_and_order(
    roots: dict[tuple[str, str], Path], reader: type[StoredSource], form: str
) -> None:
    edition = READERS[reader]
    for held in (0, 3):
        source = reader(str(roots[reader.name, form]), val_per_class=held)
        train, test = source.open("train"), source.open("test")
        assert train.class_names == test.class_names == edition.classes
        assert train.name == f"{reader.name}/train"
        for label in range(0, len(edition.classes), 3):
            there = of_class(edition, "train", label)
            assert np.array_equal(train.images[train.labels == label], there[: TRAIN - held])
            assert np.array_equal(test.images[test.labels == label], of_class(edition, "test", label))
            if held:
                val = source.open("val")
                assert val.class_names == edition.classes
                assert np.array_equal(val.images[val.labels == label], there[TRAIN - held :])


def test_every_form_has_the_same_fingerprints(roots: dict[tuple[str, str], Path]) -> None:
    for reader in READERS:
        for split in ("train", "val", "test"):
            assert len({reader(str(roots[reader.name, form]), 2).open(split).fingerprint for form in FORMS}) == 1


def test_names_in_another_order_keep_their_images(tmp_path: Path) -> None:
    """The names of the file decide what a label means; the classes come in the official order."""
    turned = CIFAR_10._replace(classes=CIFAR_10.classes[::-1])
    write_pickles(tmp_path / CIFAR_10.folder, turned, fake_parts(CIFAR_10))
    images = CIFAR10(str(tmp_path)).open("train")
    assert images.class_names == CIFAR_10_NAMES
    assert np.array_equal(images.images[images.labels == 0], of_class(CIFAR_10, "train", 9))


@pytest.mark.parametrize(
    ("form", "words"),
    [
        ("official_folder", "the official files (python version) in "),
        ("official_archive", "the official archive "),
        ("image_files", "a folder a class in train/ and test/ of "),
    ],
)
def test_the_form_is_named(roots: dict[tuple[str, str], Path], form: str, words: str) -> None:
    for reader, edition in READERS.items():
        root = roots[reader.name, form]
        assert reader(str(root)).layout().startswith(words)
        if form != "image_files":
            inside = root / (edition.folder if form == "official_folder" else edition.archive)
            assert reader(str(inside)).layout() == reader(str(root)).layout()


def test_the_published_subset_of_either_part(roots: dict[tuple[str, str], Path]) -> None:
    """By numbers in the file, as the published code counts, on a file where the classes are mixed."""
    pixels, labels = fake_parts(CIFAR_10)["train"]
    expected = []
    generator = np.random.RandomState(0)
    for label in range(10):
        index = np.where(labels == label)[0]
        generator.shuffle(index)
        expected.append(pixels[index[: int(TRAIN * 0.2 ** (label / 9.0))]])
    images = LongTailed(CIFAR10(str(roots["cifar10", "official_archive"])), ratio=5).open("train")
    assert np.array_equal(images.images.flatten(1).numpy(), np.concatenate(expected))
    assert images.name == "cifar10-lt-exponential-5/train"


def test_no_val_unless_held_out(roots: dict[tuple[str, str], Path]) -> None:
    source = CIFAR100(str(roots["cifar100", "official_folder"]))
    assert source.available_splits() == ("train", "test")
    message = message_of(source, "val")
    assert message == "cifar100: there is no split val; hold images out of train with val_per_class (50, say)"
    assert CIFAR100(str(source.root), 1).available_splits() == ("train", "val", "test")


def test_a_store_of_the_test_part_serves_every_val_per_class(roots: dict[tuple[str, str], Path]) -> None:
    files = [CIFAR10(str(roots["cifar10", "official_folder"]), held).store_file("test") for held in (0, 1, 2)]
    assert len(set(files)) == 1
    files = [CIFAR10(str(roots["cifar10", "official_folder"]), held).store_file("train") for held in (0, 1, 2)]
    assert len(set(files)) == 3


def test_verify_says_that_the_splits_share_their_classes(roots: dict[tuple[str, str], Path]) -> None:
    report = verify(CIFAR10(str(roots["cifar10", "image_files"]), 1))
    assert "all splits hold the same classes, as they must for classification" in report.lines
    assert "pairs of equal images across splits: 0" in report.lines
    assert "  ! 60 images in the part train; CIFAR-10 has 50000" in report.lines
    assert not report.sound


def test_download_is_checked_by_what_was_published(
    roots: dict[tuple[str, str], Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fetched = []

    def fetch(url: str, path: Path, size: int, digest: str) -> None:
        fetched.append((url, path, size, digest))
        path.parent.mkdir()
        shutil.copy(roots["cifar10", "official_archive"] / CIFAR_10.archive, path)

    monkeypatch.setattr(module, "fetch", fetch)
    CIFAR10(str(roots["cifar10", "image_files"]), download=True).open("test")
    assert fetched == []
    assert len(CIFAR10(str(tmp_path / "new"), download=True).open("test")) == 10 * TEST
    sha = "6d958be074577803d12ecdefd02955f39262c83c16fe9348329d7fe0b5c001ce"
    url = "https://www.cs.toronto.edu/~kriz/cifar-10-python.tar.gz"
    assert fetched == [(url, tmp_path / "new" / "cifar-10-python.tar.gz", 170498071, f"sha256:{sha}")]


def test_checksums_are_those_that_torchvision_has() -> None:
    from torchvision import datasets

    for edition, theirs in ((CIFAR_10, datasets.CIFAR10), (CIFAR_100, datasets.CIFAR100)):
        assert (edition.archive, edition.folder) == (theirs.filename, theirs.base_folder)
        assert edition.md5 == theirs.tgz_md5
        assert edition.parts["train"] == tuple(name for name, _ in theirs.train_list)
        assert edition.parts["test"] == tuple(name for name, _ in theirs.test_list)
        assert (edition.meta, edition.names_key) == (theirs.meta["filename"], theirs.meta["key"])


def message_of(source: StoredSource, split: str = "train") -> str:
    with pytest.raises(UserError) as caught:
        source.open(split)
    assert "\n" not in str(caught.value)
    return str(caught.value)


class TestBadInput:
    def test_nothing_there(self, tmp_path: Path) -> None:
        assert message_of(CIFAR10(str(tmp_path / "gone"))) == (
            f"cifar10: there is no {tmp_path / 'gone'}. Give the folder that holds cifar-10-python.tar.gz "
            "(https://www.cs.toronto.edu/~kriz/cifar.html), packed or unpacked (cifar-10-batches-py/); or "
            "train/CLASS/*.png and test/CLASS/*.png; or download it with download=true"
        )

    def test_nothing_known_there(self, roots: dict[tuple[str, str], Path]) -> None:
        message = message_of(CIFAR100(str(roots["cifar10", "official_folder"])))
        assert "has no cifar-100-python.tar.gz, cifar-100-python/, or train/CLASS/ and test/CLASS/ with" in message

    def test_the_archive_of_the_other_one(self, roots: dict[tuple[str, str], Path]) -> None:
        message = message_of(CIFAR100(str(roots["cifar10", "official_archive"] / CIFAR_10.archive)))
        assert message.endswith("is not the python version of CIFAR-100: it has no 'cifar-100-python/meta'")

    @pytest.mark.parametrize("keep", [0, 100, 0.5, 0.99])
    def test_an_archive_that_is_cut_off(self, tmp_path: Path, keep: float) -> None:
        path = official_archive(tmp_path / "root", CIFAR_10) / CIFAR_10.archive
        content = path.read_bytes()
        path.write_bytes(content[: int(keep if keep in (0, 100) else keep * len(content))])
        assert "cifar-10-python.tar.gz is cut off or damaged" in message_of(CIFAR10(str(tmp_path / "root")))

    def test_a_pickle_that_wants_to_run_something(self, tmp_path: Path) -> None:
        path = official_folder(tmp_path, CIFAR_10) / CIFAR_10.folder / "data_batch_3"
        path.write_bytes(b"cos\nsystem\n(S'touch " + str(tmp_path / "ran").encode() + b"'\ntR.")
        assert "system" in message_of(CIFAR10(str(tmp_path)))
        assert not (tmp_path / "ran").exists()

    def test_a_batch_that_is_missing(self, tmp_path: Path) -> None:
        (official_folder(tmp_path, CIFAR_10) / CIFAR_10.folder / "data_batch_3").unlink()
        assert "has no cifar-10-python.tar.gz, cifar-10-batches-py/" in message_of(CIFAR10(str(tmp_path)))

    def test_labels_of_the_other_one(self, tmp_path: Path) -> None:
        write_pickles(tmp_path / CIFAR_10.folder, CIFAR_10._replace(labels_key="fine_labels"), fake_parts(CIFAR_10))
        message = message_of(CIFAR10(str(tmp_path)))
        assert "no 'labels' in it; is it the python version of CIFAR-10 (and not CIFAR-100)?" in message

    @pytest.mark.parametrize("held", [TRAIN, TRAIN + 1])
    def test_more_held_out_than_there_are(self, roots: dict[tuple[str, str], Path], held: int) -> None:
        for split in ("train", "val"):
            message = message_of(CIFAR10(str(roots["cifar10", "official_folder"]), held), split)
            assert message == (
                f"cifar10: class 'airplane' has {TRAIN} images in train; val_per_class must be less, not {held}"
            )

    def test_a_negative_number_held_out(self) -> None:
        with pytest.raises(UserError, match="cifar100: val_per_class must be 0 or more, not -1"):
            CIFAR100(".", -1)

    def test_a_class_in_one_part_only(self, tmp_path: Path) -> None:
        root = image_files(tmp_path / "root", CIFAR_10)
        (root / "test" / "cat").rename(tmp_path / "cat")
        assert f"{root / 'test'}: classes of CIFAR-10 are missing: cat" in message_of(CIFAR10(str(root)), "test")

    def test_folders_of_something_else(self, tmp_path: Path) -> None:
        root = image_files(tmp_path / "root", CIFAR_10)
        (root / "train" / "cat").rename(root / "train" / "unicorn")
        assert "'unicorn' is not a class of CIFAR-10, but there are images in it" in message_of(CIFAR10(str(root)))

    def test_a_broken_image(self, tmp_path: Path) -> None:
        path = sorted((image_files(tmp_path, CIFAR_10) / "train" / "cat").iterdir())[0]
        path.write_bytes(b"<html>")
        assert message_of(CIFAR10(str(tmp_path))) == f"{path}: not an image that Pillow can read"

    def test_a_folder_val_is_passed_over_and_remarked(self, tmp_path: Path) -> None:
        root = image_files(tmp_path / "root", CIFAR_10)
        shutil.copytree(root / "test", root / "val")
        images, notes = CIFAR10(str(root)).stored("train")
        assert len(images) == 10 * TRAIN
        assert f"left out {root / 'val'}; what is held out of train is said by val_per_class" in notes


@pytest.mark.slow
@pytest.mark.real_data
def test_all_real_images(real_data: Path, tmp_path: Path) -> None:
    """500 and 100 of the 600 images a class; the original membership of these is not known."""
    images = {}
    for name in CIFAR_100.classes:
        mosaic = np.asarray(Image.open(real_data / "cifar100" / f"{name}.webp").convert("RGB"))
        images[name] = mosaic.reshape(30, 32, 20, 32, 3).transpose(0, 2, 4, 1, 3).reshape(600, 3072)
    parts: dict[str, Part] = {}
    for part, chosen in (("train", slice(0, 500)), ("test", slice(500, 600))):
        pixels = np.stack([images[name][chosen] for name in CIFAR_100.classes], 1)  # classes take turns
        parts[part] = pixels.reshape(-1, 3072), np.tile(np.arange(100), len(pixels))
    write_pickles(tmp_path / CIFAR_100.folder, CIFAR_100, parts)
    source = CIFAR100(str(tmp_path))
    for split, wanted in (("train", slice(0, 500)), ("test", slice(500, 600))):
        loaded, notes = source.stored(split)
        assert notes == ()
        for label in (0, 57, 99):
            there = loaded.images[loaded.labels == label].flatten(1).numpy()
            assert np.array_equal(there, images[CIFAR_100.classes[label]][wanted])
    report = verify(source)
    assert report.sound
    pairs = [int(line.rpartition(": ")[2]) for line in report.lines if line.startswith("pairs of equal images")]
    assert sum(pairs) == 26
    long_tailed = LongTailed(source).open("train")
    assert len(long_tailed) == 10847
    assert long_tailed.class_counts.tolist() == [int(500 * 0.01 ** (c / 99)) for c in range(100)]
    assert long_tailed.images.untyped_storage().nbytes() == 10847 * 3072

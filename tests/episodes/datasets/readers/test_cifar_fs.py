"""CIFAR-FS and FC100: the lists, and the same images from every form in which people have CIFAR-100."""

import os
import pickle
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from episodes.datasets import CIFARFS, FC100, StoredSource
from episodes.datasets.layouts.cifar import CLASSES, find_layout
from episodes.datasets.layouts.class_lists import class_list
from episodes.datasets.verify import verify
from episodes.errors import UserError
from tests.episodes.datasets.layouts import (
    CIFAR_LAYOUTS,
    Images,
    cifar_fs_archive,
    class_folders,
    official_archive,
    official_folder,
    write_files,
    write_pickles,
)

SPLITS = ("train", "val", "test")
COUNT = 3  # fake images a class
SOURCES = (CIFARFS, FC100)

# The lists once more, typed from another source than the files of the package.
CIFAR_FS_VAL = (
    "beaver beetle butterfly camel cattle crab crocodile flatfish lamp maple_tree motorcycle otter sea shark "
    "television tractor"
)
CIFAR_FS_TEST = (
    "baby bed bicycle chimpanzee fox leopard man pickup_truck plain poppy rocket rose snail sweet_pepper table "
    "telephone wardrobe whale woman worm"
)
FC100_VAL = (
    "bear leopard lion tiger wolf camel cattle chimpanzee elephant kangaroo crab lobster snail spider worm hamster "
    "mouse rabbit shrew squirrel"
)
FC100_TEST = (
    "beaver dolphin otter seal whale bee beetle butterfly caterpillar cockroach fox porcupine possum raccoon skunk "
    "baby boy girl man woman"
)


def fake_images() -> Images:
    return {
        name: np.random.default_rng(number).integers(0, 256, (COUNT, 32, 32, 3), dtype=np.uint8)
        for number, name in enumerate(CLASSES)
    }


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FEWSHOT_SLA_CACHE", str(tmp_path / "cache"))


class TestLists:
    def test_cifar_fs(self) -> None:
        lists = class_list("cifar_fs")
        assert {split: len(names) for split, names in lists.items()} == {"train": 64, "val": 16, "test": 20}
        assert set(lists["val"]) == set(CIFAR_FS_VAL.split())
        assert set(lists["test"]) == set(CIFAR_FS_TEST.split())

    def test_fc100(self) -> None:
        lists = class_list("fc100")
        assert {split: len(names) for split, names in lists.items()} == {"train": 12, "val": 4, "test": 4}
        assert set(FC100(".").classes("val")) == set(FC100_VAL.split())
        assert set(FC100(".").classes("test")) == set(FC100_TEST.split())
        assert len(FC100(".").classes("train")) == 60

    def test_superclasses(self) -> None:
        groups = class_list("cifar100")
        assert [len(names) for names in groups.values()] == [5] * 20
        assert len(CLASSES) == len(set(CLASSES)) == 100
        assert groups["people"] == ("baby", "boy", "girl", "man", "woman")

    @pytest.mark.parametrize("source", SOURCES)
    def test_splits_share_no_class_and_leave_none_out(self, source: type[StoredSource]) -> None:
        names = [name for split in SPLITS for name in source(".").classes(split)]
        assert sorted(names) == sorted(CLASSES)

    @pytest.mark.real_data
    def test_they_are_those_of_the_sources(self, real_data: Path) -> None:
        import json

        there = json.loads((real_data / "cifar100" / "splits.json").read_text())
        assert {split: list(names) for split, names in class_list("cifar_fs").items()} == {
            split: sorted(names) for split, names in there["cifarfs"].items()
        }
        superclass = {name: group for group, names in class_list("cifar100").items() for name in names}
        assert superclass == there["superclass"]
        for split, groups in there["fc100"].items():
            assert {superclass[name] for name in FC100(".").classes(split)} == set(groups)


@pytest.fixture(scope="module")
def forms(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The same fake images in every form."""
    return {name: make(tmp_path_factory.mktemp(name) / "root", fake_images()) for name, make in CIFAR_LAYOUTS.items()}


@pytest.mark.parametrize("source", SOURCES)
def test_every_form_gives_the_same_images(forms: dict[str, Path], source: type[StoredSource]) -> None:
    for split in SPLITS:
        loaded = [source(str(root)).open(split) for root in forms.values()]
        assert len({images.fingerprint for images in loaded}) == 1
        assert loaded[0].class_names == source(".").classes(split)
        assert loaded[0].class_counts.tolist() == [COUNT] * len(loaded[0].class_names)
        assert loaded[0].image_shape == (3, 32, 32)


def test_the_images_are_those_of_their_classes(forms: dict[str, Path]) -> None:
    for root in forms.values():
        images = CIFARFS(str(root)).open("val")
        for label, name in enumerate(images.class_names):
            read = {image.numpy().tobytes() for image in images.images[images.labels == label]}
            assert read == {image.transpose(2, 0, 1).tobytes() for image in fake_images()[name]}


@pytest.mark.parametrize(
    ("form", "inside", "words"),
    [
        ("official_folder", "cifar-100-python", "official files"),
        ("official_archive", "cifar-100-python.tar.gz", "official archive"),
        ("cifar_fs_archive", "cifar100", "CIFAR-FS archive"),
        ("class_folders", ".", "a folder a class in"),
        ("original_parts", ".", "a folder a class in train/, test/"),
    ],
)
def test_the_form_is_named_and_may_be_given_itself(forms: dict[str, Path], form: str, inside: str, words: str) -> None:
    for root in (forms[form], forms[form] / inside):
        assert words in CIFARFS(str(root)).layout()
        assert CIFARFS(str(root)).source_key("val")


def test_train_is_a_class_too(tmp_path: Path) -> None:
    root = class_folders(tmp_path / "root", fake_images())
    assert (root / "train").is_dir()
    assert CIFARFS(str(root)).layout() == f"a folder a class in {root}"


def test_an_archive_that_is_not_the_official_one_is_remarked(forms: dict[str, Path]) -> None:
    notes = CIFARFS(str(forms["official_archive"])).stored("val").notes
    assert any("is not the official archive" in note for note in notes)
    assert any("48 images in 16 classes; CIFAR-100 has 600 a class" in note for note in notes)


def test_download_only_if_told_to_and_if_nothing_is_there(
    forms: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fetched: list[str] = []

    def fetch(url: str, path: Path, size: int, digest: str) -> None:
        fetched.append(url)
        path.parent.mkdir()
        shutil.copy(forms["official_archive"] / "cifar-100-python.tar.gz", path)

    monkeypatch.setattr("episodes.datasets.readers.cifar_fs.fetch", fetch)
    CIFARFS(str(forms["official_folder"]), download=True).open("val")
    assert "with download=true" in message_of(tmp_path / "new")
    assert fetched == []
    assert len(CIFARFS(str(tmp_path / "new"), download=True).open("val")) == 16 * COUNT
    assert fetched == ["https://www.cs.toronto.edu/~kriz/cifar-100-python.tar.gz"]


def message_of(root: Path, source: type[StoredSource] = CIFARFS, split: str = "train") -> str:
    with pytest.raises(UserError) as caught:
        source(str(root)).open(split)
    assert "\n" not in str(caught.value)
    return str(caught.value)


class TestBadInput:
    def test_nothing_there(self, tmp_path: Path) -> None:
        message = message_of(tmp_path / "gone")
        assert (
            f"cifar-fs: there is no {tmp_path / 'gone'}. Give the folder that holds cifar-100-python.tar.gz" in message
        )
        assert "https://www.cs.toronto.edu/~kriz/cifar.html" in message

    def test_nothing_known_there(self, tmp_path: Path) -> None:
        (tmp_path / "images").mkdir()
        assert "has no cifar-100-python.tar.gz, cifar-100-python/, cifar100/data/CLASS/ or" in message_of(tmp_path)

    @pytest.mark.parametrize("keep", [0, 100, 0.5, 0.99])
    def test_an_archive_that_is_cut_off(self, tmp_path: Path, keep: float) -> None:
        path = official_archive(tmp_path / "root", fake_images()) / "cifar-100-python.tar.gz"
        content = path.read_bytes()
        path.write_bytes(content[: int(keep if keep in (0, 100) else keep * len(content))])
        assert "cifar-100-python.tar.gz is cut off or damaged" in message_of(tmp_path / "root")

    def test_a_web_page_in_place_of_the_archive(self, tmp_path: Path) -> None:
        (tmp_path / "cifar-100-python.tar.gz").write_text("<html>not found</html>")
        assert "is cut off or damaged" in message_of(tmp_path)

    @pytest.mark.parametrize("part", ["train", "test", "meta"])
    def test_a_pickle_that_is_cut_off(self, tmp_path: Path, part: str) -> None:
        path = official_folder(tmp_path, fake_images()) / "cifar-100-python" / part
        path.write_bytes(path.read_bytes()[:-20])
        assert f"cifar-100-python/{part}" in message_of(tmp_path)

    def test_a_pickle_that_wants_to_run_something(self, tmp_path: Path) -> None:
        path = official_folder(tmp_path, fake_images()) / "cifar-100-python" / "train"
        path.write_bytes(b"cos\nsystem\n(S'touch " + str(tmp_path / "ran").encode() + b"'\ntR.")
        assert "system" in message_of(tmp_path)
        assert not (tmp_path / "ran").exists()

    @pytest.mark.parametrize(
        ("part", "change", "message"),
        [
            ("train", {b"fine_labels": None}, "there is no 'fine_labels' in it; is it the python version"),
            ("train", {b"fine_labels": [100] * 250}, "labels reach from 2 to 100; 100 classes"),
            ("train", {b"fine_labels": ["a"] * 250}, "labels are <U1 [250] and pixels uint8 [250, 3072], not integers"),
            (
                "train",
                {b"data": np.zeros((250, 3071), np.uint8)},
                "labels are int64 [250] and pixels uint8 [250, 3071]",
            ),
            (
                "train",
                {b"data": np.zeros((249, 3072), np.uint8)},
                "labels are int64 [250] and pixels uint8 [249, 3072]",
            ),
            ("meta", {b"fine_label_names": [b"unicorn"] * 100}, "'unicorn' in the file meta is not a class"),
            ("meta", {b"fine_label_names": [b"apple"]}, "classes of CIFAR-100 are missing: aquarium_fish, bear, bee"),
        ],
    )
    def test_a_pickle_with_something_else_in_it(
        self, tmp_path: Path, part: str, change: dict[bytes, object], message: str
    ) -> None:
        path = official_folder(tmp_path, fake_images()) / "cifar-100-python" / part
        content = {**pickle.loads(path.read_bytes(), encoding="latin1"), **change}
        path.write_bytes(pickle.dumps({key: value for key, value in content.items() if value is not None}, protocol=2))
        assert message in message_of(tmp_path)

    def test_a_list_that_says_something_else(self, tmp_path: Path) -> None:
        root = cifar_fs_archive(tmp_path, fake_images())
        path = root / "cifar100" / "splits" / "bertinetto" / "train.txt"
        path.write_text(path.read_text() + "\nbaby\n")
        assert "train.txt: class 'baby' is not in that split of CIFAR-FS" in message_of(root)
        path.write_text("apple")
        assert "train.txt: class 'aquarium_fish' is missing" in message_of(root)
        assert len(FC100(str(root)).open("train")) == 60 * COUNT

    def test_a_class_that_is_missing(self, tmp_path: Path) -> None:
        root = class_folders(tmp_path / "root", fake_images())
        (root / "apple").rename(tmp_path / "apple")
        (root / "sea").rename(tmp_path / "sea")
        assert "classes of CIFAR-100 are missing: apple" in message_of(root)
        assert "classes of CIFAR-100 are missing: sea" in message_of(root, split="val")
        assert len(CIFARFS(str(root)).open("test")) == 20 * COUNT

    def test_images_of_a_class_that_there_is_not(self, tmp_path: Path) -> None:
        root = class_folders(tmp_path / "root", fake_images())
        (root / "notes").mkdir()
        assert CIFARFS(str(root)).layout()
        write_files(root / "unicorn", fake_images()["apple"])
        assert "'unicorn' is not a class of CIFAR-100, but there are images in it" in message_of(root)

    def test_a_class_without_an_image(self, tmp_path: Path) -> None:
        root = class_folders(tmp_path / "root", fake_images())
        for path in (root / "bear").iterdir():
            path.unlink()
        assert "class 'bear' has no image that can be read" in message_of(root)

    def test_a_broken_image(self, tmp_path: Path) -> None:
        root = class_folders(tmp_path / "root", fake_images())
        path = root / "bear" / "001.png"
        path.write_bytes(path.read_bytes()[:1000])
        assert f"{path}: " in message_of(root)

    def test_images_of_another_size(self, tmp_path: Path) -> None:
        root = class_folders(tmp_path / "root", fake_images())
        for path in (root / "bear").iterdir():
            Image.new("RGB", (64, 64)).save(path)
        assert "bear: the images are (64, 64); those of CIFAR are 32 x 32" in message_of(root)


# Of all 60,000 images; what docs/data.md promises for a complete copy.
FINGERPRINTS = {
    ("cifar-fs", "train"): "267851c3e740ebb0cf8aa347fa11773ab2fa7ea6f982f6bcd64841cd61ff3f7f",
    ("cifar-fs", "val"): "75b934e22d7587df2f490d8011611380dc3e85c913fe824690d645a94aa995af",
    ("cifar-fs", "test"): "c90d905d69de920421ecffb387e01fc7dd6903b02bfbc64b0968486f3e7d0a08",
    ("fc100", "train"): "b44090f0e30c07f672ae16c14989c898c6c12291574dd1726c9e9492da560ff7",
    ("fc100", "val"): "dae6e23deb47b70dcf1d5951e9a922ffbe91306a58b4100117cb0c94d9054542",
    ("fc100", "test"): "26894ef26945fec03680cc70068f8b95d682e6c79ba0d372b972b0a432058616",
}


@pytest.fixture(scope="module")
def real_images(real_data: Path) -> Images:
    """600 images a class, from mosaics of 30 rows and 20 columns."""
    images = {}
    for name in CLASSES:
        mosaic = np.asarray(Image.open(real_data / "cifar100" / f"{name}.webp").convert("RGB"))
        images[name] = mosaic.reshape(30, 32, 20, 32, 3).transpose(0, 2, 1, 3, 4).reshape(600, 32, 32, 3)
    return images


@pytest.mark.real_data
def test_all_real_images(real_images: Images, tmp_path: Path) -> None:
    root = tmp_path / "official"
    write_pickles(root / "cifar-100-python", real_images)
    for source in SOURCES:
        reader = source(str(root))
        for split in SPLITS:
            images, notes = reader.stored(split)
            assert images.class_counts.tolist() == [600] * len(images.class_names)
            assert images.fingerprint == FINGERPRINTS[reader.name, split]
            assert notes == ()
        report = verify(reader)
        assert report.sound
        assert f"  (not more than the {reader.published_overlap} that the published data set has)" in report.lines
        pairs = [int(line.rpartition(": ")[2]) for line in report.lines if line.startswith("pairs of equal images")]
        assert sum(pairs) == 26
        assert pairs[2] == reader.published_overlap


@pytest.mark.slow
@pytest.mark.real_data
def test_real_images_as_files(real_images: Images, tmp_path: Path) -> None:
    """The 9600 images of CIFAR-FS val, written once; the other forms hold links to the same folders."""
    data = tmp_path / "archive" / "cifar100" / "data"
    (tmp_path / "flat").mkdir()
    (tmp_path / "parts" / "val").mkdir(parents=True)
    for name in CIFAR_FS_VAL.split():
        write_files(data / name, real_images[name])
        os.symlink(data / name, tmp_path / "flat" / name)
        os.symlink(data / name, tmp_path / "parts" / "val" / name)
    try:
        for form in ("archive", "flat", "parts"):
            images = CIFARFS(str(tmp_path / form)).open("val")
            assert images.fingerprint == FINGERPRINTS["cifar-fs", "val"]
    finally:
        shutil.rmtree(data)  # pytest keeps its folders for three runs


@pytest.mark.real_data
def test_the_script_that_comes_with_the_real_images(real_data: Path, real_images: Images, tmp_path: Path) -> None:
    script = [sys.executable, str(real_data / "unpack_cifar100.py"), "cifarfs", str(tmp_path), "--classes", "2"]
    subprocess.run(script, check=True)
    layout = find_layout(tmp_path)
    assert layout is not None
    assert layout.description.startswith("the CIFAR-FS archive")
    opened = layout.open(["apple"])
    assert opened.count == 600
    assert np.array_equal(opened.read("apple"), real_images["apple"].transpose(0, 3, 1, 2))

"""One's own images for classification: who goes where, and everything that can be wrong with folders."""

import shutil
import subprocess
import sys
from collections.abc import Mapping
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from episodes.datasets import ClassificationFolders
from episodes.datasets.readers import content_division
from episodes.datasets.readers.content_division import divide
from episodes.datasets.verify import verify
from episodes.errors import UserError
from episodes.images.labelled import LabelledImages
from episodes.images.reading import read_image

CLASSES = ("cat", "dog", "äpfel")
COUNT = 10
SPLITS = ("train", "val", "test")


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FEWSHOT_SLA_CACHE", str(tmp_path / "cache"))


def paint(path: Path, seed: int, size: tuple[int, int] = (16, 16)) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(seed).integers(0, 256, (*size, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(path)


def fill(folder: Path, seed: int, count: int = COUNT) -> None:
    for number in range(count):
        paint(folder / f"{number}.png", 1000 * seed + number)


@pytest.fixture
def flat(tmp_path: Path) -> Path:
    for seed, name in enumerate(CLASSES):
        fill(tmp_path / "pets" / name, seed)
    return tmp_path / "pets"


@pytest.fixture
def parts(tmp_path: Path) -> Path:
    for seed, name in enumerate(CLASSES):
        fill(tmp_path / "pets" / "train" / name, seed)
        fill(tmp_path / "pets" / "test" / name, seed + 10, 4)
    return tmp_path / "pets"


def pictures(images: LabelledImages) -> set[bytes]:
    return {image.tobytes() for image in images.images.numpy()}


def by_split(root: Path, **options: object) -> Mapping[str, set[bytes]]:
    return {split: pictures(ClassificationFolders(str(root), 16, **options).open(split)) for split in SPLITS}  # type: ignore[arg-type]


class TestFoldersOfClasses:
    def test_sixty_twenty_twenty(self, flat: Path) -> None:
        source = ClassificationFolders(str(flat), 16)
        for split, count in zip(SPLITS, (6, 2, 2), strict=True):
            images = source.open(split)
            assert images.class_names == CLASSES
            assert images.class_counts.tolist() == [count] * 3
            assert images.name == f"pets/{split}"
        assert source.available_splits() == SPLITS
        assert source.layout() == f"a folder a class in {flat}, 0.2 of it held out for test, 0.2 of it held out for val"

    def test_every_image_is_in_one_split_under_its_class(self, flat: Path) -> None:
        source = ClassificationFolders(str(flat), 16)
        for label, name in enumerate(CLASSES):
            there = {read_image(path).tobytes() for path in (flat / name).iterdir()}
            loaded = [source.open(split) for split in SPLITS]
            found = [pictures_of(images, label) for images in loaded]
            assert set.union(*found) == there
            assert sum(map(len, found)) == len(there)

    def test_other_shares(self, flat: Path) -> None:
        for val, test, counts in ((0.3, 0.1, [6, 3, 1]), (0.04, 0.5, [4, 1, 5]), (0.1, 0.25, [6, 1, 3])):
            source = ClassificationFolders(str(flat), 16, val_share=val, test_share=test)
            assert [source.open(split).class_counts[1] for split in SPLITS] == counts

    def test_the_test_split_does_not_depend_on_the_share_of_val(self, flat: Path) -> None:
        assert by_split(flat, val_share=0.1)["test"] == by_split(flat, val_share=0.5)["test"]

    def test_names_of_files_do_not_matter(self, flat: Path, tmp_path: Path) -> None:
        for name in CLASSES:
            for number, path in enumerate(sorted((flat / name).iterdir())):
                target = tmp_path / "other" / "pets" / name / f"{(number * 7) % COUNT:03d} copy.bmp"
                target.parent.mkdir(parents=True, exist_ok=True)
                Image.open(path).save(target)
        for split in SPLITS:
            one, other = (
                ClassificationFolders(str(root), 16).open(split) for root in (flat, tmp_path / "other" / "pets")
            )
            assert one.fingerprint == other.fingerprint

    def test_size_and_grey_do_not_matter(self, flat: Path) -> None:
        """Whoever tests at another size must not find training images in the test split."""
        sides = {}
        for options in ({"image_size": 16}, {"image_size": 8}, {"image_size": 16, "grey": True}):
            source = ClassificationFolders(str(flat), **options)  # type: ignore[arg-type]
            source.open("train")
            files = [sorted(division.files["train"]) for division in source._divisions.values()]
            sides[str(options)] = sorted(files)
        assert len({str(files) for files in sides.values()}) == 1

    def test_the_seed_matters(self, flat: Path) -> None:
        assert by_split(flat, seed=1) == by_split(flat, seed=1) != by_split(flat, seed=2)

    def test_the_division_does_not_change(self, flat: Path) -> None:
        """A later version must not move images that somebody has trained on to the test."""
        assert ClassificationFolders(str(flat), 16).open("test").fingerprint == PINNED

    def test_equal_pictures_are_on_the_same_side(self, flat: Path) -> None:
        for path in list((flat / "cat").iterdir()):
            shutil.copy(path, path.with_name(f"again_{path.name}"))
            Image.open(path).save(path.with_name(f"once_more_{path.stem}.tiff"))
        report = verify(ClassificationFolders(str(flat), 16))
        assert "pairs of equal images across splits: 0" in report.lines
        assert "pairs of equal images within a class: 30" in report.lines
        assert report.sound
        assert ClassificationFolders(str(flat), 16).open("test").class_counts.tolist() == [6, 2, 2]

    def test_no_val_if_none_is_wanted(self, flat: Path) -> None:
        source = ClassificationFolders(str(flat), 16, val_share=0)
        assert source.available_splits() == ("train", "test")
        assert [len(source.open(split)) for split in ("train", "test")] == [24, 6]
        assert message_of(source, "val") == (
            "pets: there is no split val; hold images out of train with val_share (0.1, say)"
        )

    def test_pictures_are_looked_at_once_by_one_source(self, flat: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        seen: list[Path] = []
        real = content_division.picture_digest
        monkeypatch.setattr(content_division, "picture_digest", lambda path: (seen.append(path), real(path))[1])
        source = ClassificationFolders(str(flat), 16)
        for split in SPLITS:
            source.open(split)
        assert len(seen) == len(set(seen)) == 3 * COUNT

    def test_a_new_picture_is_noticed(self, flat: Path) -> None:
        before = ClassificationFolders(str(flat), 16)
        assert sum(len(before.open(split)) for split in SPLITS) == 30
        paint(flat / "cat" / "new.png", 999)
        assert sum(len(ClassificationFolders(str(flat), 16).open(split)) for split in SPLITS) == 31

    def test_a_class_may_be_called_train(self, flat: Path) -> None:
        fill(flat / "train", 7)
        assert ClassificationFolders(str(flat), 16).open("val").class_names == ("cat", "dog", "train", "äpfel")


def pictures_of(images: LabelledImages, label: int) -> set[bytes]:
    return {image.tobytes() for image in images.images[images.labels == label].numpy()}


class TestParts:
    def test_a_tenth_of_train_is_held_out(self, parts: Path) -> None:
        source = ClassificationFolders(str(parts), 16)
        counts = [source.open(split).class_counts.tolist() for split in SPLITS]
        assert counts == [[9] * 3, [1] * 3, [4] * 3]
        assert source.layout() == f"a folder a class in train/, test/ of {parts}, 0.1 of it held out for val"
        train, val = (pictures(source.open(split)) for split in ("train", "val"))
        assert not train & val
        assert pictures(source.open("test")) == {
            read_image(path).tobytes() for name in CLASSES for path in (parts / "test" / name).iterdir()
        }

    def test_at_least_one_and_as_many_as_asked_for(self, parts: Path) -> None:
        for share, count in ((0.01, 1), (0.25, 3), (0.3, 3)):
            images = ClassificationFolders(str(parts), 16, val_share=share).open("val")
            assert images.class_counts.tolist() == [count] * 3
        source = ClassificationFolders(str(parts), 16, val_share=0)
        assert source.available_splits() == ("train", "test")
        assert len(source.open("train")) == 30

    @pytest.mark.parametrize("name", ["val", "valid", "Validation"])
    def test_a_folder_for_val(self, parts: Path, name: str) -> None:
        for seed, of_class in enumerate(CLASSES):
            fill(parts / name / of_class, 20 + seed, 3)
        source = ClassificationFolders(str(parts), 16, val_share=0.5)
        assert [len(source.open(split)) for split in SPLITS] == [30, 9, 12]
        assert source.layout() == f"a folder a class in train/, {name}/, test/ of {parts}"

    def test_the_test_split_has_a_store_of_its_own(self, parts: Path) -> None:
        one, other = (ClassificationFolders(str(parts), 16, val_share=share, seed=3) for share in (0.1, 0.5))
        assert one.store_file("test") == other.store_file("test")
        assert one.store_file("train") != other.store_file("train")

    def test_folders_beside_the_parts_are_remarked(self, parts: Path) -> None:
        fill(parts / "extra", 50)
        (parts / "notes").mkdir()
        notes = ClassificationFolders(str(parts), 16).stored("test").notes
        assert notes == (f"left out {parts / 'extra'}, beside train/ and test/",)


@pytest.mark.parametrize("grey", [False, True])
def test_any_size_and_format(flat: Path, grey: bool) -> None:
    for number, name in enumerate(("a.jpg", "b.bmp", "c.webp", "d.gif", "e.tiff")):
        paint(flat / "cat" / name, 500 + number, (20 + number, 40 - number))
    images = ClassificationFolders(str(flat), 12, grey).open("train")
    assert images.images.shape == (21, 1 if grey else 3, 12, 12)


class TestBrokenFiles:
    def test_they_are_left_out_counted_and_named_once(self, flat: Path, caplog: pytest.LogCaptureFixture) -> None:
        for number in range(3):
            (flat / "cat" / f"x{number}.jpg").write_bytes(b"<html>")
        (flat / "cat" / "photo.heic").write_bytes(b"")
        source = ClassificationFolders(str(flat), 16)
        assert [source.open(split).class_counts.tolist() for split in SPLITS] == [[6] * 3, [2] * 3, [2] * 3]
        assert "pets/train: 4 remark(s), first: left out" in caplog.text
        assert caplog.text.count("remark(s)") == 1
        notes = source.stored("train").notes
        assert f"left out {flat / 'cat' / 'x0.jpg'}: not an image that Pillow can read" in notes
        assert f"left out {flat / 'cat' / 'photo.heic'}: not a format that Pillow reads" in notes

    def test_in_a_part_that_is_not_divided(self, parts: Path) -> None:
        (parts / "test" / "cat" / "x.jpg").write_bytes(b"<html>")
        images, notes = ClassificationFolders(str(parts), 16).stored("test")
        assert len(images) == 12
        assert notes == (f"left out {parts / 'test' / 'cat' / 'x.jpg'}: not an image that Pillow can read",)

    def test_a_class_with_nothing_else(self, parts: Path) -> None:
        for path in (parts / "test" / "cat").iterdir():
            path.write_bytes(b"<html>")
        message = message_of(ClassificationFolders(str(parts), 16), "test")
        assert message.startswith(f"pets: no image that can be read directly in {parts / 'test' / 'cat'}; ")


def message_of(source: ClassificationFolders, split: str = "train") -> str:
    with pytest.raises(UserError) as caught:
        source.open(split)
    assert "\n" not in str(caught.value)
    return str(caught.value)


class TestBadInput:
    @pytest.mark.parametrize("content", ["gone", "file", "empty", "images"])
    def test_a_root_that_is_wrong(self, tmp_path: Path, content: str) -> None:
        (tmp_path / "file").write_text("")
        (tmp_path / "empty").mkdir()
        fill(tmp_path / "images", 0)
        message = message_of(ClassificationFolders(str(tmp_path / content)))
        assert message.endswith(
            "Put your images into CLASS/, or into train/CLASS/ and test/CLASS/ (and val/CLASS/, if you like)"
        )

    @pytest.mark.parametrize("part", ["train", "test"])
    def test_a_class_in_one_part_only(self, parts: Path, part: str) -> None:
        shutil.rmtree(parts / part / "dog")
        there = "test" if part == "train" else "train"
        assert message_of(ClassificationFolders(str(parts))) == (
            f"{parts}: class 'dog' is in {there}/ and not in {part}/; all splits must have the same classes"
        )

    def test_a_class_that_val_lacks(self, parts: Path) -> None:
        fill(parts / "val" / "cat", 30)
        assert "class 'dog' is in train/ and not in val/" in message_of(ClassificationFolders(str(parts)))

    def test_parts_without_train_or_test(self, parts: Path) -> None:
        (parts / "test").rename(parts / "val")
        assert message_of(ClassificationFolders(str(parts))) == (
            f"{parts} has train/, val/ with folders of classes, but no test/: make one, or give a folder with CLASS/ "
            "alone as root and have it divided"
        )

    def test_two_folders_for_one_split(self, parts: Path) -> None:
        for name in ("val", "valid"):
            fill(parts / name / "cat", 30)
        assert "both val/ and valid/ are for val; rename one" in message_of(ClassificationFolders(str(parts)))

    @pytest.mark.parametrize(("count", "fits"), [(0, False), (1, False), (2, False), (3, True)])
    def test_a_class_that_is_too_small(self, flat: Path, count: int, fits: bool) -> None:
        fill(flat / "newt", 9, count)
        if count:  # once more, which makes no difference
            paint(flat / "newt" / "same.png", 9000)
        (flat / "newt").mkdir(exist_ok=True)
        source = ClassificationFolders(str(flat), 16)
        if fits:
            counts = [source.open(split).class_counts.tolist()[2] for split in SPLITS]
            assert sorted(counts) == [1, 1, 2]
            return
        assert message_of(source) == (
            f"pets: class 'newt' has {count} different images that can be read, too few to hold some out for test "
            "(0.2), val (0.2)"
        )

    def test_a_class_of_train_that_is_too_small(self, parts: Path) -> None:
        for path in sorted((parts / "train" / "cat").iterdir())[1:]:
            path.write_bytes(b"<html>")
        message = message_of(ClassificationFolders(str(parts), 16), "val")
        assert message.startswith("pets: class 'cat' has 1 different images that can be read, too few to hold some out")
        assert message.endswith(
            f"for val (0.1); {parts / 'train' / 'cat' / '1.png'}: not an image that Pillow can read"
        )

    @pytest.mark.parametrize(("val", "test"), [(-0.1, 0.2), (0.5, 0.5), (0.2, 0.0), (1.0, 0.2), (float("nan"), 0.2)])
    def test_shares_that_leave_nothing(self, val: float, test: float) -> None:
        with pytest.raises(UserError, match=r"classification folders: val_share \(.*\) must be 0 or more, test_share"):
            ClassificationFolders(".", val_share=val, test_share=test)

    def test_sizes_are_checked(self) -> None:
        with pytest.raises(UserError, match="classification folders: image_size must be 1 or more, not 0"):
            ClassificationFolders(".", image_size=0)


@given(
    st.sets(st.binary(min_size=2, max_size=2), max_size=60),
    st.lists(st.integers(1, 9), min_size=1, max_size=2),
    st.integers(),
)
def test_any_division(digests: set[bytes], tenths: list[int], seed: int) -> None:
    """Shares are rounded to the nearest (half up), at least one; what is held out does not hang on order."""
    shares = {split: tenth / 10 for split, tenth in zip(("test", "val"), tenths, strict=False)}
    wanted = [max(1, int(Fraction(tenth, 10) * len(digests) + Fraction(1, 2))) for tenth in tenths]
    if sum(wanted) >= len(digests):
        with pytest.raises(UserError, match=f"has {len(digests)} different images"):
            divide(digests, shares, seed)
        return
    sides = divide(digests, shares, seed)
    assert set(sides) == digests
    assert [list(sides.values()).count(split) for split in shares] == wanted
    assert sides == divide(set(sorted(digests, reverse=True)), shares, seed)


@pytest.mark.real_data
def test_real_images(real_data: Path, tmp_path: Path) -> None:
    script = [sys.executable, str(real_data / "unpack_cifar100.py"), "imagefolder", str(tmp_path), "--classes", "2"]
    subprocess.run(script, check=True)
    try:
        source = ClassificationFolders(str(tmp_path), image_size=32)
        images = {split: source.open(split) for split in SPLITS}
        assert {split: len(loaded) for split, loaded in images.items()} == {"train": 900, "val": 100, "test": 200}
        assert all(loaded.class_names == ("apple", "aquarium_fish") for loaded in images.values())
        assert not pictures(images["train"]) & pictures(images["val"])
        # Some fish are there twice: equal ones stay together, wherever the files are divided.
        whole = ClassificationFolders(str(tmp_path / "train"), image_size=32)
        parts = [pictures(whole.open(split)) for split in SPLITS]
        counts = [len(whole.open(split)) for split in SPLITS]
        assert sum(counts) == 1000 > len(set.union(*parts)) == sum(map(len, parts))
        assert counts == [599, 200, 201]
    finally:
        shutil.rmtree(tmp_path / "train")  # pytest keeps its folders for three runs


PINNED = "da6e90b15360204527a49010f220666113666540fc8a24507cfbb60c9aca9bac"

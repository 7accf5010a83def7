"""Tiny-ImageNet in its own layout: val is for the test, words.txt names the classes."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from episodes.datasets import TinyImageNet
from episodes.datasets.verify import verify
from episodes.errors import UserError

NUMBERS = ("n01443537", "n02124075", "n03126707")  # in the order of wnids.txt, which is another one
WORDS = "n00001740\tentity\nn02124075\tEgyptian cat\nn01443537\tgoldfish, Carassius auratus\nn03126707\tcrane\n"
TRAIN, TEST = 5, 2


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FEWSHOT_SLA_CACHE", str(tmp_path / "cache"))


def paint(path: Path, shade: int, mode: str = "RGB") -> None:
    """Plain colours survive JPEG."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new(mode, (64, 64), shade if mode == "L" else (shade, shade, shade)).save(path)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    folder = tmp_path / "tiny-imagenet-200"
    lines = []
    for label, number in enumerate(NUMBERS):
        for image in range(TRAIN):
            paint(folder / "train" / number / "images" / f"{number}_{image}.JPEG", 50 * label + 5 * image, "L")
        (folder / "train" / number / f"{number}_boxes.txt").write_text("")
        for image in range(TEST):
            name = f"val_{image * len(NUMBERS) + (2 - label)}.JPEG"
            paint(folder / "val" / "images" / name, 50 * label + 5 * image + 2)
            lines.append(f"{name}\t{number}\t0\t32\t44\t62")
    (folder / "val" / "val_annotations.txt").write_text("\n".join(sorted(lines)) + "\n")
    paint(folder / "test" / "images" / "test_0.JPEG", 255)
    (folder / "wnids.txt").write_text("\n".join(reversed(NUMBERS)))
    (folder / "words.txt").write_text(WORDS)
    return folder


def shades(source: TinyImageNet, split: str) -> list[list[int]]:
    images = source.open(split)
    assert all(len(image.unique()) == 1 for image in images.images)
    return [images.images[images.labels == label][:, 0, 0, 0].tolist() for label in range(len(NUMBERS))]


def test_parts_order_and_names(root: Path) -> None:
    source = TinyImageNet(str(root), val_per_class=2)
    assert shades(source, "train") == [[50 * label + 5 * image for image in range(3)] for label in range(3)]
    assert shades(source, "val") == [[50 * label + 5 * image for image in (3, 4)] for label in range(3)]
    assert shades(source, "test") == [[50 * label + 5 * image + 2 for image in (0, 1)] for label in range(3)]
    for split in ("train", "val", "test"):
        images = source.open(split)
        assert images.class_names == ("goldfish, Carassius auratus", "Egyptian cat", "crane")
        assert images.image_shape == (3, 64, 64)
    assert source.layout() == f"train/ and val/ of {root}; val/ is for testing"


def test_the_folder_above_and_another_size(root: Path) -> None:
    images = TinyImageNet(str(root.parent), image_size=32).open("test")
    assert images.image_shape == (3, 32, 32)
    assert images.name == "tiny-imagenet/test"


def test_without_words_the_numbers_are_the_names(root: Path) -> None:
    (root / "words.txt").unlink()
    assert TinyImageNet(str(root)).open("test").class_names == NUMBERS
    (root / "words.txt").write_text("n02124075\tcrane\nn03126707\tcrane\n")
    expected = ("n01443537", "crane (n02124075)", "crane (n03126707)")
    assert TinyImageNet(str(root)).open("test").class_names == expected


def test_broken_images_are_left_out_and_named(root: Path) -> None:
    path = root / "train" / NUMBERS[1] / "images" / f"{NUMBERS[1]}_1.JPEG"
    path.write_bytes(path.read_bytes()[:200])
    images, notes = TinyImageNet(str(root)).stored("train")
    assert images.class_counts.tolist() == [5, 4, 5]
    assert any(note.startswith(f"left out {path}: ") for note in notes)


def test_images_without_a_label_are_remarked(root: Path) -> None:
    paint(root / "val" / "images" / "val_99.JPEG", 0)
    assert (
        "left out 1 images of val/ without a label, first: val_99.JPEG" in TinyImageNet(str(root)).stored("test").notes
    )


def test_verify(root: Path) -> None:
    report = verify(TinyImageNet(str(root), 1))
    assert "all splits hold the same classes, as they must for classification" in report.lines
    assert "  ! 15 images in train; Tiny-ImageNet has 100000" in report.lines


def message_of(root: Path, split: str = "train", held: int = 0) -> str:
    with pytest.raises(UserError) as caught:
        TinyImageNet(str(root), held).open(split)
    assert "\n" not in str(caught.value)
    return str(caught.value)


class TestBadInput:
    def test_nothing_there(self, tmp_path: Path) -> None:
        message = message_of(tmp_path / "gone")
        assert message.startswith(f"tiny-imagenet: there is no {tmp_path / 'gone'}. Give the folder tiny-imagenet-200")
        assert "http://cs231n.stanford.edu/tiny-imagenet-200.zip" in message

    def test_no_annotations(self, root: Path) -> None:
        (root / "val" / "val_annotations.txt").unlink()
        assert f"{root} has no train/WNID/images/ and val/val_annotations.txt." in message_of(root)

    def test_no_val(self, root: Path) -> None:
        assert "there is no split val; hold images out of train with val_per_class" in message_of(root, "val")
        message = message_of(root, "val", TRAIN)
        assert message.endswith("has 5 images in train; val_per_class must be less, not 5")

    def test_a_class_in_one_part_only(self, root: Path) -> None:
        (root / "train" / NUMBERS[2]).rename(root / "gone")
        message = message_of(root)
        assert message.startswith(f"{root}: class {NUMBERS[2]} is in val/val_annotations.txt and not in train/")
        (root / "gone").rename(root / "train" / NUMBERS[2])
        paint(root / "train" / "n99999999" / "images" / "1.JPEG", 0)
        assert "class n99999999 is in train/ and not in val/val_annotations.txt" in message_of(root)

    def test_a_class_folder_without_its_folder_of_images(self, root: Path) -> None:
        (root / "train" / NUMBERS[0] / "images").rename(root / "train" / NUMBERS[0] / "pictures")
        assert message_of(root).startswith(f"{root / 'train' / NUMBERS[0]} has no folder images/")

    def test_no_class_at_all(self, root: Path) -> None:
        (root / "train").rename(root / "gone")
        (root / "train").mkdir()
        assert message_of(root).startswith(f"{root / 'train'} has no folder of a class")

    @pytest.mark.parametrize(
        ("line", "message"),
        [
            ("val_0.JPEG\tn01443537\t0", "line 7 names a file again"),
            ("nothing", "line 7 is not FILE, WNID and a box"),
        ],
    )
    def test_annotations_that_are_wrong(self, root: Path, line: str, message: str) -> None:
        with open(root / "val" / "val_annotations.txt", "a") as file:
            file.write(line)
        assert message in message_of(root)

    def test_a_listed_image_that_is_not_there(self, root: Path) -> None:
        (root / "val" / "images" / "val_0.JPEG").unlink()
        assert message_of(root, "test").startswith(f"cannot read {root / 'val' / 'images' / 'val_0.JPEG'}")

    def test_a_size_that_is_none(self) -> None:
        with pytest.raises(UserError, match="tiny-imagenet: image_size must be 1 or more, not 0"):
            TinyImageNet(".", image_size=0)

    def test_pixels(self, root: Path) -> None:
        assert np.array_equal(TinyImageNet(str(root)).open("test").images[0, :, 0, 0], [2, 2, 2])

import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from episodes.datasets.layouts.class_lists import class_list
from episodes.datasets.readers import omniglot
from episodes.datasets.readers.omniglot import Omniglot
from episodes.datasets.store.download import Published
from episodes.errors import UserError
from tests.episodes.datasets.layouts import OMNIGLOT_LAYOUTS, drawing, omniglot_archive, omniglot_unpacked

SPLITS = ("train", "val", "test")
# Alphabets of the lists with their characters; the other ones have invented names here.
BACKGROUND = {
    "Armenian": 41,
    "Bengali": 46,
    "Early_Aramaic": 22,
    "Hebrew": 22,
    "Mkhedruli_(Georgian)": 41,
    "Other": 792,
}
EVALUATION = {
    **{"Gurmukhi": 45, "Kannada": 41, "Keble": 26, "Malayalam": 47, "Manipuri": 40, "Mongolian": 30},
    **{"Old_Church_Slavonic_(Cyrillic)": 45, "Oriya": 46, "Sylheti": 28, "Syriac_(Serto)": 23, "Tengwar": 25},
    **{"Tibetan": 42, "ULOG": 26, "Rest": 195},
}
PARTS = {"images_background": BACKGROUND, "images_evaluation": EVALUATION}


def _fake_files(part: str) -> Iterator[tuple[str, bytes]]:
    """One drawing a character, two of the first."""
    random = np.random.default_rng(len(part) + ord(part[7]))
    for alphabet, count in PARTS[part].items():
        for number in range(1, count + 1):
            for drawer in range(1, 3 if number == 1 else 2):
                pixels = (random.random((7, 7)) < 0.7).astype(np.uint8).repeat(15, 0).repeat(15, 1) * 255
                yield f"{part}/{alphabet}/character{number:02d}/{number:04d}_{drawer:02d}.png", drawing(pixels)


@pytest.fixture(scope="module")
def fake(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("omniglot")
    for part in PARTS:
        omniglot_archive(root / f"{part}.zip", _fake_files(part))
    return root


@pytest.fixture(scope="module")
def unpacked(fake: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return omniglot_unpacked(fake, tmp_path_factory.mktemp("unpacked"))


@pytest.mark.parametrize(("convention", "counts"), [("vinyals", (1028, 172, 423)), ("lake", (792, 172, 659))])
def test_both_conventions_have_their_classes_and_share_none(
    convention: str, counts: tuple[int, int, int], fake: Path
) -> None:
    source = Omniglot(str(fake), convention=convention)  # type: ignore[arg-type]
    loaded = [source.open(split) for split in SPLITS]
    assert tuple(len(images.class_names) for images in loaded) == counts
    names = [name for images in loaded for name in images.class_names]
    assert len(names) == len(set(names))
    assert loaded[1].class_names == tuple(
        sorted(f"{a}/character{n:02d}" for a in class_list("omniglot")["val"] for n in range(1, BACKGROUND[a] + 1))
    )


@pytest.mark.parametrize(
    ("layout", "words"),
    [
        ("archives", "images_background.zip and "),
        ("unpacked", "images_background and "),
        ("torchvision", "omniglot-py/images_background and "),
        ("repository", "omniglot/python/images_background.zip and "),
    ],
)
def test_every_form_has_the_same_fingerprint_and_ink_is_255(
    layout: str, words: str, fake: Path, unpacked: Path, tmp_path: Path
) -> None:
    OMNIGLOT_LAYOUTS[layout](fake, unpacked, tmp_path)
    packed, formed = Omniglot(str(fake)), Omniglot(str(tmp_path))
    assert f"{tmp_path}/{words}" in formed.layout()
    for split in ("val", "test"):
        images = formed.open(split)
        assert images.fingerprint == packed.open(split).fingerprint
        assert images.image_shape == (1, 28, 28)
    assert images.images.max() == 255
    assert 0.2 < images.images.float().mean() / 255 < 0.4  # 30 % ink


def test_rotations_make_four_exact_classes_of_a_character(fake: Path) -> None:
    plain = Omniglot(str(fake)).open("val")
    turned = Omniglot(str(fake), rotations_as_classes=True).open("val")
    assert len(turned.class_names) == 4 * len(plain.class_names)
    assert len(turned) == 4 * len(plain)
    assert turned.class_names[:4] == tuple(f"Armenian/character01/rot{angle:03d}" for angle in (0, 90, 180, 270))
    for label in (1, 100):
        original = plain.images[plain.labels == label][0]
        for turn in range(4):
            np.testing.assert_array_equal(
                turned.images[turned.labels == 4 * label + turn][0].numpy(), np.rot90(original.numpy(), turn, (1, 2))
            )


@pytest.mark.slow
@pytest.mark.real_data
def test_the_real_drawings_are_read(real_data: Path, tmp_path: Path) -> None:
    with np.load(real_data / "omniglot.npz") as arrays:
        images, labels, names, drawers = (arrays[key] for key in ("images", "labels", "class_names", "drawer"))
        files = [
            (f"{names[label]}/{label:04d}_{drawer:02d}.png", image[..., 0])
            for image, label, drawer in zip(images, labels, drawers, strict=True)
        ]
    for part in PARTS:
        omniglot_archive(
            tmp_path / f"{part}.zip", ((name, drawing(image)) for name, image in files if name.startswith(part))
        )
    source = Omniglot(str(tmp_path))
    for split, count in (("val", 172), ("test", 423)):
        stored = source.stored(split)
        assert stored.notes == ()
        assert stored.images.class_counts.tolist() == [20] * count
    assert len(Omniglot(str(tmp_path), convention="lake").contents("test").class_names) == 659
    assert len(source.contents("train").class_names) == 1028
    assert 0.03 < stored.images.images.float().mean() / 255 < 0.15  # thin strokes on an empty ground


def _fails(root: Path, match: str, split: str = "val") -> None:
    with pytest.raises(UserError, match=match) as caught:
        Omniglot(str(root)).open(split)
    assert "\n" not in str(caught.value)


def test_what_is_missing_is_named_with_where_it_comes_from(fake: Path, tmp_path: Path) -> None:
    _fails(tmp_path / "none", r"there is no .*none\. Give the folder .*download=true")
    shutil.copy(fake / "images_background.zip", tmp_path)
    _fails(tmp_path, "has no images_evaluation.zip or images_evaluation/")
    with pytest.raises(UserError, match="convention must be vinyals or lake"):
        Omniglot(str(fake), convention="other")  # type: ignore[arg-type]


def test_an_archive_that_is_cut_off_is_named(fake: Path, tmp_path: Path) -> None:
    for part in PARTS:
        shutil.copy(fake / f"{part}.zip", tmp_path)
    path = tmp_path / "images_background.zip"
    path.write_bytes(path.read_bytes()[:-2000])
    _fails(tmp_path, r"images_background.zip is cut off or damaged")


def test_missing_characters_are_named(tmp_path: Path) -> None:
    for part in PARTS:
        files = [(name, data) for name, data in _fake_files(part) if "Hebrew/character07" not in name]
        omniglot_archive(tmp_path / f"{part}.zip", files)
    _fails(tmp_path, "has 963 characters, should be 964")
    renamed = [(name.replace("Hebrew", "Hebrow"), data) for name, data in _fake_files("images_background")]
    omniglot_archive(tmp_path / "images_background.zip", renamed)
    _fails(tmp_path, "Hebrew is missing, which is for val")


def test_downloads_only_if_told_to(fake: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[str, str]] = []

    def fetch(url: str, path: Path, size: int, digest: str) -> Path:
        asked.append((url, digest))
        path.parent.mkdir(exist_ok=True)
        return Path(shutil.copy(fake / path.name, path))

    monkeypatch.setattr(omniglot, "fetch", fetch)
    with pytest.raises(UserError):
        Omniglot(str(tmp_path / "new")).open("val")
    assert asked == []
    source = Omniglot(str(tmp_path / "new"), download=True)
    assert asked == []
    assert len(source.open("val").class_names) == 172
    assert [url.rsplit("/", 1)[1] for url, _ in asked] == ["images_background.zip", "images_evaluation.zip"]
    assert all(isinstance(archive, Published) and len(archive.digest) == 71 for archive in omniglot.ARCHIVES.values())

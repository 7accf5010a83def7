import io
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from episodes.datasets.layouts.class_lists import class_list
from episodes.datasets.layouts.tiered_imagenet import png_places
from episodes.datasets.readers.tiered_imagenet import TieredImageNet
from episodes.errors import UserError

SPLITS = ("train", "val", "test")
Fake = dict[str, tuple[np.ndarray, np.ndarray]]  # split -> images [n, 84, 84, 3], labels [n]


@pytest.fixture(scope="module")
def fake() -> Fake:
    """One image for each of the 608 classes, two of the first of a split, in disorder."""
    random = np.random.default_rng(0)
    made = {}
    for split, names in class_list("tiered_imagenet").items():
        labels = random.permutation([0, *range(len(names))])
        small = random.integers(0, 256, (len(labels), 2, 2, 3), dtype=np.uint8)
        made[split] = (small.repeat(42, 1).repeat(42, 2), labels)
    return made


def _png(image: np.ndarray) -> bytes:
    file = io.BytesIO()
    Image.fromarray(image).save(file, "PNG", compress_level=1)
    return file.getvalue()


def _labels(fake: Fake, root: Path, protocol: int = 2) -> None:
    """As Ren et al. wrote them, with the files that tell what the names stand for."""
    lines = []
    for split, names in class_list("tiered_imagenet").items():
        content = {
            "label_specific": fake[split][1].astype(np.int32),
            "label_general": np.zeros(len(fake[split][1]), np.int32),
            "label_specific_str": [f"bird, {name}" for name in names],
            "label_general_str": ["animal"],
        }
        (root / f"{split}_labels.pkl").write_bytes(pickle.dumps(content, protocol))
        lines += [(name, f"bird, {name}") for name in names]
    (root / "synsets.txt").write_text("\n".join(["n99999999", *(name for name, _ in lines)]) + "\n")
    (root / "class_names.txt").write_text("\n".join(["other", *(text for _, text in lines)]) + "\n")


def _png_pickles(fake: Fake, root: Path, protocol: int = 2, as_bytes: bool = False) -> None:
    _labels(fake, root, protocol)
    for split, (images, _) in fake.items():
        # OpenCV gives arrays of bytes, [length, 1]
        files: list[Any] = [_png(image) for image in images]
        if not as_bytes:
            files = [np.frombuffer(file, np.uint8)[:, None] for file in files]
        (root / f"{split}_images_png.pkl").write_bytes(pickle.dumps(files, protocol))


def _npz(fake: Fake, root: Path, save: Callable[..., None] = np.savez, step: int = -1) -> None:
    _labels(fake, root)
    for split, (images, _) in fake.items():
        save(root / f"{split}_images.npz", images=images[..., ::step])


def _folders(fake: Fake, root: Path) -> None:
    for split, names in class_list("tiered_imagenet").items():
        for number, (image, label) in enumerate(zip(*fake[split], strict=True)):
            (root / split / names[label]).mkdir(parents=True, exist_ok=True)
            (root / split / names[label] / f"{number}.png").write_bytes(_png(image))


def _unpacked_archive(fake: Fake, root: Path) -> None:
    (root / "tiered-imagenet").mkdir()
    _png_pickles(fake, root / "tiered-imagenet", 5)


LAYOUTS: dict[str, Callable[[Fake, Path], None]] = {
    "png, python 2 protocol, arrays": lambda fake, root: _png_pickles(fake, root, 5),
    "png, bytes": lambda fake, root: _png_pickles(fake, root, 3, as_bytes=True),
    "png, in the folder of the archive": _unpacked_archive,
    "npz": _npz,
    "compressed npz": lambda fake, root: _npz(fake, root, np.savez_compressed),
    "folders": _folders,
}


@pytest.fixture(scope="module")
def fingerprints(fake: Fake, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    root = tmp_path_factory.mktemp("png")
    _png_pickles(fake, root, 4)
    return {split: TieredImageNet(str(root)).open(split).fingerprint for split in SPLITS}


def test_the_lists_have_351_97_and_160_classes_and_share_none() -> None:
    lists = class_list("tiered_imagenet")
    assert {split: len(names) for split, names in lists.items()} == {"train": 351, "val": 97, "test": 160}
    assert len({name for names in lists.values() for name in names}) == 608


@pytest.mark.parametrize("layout", LAYOUTS)
def test_every_layout_of_the_same_images_has_the_same_fingerprint(
    layout: str, fake: Fake, fingerprints: dict[str, str], tmp_path: Path
) -> None:
    LAYOUTS[layout](fake, tmp_path)
    source = TieredImageNet(str(tmp_path))
    for split, names in class_list("tiered_imagenet").items():
        images = source.open(split)
        assert images.class_names == names
        assert images.class_counts.tolist() == [2, *[1] * (len(names) - 1)]
        assert images.fingerprint == fingerprints[split]


def test_pixels_belong_to_their_labels(fake: Fake, tmp_path: Path) -> None:
    _npz(fake, tmp_path, step=1)
    images = TieredImageNet(str(tmp_path), npz_channels="rgb").open("val")
    pixels, labels = fake["val"]
    for label in (1, 50, 96):
        np.testing.assert_array_equal(
            images.images[images.labels == label][0].numpy(), pixels[labels == label][0].transpose(2, 0, 1)
        )


def test_labels_of_metaoptnet_have_no_names(fake: Fake, tmp_path: Path) -> None:
    _npz(fake, tmp_path)
    first = {"train": 0, "val": 351, "test": 448}
    for split, (_, labels) in fake.items():
        content = {"labels": [first[split] + int(label) for label in labels]}
        (tmp_path / f"{split}_labels.pkl").write_bytes(pickle.dumps(content))
    stored = TieredImageNet(str(tmp_path)).stored("val")
    assert stored.images.class_names[:2] == ("class 000", "class 001")
    assert stored.images.class_counts.tolist() == [2, *[1] * 96]
    assert any("counted, not checked" in note for note in stored.notes)
    assert any("98 images; tiered-ImageNet has 124261" in note for note in stored.notes)


def test_without_the_list_of_names_classes_have_their_own(fake: Fake, tmp_path: Path) -> None:
    _npz(fake, tmp_path)
    (tmp_path / "synsets.txt").unlink()
    assert TieredImageNet(str(tmp_path)).open("val").class_names[0].startswith("bird, n")


@pytest.mark.parametrize("protocol", range(1, 6))
def test_png_files_are_found_in_every_protocol_that_holds_bytes(protocol: int, tmp_path: Path) -> None:
    files = [_png(np.full((4, 4, 3), value, np.uint8)) * (1 + 3 * value) for value in range(3)]
    path = tmp_path / "a.pkl"
    if protocol < 3:  # as Python 2 writes it; Python 3 would write text
        parts = b"".join(b"T" + len(file).to_bytes(4, "little") + file + b"q\x02" for file in files)
        path.write_bytes(b"\x80\x02]q\x01(" + parts + b"e.")
    else:
        path.write_bytes(pickle.dumps([bytearray(files[0]), *files[1:]], protocol))
        if protocol < 5:
            path.write_bytes(pickle.dumps(files, protocol))
    data = path.read_bytes()
    assert [data[begin : begin + length] for begin, length in png_places(path)] == files


def _fails(root: Path, match: str, split: str = "val") -> None:
    with pytest.raises(UserError, match=match) as caught:
        TieredImageNet(str(root)).open(split)
    assert "\n" not in str(caught.value)


def test_nothing_there_says_what_to_put_there(tmp_path: Path) -> None:
    _fails(tmp_path / "none", r"there is no .*none\. Give the folder that holds .*zenodo")
    _fails(tmp_path, "has no {train,val,test}_images_png.pkl")
    with pytest.raises(UserError, match="npz_channels must be bgr or rgb"):
        TieredImageNet(str(tmp_path), npz_channels="rbg")  # type: ignore[arg-type]


def test_what_is_missing_or_cut_off_is_named(fake: Fake, tmp_path: Path) -> None:
    for name, make in (("png.pkl", _png_pickles), ("npz", _npz)):
        folder = tmp_path / name
        folder.mkdir()
        make(fake, folder)
        images = next(folder.glob("val_images*"))
        if name == "npz":
            images.write_bytes(images.read_bytes()[:-100])
            _fails(folder, "val_images.npz is cut off")
        images.unlink()
        _fails(folder, f"has no {images.name}; all splits are needed")
        (folder / "val_labels.pkl").unlink()


def test_a_cut_off_pickle_of_images_is_named(fake: Fake, tmp_path: Path) -> None:
    _png_pickles(fake, tmp_path, 5)
    path = tmp_path / "val_images_png.pkl"
    whole = path.read_bytes()
    for end in (0, 3, len(whole) // 2, len(whole) - 1):
        path.write_bytes(whole[:end])
        _fails(tmp_path, r"val_images_png.pkl is cut off")


@pytest.mark.parametrize(
    ("labels", "match"),
    [
        ({"label_specific": np.zeros(5, int)}, "val_images_png.pkl has 98 images, its labels are 5"),
        ({"label_specific": np.zeros((98, 1), int)}, r"label_specific is int64 \[98, 1\]"),
        ({"label_specific": np.arange(98), "label_specific_str": ["a"]}, "reach from 0 to 97, but 1 classes"),
        ({"labels": [0] * 98}, "has 1 val classes, tiered-ImageNet 97"),
        ({"other": 1}, "there is no 'labels' in it"),
    ],
)
def test_wrong_labels_are_named(labels: dict[str, Any], match: str, fake: Fake, tmp_path: Path) -> None:
    _png_pickles(fake, tmp_path, 4)
    (tmp_path / "val_labels.pkl").write_bytes(pickle.dumps(labels))
    _fails(tmp_path, match)


def test_a_class_of_another_split_is_named(fake: Fake, tmp_path: Path) -> None:
    _folders(fake, tmp_path)
    stray = class_list("tiered_imagenet")["test"][0]
    (tmp_path / "val" / stray).mkdir()
    (tmp_path / "val" / stray / "x.png").write_bytes(_png(np.zeros((84, 84, 3), np.uint8)))
    _fails(tmp_path, f"has class '{stray}' in val, but it belongs to test")

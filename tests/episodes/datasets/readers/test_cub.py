import shutil
import tarfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from episodes.datasets.layouts.class_lists import class_list
from episodes.datasets.readers import cub
from episodes.datasets.readers.cub import CUB
from episodes.errors import UserError

SPLITS = ("train", "val", "test")


@pytest.fixture(scope="module")
def fake(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """CUB_200_2011 with one small photograph a class (two of the first): a bright bird on a dark ground."""
    folder = tmp_path_factory.mktemp("cub") / "CUB_200_2011"
    names = sorted(name for names in class_list("cub").values() for name in names)
    files = [f"{name}/{name[4:]}_{i:04d}_{n}.jpg" for n, name in enumerate(names, 1) for i in range(2 if n == 1 else 1)]
    random = np.random.default_rng(0)
    for file in files:
        pixels = np.full((100, 160, 3), 20, np.uint8)
        pixels[20:60, 10:50] = random.integers(200, 256, 3)
        path = folder / "images" / file
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels).save(path, quality=95)
    (folder / "images.txt").write_text("".join(f"{n} {file}\n" for n, file in enumerate(files, 1)))
    (folder / "bounding_boxes.txt").write_text("".join(f"{n} 10.0 20.0 40.0 40.0\n" for n in range(1, len(files) + 1)))
    return folder.parent


def test_the_list_is_that_of_chen_et_al() -> None:
    lists = class_list("cub")
    for split, numbers in (("train", range(1, 201, 2)), ("val", range(2, 201, 4)), ("test", range(4, 201, 4))):
        assert [int(name[:3]) for name in lists[split]] == list(numbers)
    assert lists["val"][:2] == ("002.Laysan_Albatross", "006.Least_Auklet")
    assert lists["test"][-1] == "200.Common_Yellowthroat"


def test_folder_and_its_parent_are_read_and_squares_are_cut_from_the_middle(fake: Path) -> None:
    source, inner = CUB(str(fake)), CUB(str(fake / "CUB_200_2011"))
    for split, names in class_list("cub").items():
        images = source.open(split)
        assert images.class_names == names
        assert images.image_shape == (3, 84, 84)
        assert images.fingerprint == inner.open(split).fingerprint
    assert len(source.open("train")) == 101
    with Image.open(next((fake / "CUB_200_2011" / "images" / "002.Laysan_Albatross").iterdir())) as image:
        square = image.crop((30, 0, 130, 100)).resize((84, 84), Image.Resampling.BILINEAR)
    np.testing.assert_allclose(
        source.open("val").images[0].numpy().astype(int), np.asarray(square).transpose(2, 0, 1), rtol=0, atol=1
    )


def test_boxes_are_cut_out_on_request(fake: Path) -> None:
    whole, cut = CUB(str(fake)).open("val"), CUB(str(fake), crop_to_box=True).open("val")
    assert whole.images.float().mean() < 60
    assert cut.images.float().mean() > 195
    assert "bounding boxes" in CUB(str(fake), crop_to_box=True).layout()


def _fails(root: Path, match: str, **arguments: bool) -> None:
    with pytest.raises(UserError, match=match) as caught:
        CUB(str(root), **arguments).open("val")
    assert "\n" not in str(caught.value)


def test_what_is_missing_is_named_with_where_it_comes_from(fake: Path, tmp_path: Path) -> None:
    _fails(tmp_path / "none", r"there is no .*none\. Give the folder .*data.caltech.edu")
    _fails(tmp_path, "has no CUB_200_2011/images/NNN.NAME/")
    (tmp_path / "CUB_200_2011.tgz").write_bytes(b"")
    _fails(tmp_path, "is not unpacked yet")
    copy = tmp_path / "copy"
    shutil.copytree(fake, copy)
    (copy / "CUB_200_2011" / "bounding_boxes.txt").write_text("1 2 3\n")
    _fails(copy, "cannot be read together", crop_to_box=True)
    (copy / "CUB_200_2011" / "bounding_boxes.txt").unlink()
    _fails(copy, "bounding_boxes.txt", crop_to_box=True)
    image = next((copy / "CUB_200_2011" / "images" / "006.Least_Auklet").iterdir())
    image.write_bytes(image.read_bytes()[:300])
    _fails(copy, image.name)
    image.unlink()
    _fails(copy, "has no image of 1 of the 50 val classes: 006.Least_Auklet")


def test_the_archive_is_downloaded_and_unpacked_if_told_to(
    fake: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fetch(url: str, path: Path, size: int, digest: str) -> Path:
        path.parent.mkdir(exist_ok=True)
        with tarfile.open(path, "w:gz", compresslevel=1) as archive:
            archive.add(fake / "CUB_200_2011", "CUB_200_2011")
        return path

    monkeypatch.setattr("episodes.datasets.store.download.fetch", fetch)
    source = CUB(str(tmp_path / "new"), download=True)
    assert not (tmp_path / "new").exists()
    assert source.open("val").fingerprint == CUB(str(fake)).open("val").fingerprint
    assert cub.ARCHIVE.digest.startswith("sha256:")

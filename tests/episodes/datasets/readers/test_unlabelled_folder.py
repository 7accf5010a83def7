"""Folders of pictures without classes."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from episodes.datasets import UnlabelledFolder
from episodes.errors import UserError


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FEWSHOT_SLA_CACHE", str(tmp_path / "cache"))


def save(path: Path, size: tuple[int, int] = (8, 8), seed: int = 0) -> np.ndarray:  # [H, W, 3]
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(seed).integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)
    Image.fromarray(pixels).save(path)
    return pixels


def test_all_pictures_however_deep_in_the_order_of_their_names(tmp_path: Path) -> None:
    root = tmp_path / "lsun"
    first, second = save(root / "LSUN_resize" / "a.png", seed=1), save(root / "LSUN_resize" / "b.png", seed=2)
    loose = save(root / "deep" / "down" / "z.png", seed=3)
    (root / "deep" / "again").symlink_to(root)  # a circle
    (root / "LSUN_resize" / "notes.txt").write_text("no picture")
    (root / "LSUN_resize" / "c.png").write_text("broken")
    images = UnlabelledFolder(str(root), image_size=8).open("test")
    assert images.name == "lsun/test"
    assert images.class_names == ("LSUN_resize", "down")
    assert images.labels.tolist() == [0, 0, 1]
    for ours, theirs in zip(images.images, (first, second, loose), strict=True):
        assert np.array_equal(ours.permute(1, 2, 0), theirs)


def test_pictures_of_all_sizes_become_squares_grey_if_asked(tmp_path: Path) -> None:
    root = tmp_path / "mine"
    pixels = save(root / "a.png", size=(20, 10))
    save(root / "b.png", size=(5, 5))
    images = UnlabelledFolder(str(root), image_size=10, grey=True, name="imagenet").open("test")
    assert images.images.shape == (2, 1, 10, 10)
    assert images.class_names == ("mine",)
    assert images.name == "imagenet/test"
    middle = Image.fromarray(pixels[:, 5:15]).convert("L")
    assert np.array_equal(images.images[0, 0], np.asarray(middle))


def test_what_cannot_be_used_is_said(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "a.png").write_text("broken")
    messages = {
        "empty": r"empty has no pictures\. Give a folder of pictures",
        "nowhere": r"there is no .*nowhere\. Give a folder",
        "broken": r"no picture of 'broken' can be read: .*a\.png",
    }
    for name, words in messages.items():
        with pytest.raises(UserError, match=words):
            UnlabelledFolder(str(tmp_path / name)).open("test")
    with pytest.raises(UserError, match="there is no split 'train'"):
        UnlabelledFolder(str(tmp_path / "empty")).open("train")

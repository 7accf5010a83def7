"""The base classes of a few-shot data set: divided within each class, and never the classes of another split."""

import pytest
import torch

from episodes.datasets import BaseClasses
from episodes.datasets.base import open_split
from episodes.errors import UserError
from tests.tiny import TinyImages


def test_train_and_val_are_the_train_split_divided_within_each_class() -> None:
    everything = TinyImages(classes=3, per_class=9).open("train")
    source = BaseClasses(TinyImages(classes=3, per_class=9), val_per_class=2)
    train, val = source.open("train"), source.open("val")
    assert (train.name, val.name) == ("tiny-base/train", "tiny-base/val")
    assert train.class_names == val.class_names == everything.class_names
    assert (train.class_counts.tolist(), val.class_counts.tolist()) == ([7, 7, 7], [2, 2, 2])
    number = {image.tobytes(): place for place, image in enumerate(everything.images.numpy())}
    places = [[number[image.tobytes()] for image in images.images.numpy()] for images in (train, val)]
    assert sorted(places[0] + places[1]) == list(range(27))
    for images, of_images in zip((train, val), places, strict=True):
        assert of_images == sorted(of_images)
        assert torch.equal(everything.labels[of_images], images.labels)
    more = BaseClasses(TinyImages(classes=3, per_class=9), val_per_class=5).open("val")
    assert set(places[1]) < {number[image.tobytes()] for image in more.images.numpy()}
    other = BaseClasses(TinyImages(classes=3, per_class=9), val_per_class=2, seed=1).open("val")
    assert other.fingerprint != val.fingerprint


def test_without_anything_held_out_train_is_the_split() -> None:
    source = BaseClasses(TinyImages())
    assert source.open("train").fingerprint == TinyImages().open("train").fingerprint
    with pytest.raises(UserError, match="no split val; hold images out of train with val_per_class"):
        source.open("val")


def test_what_cannot_be_is_said() -> None:
    with pytest.raises(UserError, match="0 or more, not -1"):
        BaseClasses(TinyImages(), -1)
    with pytest.raises(UserError, match="'train class 0' has 10 images; val_per_class must be less, not 10"):
        BaseClasses(TinyImages(), 10).open("train")
    with pytest.raises(UserError, match=r"no split test.*meta_test RUN_FOLDER --head"):
        open_split(BaseClasses(TinyImages(), 1), "test")

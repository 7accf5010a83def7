"""The embedded digits: scikit-learn's images, divided into splits that share classes and no image."""

from itertools import combinations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.datasets import load_digits

from episodes.datasets import Digits
from episodes.datasets.readers.digits import enlarged
from episodes.errors import UserError
from episodes.images.labelled import LabelledImages

SPLITS = ("train", "val", "test")


def pictures(images: LabelledImages) -> set[bytes]:
    return {image.tobytes() for image in images.images.numpy()}


def test_counts_names_and_shape() -> None:
    everything = load_digits()
    loaded = {split: Digits().open(split) for split in SPLITS}
    for split, images in loaded.items():
        assert images.class_names == tuple("0123456789")
        assert images.image_shape == (1, 16, 16)
        assert images.name == f"digits/{split}"
    assert loaded["train"].class_counts.tolist() == [20] * 10
    assert loaded["val"].class_counts.tolist() == [20] * 10
    assert loaded["test"].class_counts.tolist() == (np.bincount(everything.target) - 40).tolist()


def test_splits_hold_every_image_once() -> None:
    """The 1,797 images are all different, so that pictures can stand for images."""
    parts = [pictures(Digits(image_size=8).open(split)) for split in SPLITS]
    assert sum(map(len, parts)) == len(set.union(*parts)) == 1797
    assert all(not one & other for one, other in combinations(parts, 2))


@pytest.mark.parametrize("size", [8, 16, 32])
def test_pixels_and_labels_are_those_of_scikit_learn(size: int) -> None:
    everything = load_digits()
    label_of = {
        tuple(picture.ravel()): label for picture, label in zip(everything.images, everything.target, strict=True)
    }
    images = Digits(image_size=size).open("train")
    times = size // 8
    for image, label in zip(images.images[:, 0], images.labels.tolist(), strict=True):
        small = image[times // 2 :: times, times // 2 :: times]
        slow = [[int(small[row // times, column // times]) for column in range(size)] for row in range(size)]
        assert image.tolist() == slow
        assert label_of[tuple(round(v * 16 / 255) for v in small.flatten().tolist())] == label


def test_all_values_are_used_to_the_ends() -> None:
    values = np.arange(17.0).reshape(1, 1, 17)
    assert enlarged(values, 1).tolist() == [[[round(v * 255 / 16) for v in range(17)]]]


def test_enlarging_commutes_with_quarter_turns() -> None:
    small = load_digits().images[:50]
    for turns in range(4):
        turned_after = np.rot90(enlarged(small, 2), turns, axes=(1, 2))
        assert np.array_equal(turned_after, enlarged(np.rot90(small, turns, axes=(1, 2)), 2))


@settings(max_examples=30)
@given(st.integers(0, 2**40), st.integers(1, 152), st.integers(1, 152))
def test_fewer_are_among_more_and_val_stays(seed: int, one: int, other: int) -> None:
    few, many = (Digits(number, image_size=8, seed=seed) for number in sorted((one, other)))
    assert pictures(few.open("train")) <= pictures(many.open("train"))
    assert pictures(few.open("test")) >= pictures(many.open("test"))
    assert torch.equal(few.open("val").images, many.open("val").images)


def test_the_seed_decides() -> None:
    assert Digits(seed=3).open("train").fingerprint == Digits(seed=3).open("train").fingerprint
    assert Digits(seed=3).open("train").fingerprint != Digits(seed=4).open("train").fingerprint


def test_the_default_division_does_not_change() -> None:
    """Figures in the documents were made with it."""
    assert [Digits().open(split).fingerprint[:12] for split in SPLITS] == PINNED


def test_bad_input() -> None:
    for size in (0, 12, 4, -8):
        with pytest.raises(UserError, match=f"digits: image_size must be a multiple of 8, not {size}"):
            Digits(image_size=size)
    with pytest.raises(UserError, match="digits: train_per_class must be 1 or more, not 0"):
        Digits(0)
    with pytest.raises(UserError, match="digits: there is no split 'tset'; the splits are train, val, test"):
        Digits().open("tset")
    assert min(Digits(153).open("test").class_counts.tolist()) == 1
    with pytest.raises(UserError, match=r"digits: class '8' has 174 images, .* must be 153 or less, not 154"):
        Digits(154).open("train")


PINNED = ["f21d59ef80bf", "4e3c7442a6dc", "e5d505439e1f"]

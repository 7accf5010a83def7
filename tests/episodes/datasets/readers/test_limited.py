"""n images a class: nested, balanced, and nothing else changed."""

from collections import Counter

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from episodes.datasets import Digits, Limited
from episodes.datasets.readers.held_out import random_order
from episodes.errors import UserError
from episodes.images.labelled import LabelledImages
from tests.tiny import TinyImages


def pictures(images: LabelledImages) -> set[bytes]:
    return {image.tobytes() for image in images.images.numpy()}


@settings(max_examples=50)
@given(st.integers(0, 2**63), st.integers(1, 60), st.integers(1, 60))
def test_fewer_are_among_more(seed: int, one: int, other: int) -> None:
    source = Digits(60, image_size=8)
    few, many = (Limited(source, number, seed).open("train") for number in sorted((one, other)))
    assert pictures(few) <= pictures(many) <= pictures(source.open("train"))
    assert few.class_counts.tolist() == [min(one, other)] * 10
    assert few.class_names == many.class_names == source.open("train").class_names


def test_images_keep_label_and_order() -> None:
    source = TinyImages(classes=3, per_class=9)
    everything, chosen = source.open("train"), Limited(source, 4).open("train")
    number = {image.tobytes(): index for index, image in enumerate(everything.images.numpy())}
    index = [number[image.tobytes()] for image in chosen.images.numpy()]
    assert index == sorted(index)
    assert torch.equal(everything.labels[index], chosen.labels)


def test_all_of_them_is_the_source() -> None:
    source = TinyImages(per_class=6)
    assert Limited(source, 6).open("train").fingerprint == source.open("train").fingerprint


def test_val_and_test_are_as_they_were() -> None:
    source = TinyImages()
    for split in ("val", "test"):
        images = Limited(source, 3).open(split)
        assert images.name == f"tiny-limited-3/{split}"
        assert images.fingerprint == source.open(split).fingerprint


def test_names_and_seeds() -> None:
    source = TinyImages(per_class=30)
    assert Limited(source, 25).name == "tiny-limited-25"
    assert Limited(source, 25, seed=2).name == "tiny-limited-25-seed2"
    assert Limited(Limited(source, 25), 5).open("train").name == "tiny-limited-25-limited-5/train"
    prints = [Limited(source, 5, seed).open("train").fingerprint for seed in (1, 1, 2)]
    assert prints[0] == prints[1] != prints[2]


def test_every_choice_is_as_likely() -> None:
    """2 of 4: six choices in 3,000 draws; the 99.99 % point of chi-squared with 5 degrees of freedom is 25.7."""
    seen = Counter(tuple(sorted(random_order(4, seed, 1, 0)[:2].tolist())) for seed in range(3000))
    assert len(seen) == 6
    assert sum((count - 500) ** 2 / 500 for count in seen.values()) < 25.7


def test_orders_are_permutations_of_their_own() -> None:
    orders = {tuple(random_order(20, *key).tolist()) for key in [(0, 1, 0), (0, 1, 1), (0, 2, 0), (1, 1, 0)]}
    assert len(orders) == 4
    assert all(sorted(order) == list(range(20)) for order in orders)


def test_too_few() -> None:
    with pytest.raises(UserError) as caught:
        Limited(Digits(), 25).open("train")
    assert str(caught.value) == "digits/train: class '0' has 20 images; per_class must be 20 or less, not 25"
    with pytest.raises(UserError, match="limited: per_class must be 1 or more, not 0"):
        Limited(Digits(), 0)


def test_a_split_that_must_not_be_opened_is_not_opened() -> None:
    source = TinyImages(splits=("train", "val"))
    Limited(source, 3).open("train")
    with pytest.raises(UserError, match="must not be opened"):
        Limited(source, 3).open("test")

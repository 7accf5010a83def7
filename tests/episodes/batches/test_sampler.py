"""BatchSampler against an endless list of permutations that is written out."""

from collections import Counter

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from episodes.batches.sampler import BatchSampler
from episodes.errors import UserError
from episodes.randomness import random_units

sizes = {"count": st.integers(1, 30), "batch_size": st.integers(1, 70), "seed": st.integers(-5, 5)}


def written_out(count: int, seed: int, epochs: int) -> list[int]:
    """The sequence that batches are cut from."""
    units = [random_units(seed, np.asarray([epoch]), count)[:, 0].tolist() for epoch in range(epochs)]
    return [image for keys in units for image in sorted(range(count), key=keys.__getitem__)]


@given(**sizes, number=st.integers(0, 20))
def test_batches_are_cut_from_one_sequence(count: int, batch_size: int, seed: int, number: int) -> None:
    batch = BatchSampler(count, batch_size, seed)[number]
    assert batch.dtype == torch.int64
    stop = (number + 1) * batch_size
    assert batch.tolist() == written_out(count, seed, stop // count + 1)[stop - batch_size : stop]


@given(**sizes, numbers=st.lists(st.integers(0, 40), max_size=8))
def test_what_was_drawn_before_makes_no_difference(count: int, batch_size: int, seed: int, numbers: list[int]) -> None:
    used = BatchSampler(count, batch_size, seed)
    for number in numbers:
        assert torch.equal(used[number], BatchSampler(count, batch_size, seed)[number])


@given(**sizes, epochs=st.integers(1, 4))
def test_every_image_occurs_once_an_epoch(count: int, batch_size: int, seed: int, epochs: int) -> None:
    sampler = BatchSampler(count, batch_size, seed)
    drawn = [image for number in range(-(-epochs * count // batch_size)) for image in sampler[number].tolist()]
    for epoch in range(epochs):
        assert sorted(drawn[epoch * count : (epoch + 1) * count]) == list(range(count))


@given(**sizes, number=st.integers(0, 50))
def test_batches_follow_one_another(count: int, batch_size: int, seed: int, number: int) -> None:
    sampler = BatchSampler(count, batch_size, seed)
    assert sampler.positions(number) == range(number * batch_size, (number + 1) * batch_size)


def test_epochs_and_seeds_differ() -> None:
    orders = [tuple(BatchSampler(50, 50, seed)[epoch].tolist()) for seed in range(5) for epoch in range(5)]
    assert len(set(orders)) == 25


def test_every_order_is_equally_likely() -> None:
    sampler = BatchSampler(3, 3, seed=1)
    found = Counter(tuple(sampler[number].tolist()) for number in range(6000))
    assert len(found) == 6
    assert all(abs(times - 1000) < 4 * 29 for times in found.values())  # four standard deviations


@pytest.mark.parametrize(
    ("count", "batch_size", "message"),
    [
        (0, 4, "there are no images to draw batches from"),
        (4, 0, "batch_size must be at least 1, got 0"),
        (4, -3, "batch_size must be at least 1, got -3"),
    ],
)
def test_sizes_that_cannot_be_are_refused(count: int, batch_size: int, message: str) -> None:
    with pytest.raises(UserError, match=f"^{message}$"):
        BatchSampler(count, batch_size, 0)


def test_there_is_no_batch_before_the_first() -> None:
    with pytest.raises(IndexError, match="batches are numbered from 0, got -1"):
        BatchSampler(4, 2, 0)[-1]

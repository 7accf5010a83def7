"""Long tails: the published subset, index by index, and what must hold for any other."""

import hashlib
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from episodes.datasets import DataSource, Digits, Limited, LongTailed
from episodes.datasets.readers.long_tail import class_sizes, kept_positions
from episodes.errors import UserError
from episodes.images.labelled import LabelledImages

# (images a class, classes, profile, ratio) -> images in all, and SHA-256 of the positions within the classes, in the
# order of the published code, as little-endian int64. The totals 10,847, 19,573, 12,406 and 20,431 are in the papers.
PUBLISHED = {
    (500, 100, "exponential", 100): (10847, "f123ec136d44ab1b224fe55bb8a73ab03432d25a81975af68f26fb6777d5aca8"),
    (500, 100, "exponential", 10): (19573, "5906ba7310b91b5ee5a4e0b172d27f9370929d8acacd8026f44e160daa1f4834"),
    (500, 100, "step", 100): (25250, "5fab75890a63c2996fc0348bd2047e3e931035b136781510a90b9890adfb75c1"),
    (500, 100, "step", 10): (27500, "d973f460f760c05f5a861b8dc64647fe009fd14b2e8cc4e3597ecd1375b55eac"),
    (5000, 10, "exponential", 100): (12406, "8a54f5b6fa9722952358bc99897aa969bc20f845d0b15034e5013337df1e4ec7"),
    (5000, 10, "exponential", 10): (20431, "2b3a8656bec514c6c87236694978bc8a90f04fa51b4ed2009d2f8f336a614242"),
    (5000, 10, "step", 100): (25250, "9f6141e4cf23433a8600d4e492e26c59b6d44b4266ecc1b0ef915c980da0e2ae"),
    (5000, 10, "step", 10): (27500, "972d9eb4a700ad789b81f7500e0675f8f1acbe7e537e7a8fca8e6b53ab893e5f"),
}


class Numbered(DataSource):
    """Images that say their own number; labels in any order."""

    name = "numbered"

    def __init__(self, counts: list[int], mix: int = 0) -> None:
        self.labels = torch.arange(len(counts)).repeat_interleave(torch.tensor(counts))
        self.labels = self.labels[torch.randperm(len(self.labels), generator=torch.Generator().manual_seed(mix))]
        self.class_names = tuple(f"class {number}" for number in range(len(counts)))

    def open(self, split: str) -> LabelledImages:
        numbers = torch.arange(len(self.labels))
        pixels = torch.stack([numbers % 256, numbers // 256 % 256, numbers // 65536], 1).to(torch.uint8)
        return LabelledImages(pixels[:, :, None, None], self.labels, self.class_names, f"numbered/{split}")


def numbers(images: LabelledImages) -> NDArray[np.int64]:
    return images.images[:, :, 0, 0].long().numpy() @ np.array([1, 256, 65536])


def published_indices(targets: NDArray[np.int64], profile: str, factor: float, seed: int) -> list[NDArray[np.int64]]:
    """What the paper's authors do to the labels of a data set, written down anew; with numpy's global generator."""
    classes = np.unique(targets)
    most = len(targets) / len(classes)
    wanted = []
    for c in range(len(classes)):
        if profile == "exponential":
            wanted.append(int(most * factor ** (c / (len(classes) - 1.0))))
        else:
            wanted.append(int(most) if c < len(classes) // 2 else int(most * factor))
    before = np.random.get_state()
    np.random.seed(seed)
    chosen = []
    for c, n in zip(classes, wanted, strict=True):
        of_class = np.where(targets == c)[0]
        np.random.shuffle(of_class)
        chosen.append(of_class[:n])
    np.random.set_state(before)
    return chosen


@pytest.mark.parametrize("case", PUBLISHED)
def test_the_published_subset(case: tuple[int, int, str, int]) -> None:
    count, classes, profile, ratio = case
    total, digest = PUBLISHED[case]
    source = Numbered([count] * classes, mix=5)
    images = LongTailed(source, profile, ratio).open("train")
    kept = numbers(images)
    targets = source.labels.numpy()
    expected = published_indices(targets, profile, {10: 0.1, 100: 0.01}[ratio], seed=0)
    assert np.array_equal(kept, np.concatenate(expected))
    assert len(images) == total
    assert np.array_equal(images.labels.numpy(), targets[kept])
    positions = [np.searchsorted(np.where(targets == c)[0], chosen) for c, chosen in enumerate(expected)]
    assert hashlib.sha256(np.concatenate(positions).astype("<i8").tobytes()).hexdigest() == digest


def test_positions_depend_on_the_counts_alone() -> None:
    one, other = (LongTailed(Numbered([40] * 4, mix), ratio=8).open("train") for mix in (1, 2))
    assert one.class_counts.tolist() == other.class_counts.tolist() == [40, 20, 10, 5]
    for mix, images in ((1, one), (2, other)):
        places = [np.flatnonzero(Numbered([40] * 4, mix).labels == c) for c in range(4)]
        found = np.concatenate([places[c].searchsorted(numbers(images)[images.labels == c]) for c in range(4)])
        assert np.array_equal(found, np.concatenate(kept_positions([40] * 4, [40, 20, 10, 5], 0)))


@given(
    st.lists(st.integers(1, 60), min_size=1, max_size=8),
    st.sampled_from(["exponential", "step"]),
    st.floats(1, 20),
    st.integers(0, 2**32 - 1),
)
def test_any_long_tail(counts: list[int], profile: str, ratio: float, seed: int) -> None:
    source = Numbered(counts)
    long_tailed = LongTailed(source, profile, ratio, seed)
    kept = class_sizes(min(counts), len(counts), profile, ratio)
    assert kept == sorted(kept, reverse=True)
    if 0 in kept:
        with pytest.raises(UserError, match=f"leaves class 'class {kept.index(0)}' without an image"):
            long_tailed.open("train")
        return
    images = long_tailed.open("train")
    assert images.class_counts.tolist() == kept
    assert len(set(numbers(images))) == len(images)
    assert np.array_equal(source.labels.numpy()[numbers(images)], images.labels.numpy())
    assert images.class_names == source.class_names


def test_a_milder_tail_holds_the_images_of_a_steeper_one() -> None:
    steep, mild = (set(numbers(LongTailed(Numbered([50] * 5), ratio=r).open("train"))) for r in (25, 5))
    assert steep < mild


def test_val_and_test_stay_balanced() -> None:
    source = Digits()
    long_tailed = LongTailed(source, ratio=5)
    for split in ("val", "test"):
        images = long_tailed.open(split)
        assert images.fingerprint == source.open(split).fingerprint
        assert images.name == f"digits-lt-exponential-5/{split}"
    train = long_tailed.open("train")
    assert train.name == "digits-lt-exponential-5/train"
    assert train.class_counts.tolist() == [int(20 * 0.2 ** (c / 9)) for c in range(10)]
    assert train.fingerprint != source.open("train").fingerprint


def test_names_tell_everything() -> None:
    source = Numbered([9, 9])
    assert LongTailed(source).name == "numbered-lt-exponential-100"
    assert LongTailed(source, "step", 2.5, seed=7).name == "numbered-lt-step-2.5-seed7"
    assert LongTailed(Limited(source, 4), ratio=2).open("val").name == "numbered-limited-4-lt-exponential-2/val"


def test_either_order_of_limited_and_long_tailed() -> None:
    source = Numbered([50] * 3)
    both = LongTailed(Limited(source, 16), ratio=4).open("train")
    assert both.class_counts.tolist() == [16, 8, 4]
    assert set(numbers(both)) <= set(numbers(Limited(source, 16).open("train")))
    assert Limited(LongTailed(source, ratio=5), 10).open("train").class_counts.tolist() == [10, 10, 10]
    with pytest.raises(UserError, match=r"numbered-lt-exponential-10/train: class 'class 2' has 5 images"):
        Limited(LongTailed(source, ratio=10), 10).open("train")


def test_another_seed_is_another_set_and_the_global_generator_is_left_alone() -> None:
    before = np.random.get_state()[1].copy()
    sets = [LongTailed(Numbered([50] * 5), ratio=10, seed=seed).open("train").fingerprint for seed in (0, 0, 1)]
    assert sets[0] == sets[1] != sets[2]
    assert np.array_equal(np.random.get_state()[1], before)


def test_memory_is_that_of_the_subset_alone(tmp_path: Path) -> None:
    source = Numbered([100] * 10)
    images = LongTailed(source, ratio=100).open("train").images
    assert images.untyped_storage().nbytes() == images.numel()
    held = source.open("val")
    source.open = lambda split: held  # type: ignore[method-assign]
    assert LongTailed(source).open("val").images.data_ptr() == held.images.data_ptr()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"profile": "linear"}, "long tail: profile must be exponential or step, not 'linear'"),
        ({"ratio": 0.5}, "long tail: ratio must be 1 or more, not 0.5"),
        ({"ratio": float("nan")}, "long tail: ratio must be 1 or more, not nan"),
        ({"ratio": float("inf")}, "long tail: ratio must be 1 or more, not inf"),
        ({"seed": -1}, "long tail: seed must be 0 to 2^32 - 1, not -1"),
    ],
)
def test_arguments_that_are_wrong(arguments: dict[str, object], message: str) -> None:
    with pytest.raises(UserError) as caught:
        LongTailed(Numbered([3, 3]), **arguments)  # type: ignore[arg-type]
    assert str(caught.value) == message


def test_an_imbalance_that_leaves_a_class_empty() -> None:
    with pytest.raises(UserError) as caught:
        LongTailed(Digits(), ratio=100).open("train")
    assert str(caught.value) == (
        "digits-lt-exponential-100: the imbalance leaves class '6' without an image; there are 20 a class before it: "
        "choose a ratio below 20"
    )
    assert 0 not in class_sizes(20, 10, "exponential", 19.9)


def test_a_class_that_is_empty_before() -> None:
    class Lacking(Numbered):
        class_names = ("a", "b", "c")

        def open(self, split: str) -> LabelledImages:
            images = super().open(split)
            return LabelledImages(images.images, images.labels * 2, ("a", "b", "c"), images.name)

    with pytest.raises(UserError, match="numbered/train: class 'b' has no image"):
        LongTailed(Lacking([3, 3]), ratio=1).open("train")

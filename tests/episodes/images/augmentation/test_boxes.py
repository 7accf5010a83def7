"""Cutout and CutMix against loops over images and pixels, and the sizes of their boxes against Beta."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import beta, kstest

from episodes import Normalization, Targets, UserError
from episodes.images.augmentation import Augmentation, Compose, CutMix, Cutout, Mixup
from episodes.images.augmentation.boxes import box_masks
from episodes.images.augmentation.cutmix import paste


def images(count: int, height: int = 9, width: int = 7) -> torch.Tensor:
    return 0.1 + 0.8 * torch.rand(count, 3, height, width, generator=torch.Generator().manual_seed(0))


def labels(count: int) -> Targets:
    return Targets(torch.arange(10, 10 + count))


def seeded(seed: int, augmentation: Augmentation, batch: torch.Tensor) -> tuple[torch.Tensor, Targets]:
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return augmentation(batch, labels(len(batch)))


@given(row=st.integers(0, 8), column=st.integers(0, 6), tall=st.integers(0, 20), wide=st.integers(0, 20))
def test_a_box_is_where_a_loop_puts_it(row: int, column: int, tall: int, wide: int) -> None:
    (mask,) = box_masks(*torch.tensor([[row], [column], [tall], [wide]]), height=9, width=7)
    for y in range(9):
        for x in range(7):
            inside = row - tall // 2 <= y < row + tall // 2 and column - wide // 2 <= x < column + wide // 2
            assert bool(mask[0, y, x]) == inside


@given(seed=st.integers(0, 2**31), count=st.integers(0, 5), size=st.integers(2, 12))
def test_cutout_fills_one_square_of_each_image(seed: int, count: int, size: int) -> None:
    batch = images(count)
    changed, targets = seeded(seed, Cutout(size, [0.0, 0.5, 1.0]), batch)
    assert torch.equal(targets.labels, labels(count).labels)
    for before, after in zip(batch, changed, strict=True):
        blotted = (before != after).all(dim=0)
        assert torch.equal(after[:, blotted].T, torch.tensor([[0.0, 0.5, 1.0]]).expand(int(blotted.sum()), 3))
        assert torch.equal(after[:, ~blotted], before[:, ~blotted])
        rows, columns = np.nonzero(blotted.numpy())
        tall, wide = np.ptp(rows) + 1, np.ptp(columns) + 1
        assert len(rows) == tall * wide
        assert size // 4 <= max(tall, wide) <= 2 * (size // 2)


def test_cutout_reaches_every_pixel_and_every_edge() -> None:
    changed, _ = seeded(0, Cutout(4, [0.0]), images(2000))
    often = (changed == 0).all(dim=1).double().mean(dim=0)
    expected = torch.zeros(9, 7, dtype=torch.float64)  # by a loop over the centres
    for row in range(9):
        for column in range(7):
            expected[max(0, row - 2) : row + 2, max(0, column - 2) : column + 2] += 1 / 63
    torch.testing.assert_close(often, expected, atol=0.04, rtol=0)


def test_the_square_is_zero_once_the_images_are_normalised() -> None:
    """As in the program of Fast AutoAugment, which cuts after normalisation; also as one of several."""
    normalization = Normalization(torch.tensor([0.1, 0.5, 0.8]), torch.tensor([0.5, 1.0, 2.0]))
    for augmentation in (Cutout(4), Compose([Compose([Cutout(4)])])):
        changed, _ = seeded(0, augmentation.adapted(normalization), images(6))
        found, expected = normalization(changed), normalization(images(6))
        blotted = (found == 0).all(dim=1, keepdim=True).expand_as(found)
        assert torch.equal(found[~blotted], expected[~blotted])
        assert all(2 * 2 <= int(own[0].sum()) <= 4 * 4 for own in blotted)
    assert Cutout(4, [0.3]).adapted(normalization).fill == [0.3]


def test_paste_equals_the_loop() -> None:
    batch, partner = images(4), torch.tensor([2, 0, 3, 1])
    mask = torch.rand(4, 1, 9, 7, generator=torch.Generator().manual_seed(1)) < torch.tensor([0, 0.2, 0.7, 2.0]).view(
        4, 1, 1, 1
    )
    mixed, targets = paste(batch, labels(4), partner, mask)
    for b, other in enumerate(partner.tolist()):
        taken = 0
        for y in range(9):
            for x in range(7):
                source = other if mask[b, 0, y, x] else b
                taken += source != b
                assert torch.equal(mixed[b, :, y, x], batch[source, :, y, x])
        assert (targets.labels[b], targets.others[b]) == (10 + b, 10 + other)
        assert targets.share[b] == pytest.approx(1 - taken / 63, abs=1e-6)


@pytest.mark.parametrize("per_image", [False, True])
@given(seed=st.integers(0, 2**31), count=st.sampled_from([0, 2, 5]), probability=st.sampled_from([0.0, 0.5, 1.0]))
def test_the_share_is_that_of_the_pixels(per_image: bool, seed: int, count: int, probability: float) -> None:
    batch = torch.arange(1.0, 1 + count).view(-1, 1, 1, 1).expand(count, 3, 9, 7)  # every pixel says whose it is
    mixed, targets = seeded(seed, CutMix(1.0, probability, per_image), batch)
    assert sorted(targets.others.tolist()) == labels(count).labels.tolist()
    for b in range(count):
        own = (mixed[b] == b + 1).all(dim=0)
        assert (mixed[b][:, ~own] == targets.others[b] - 9).all()
        if targets.others[b] != targets.labels[b]:
            assert targets.share[b] == pytest.approx(float(own.double().mean()), abs=1e-6)
    if not probability:
        assert (targets.share == 1).all()
    if not per_image:
        assert len(targets.share.unique()) <= 1


@pytest.mark.parametrize("alpha", [0.3, 1.0])
def test_the_sides_of_the_box_come_from_beta(alpha: float) -> None:
    """Seen on images so large, and boxes in their middle, that neither rounding nor the edges matter."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        _, targets = CutMix(alpha, 1.0, per_image=True)(torch.zeros(3000, 1, 64, 64), labels(3000))
    share = targets.share.double().numpy()
    lambdas = beta(alpha, alpha).rvs(60_000, random_state=0)
    side, random = np.sqrt(1 - lambdas), np.random.default_rng(0)

    def covered(length: int) -> np.ndarray:
        half = (side * length).astype(int) // 2
        centre = random.integers(0, length, len(side))
        return np.minimum(centre + half, length) - np.maximum(centre - half, 0)

    assert kstest(share, 1 - covered(64) * covered(64) / 64**2).pvalue > 0.001


def test_the_default_generator_decides_and_a_batch_may_stay_as_it_is() -> None:
    batch = images(8)
    assert torch.equal(seeded(3, CutMix(), batch)[0], seeded(3, CutMix(), batch)[0])
    shares = {float(seeded(seed, CutMix(), batch)[1].share[0]) == 1 for seed in range(20)}
    assert shares == {True, False}
    assert torch.equal(seeded(3, Cutout(4, [0.0]), batch)[0], seeded(3, Cutout(4, [0.0]), batch)[0])
    assert not torch.equal(seeded(3, Cutout(4, [0.0]), batch)[0], seeded(4, Cutout(4, [0.0]), batch)[0])


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Cutout(1), "size must be at least 2"),
        (lambda: Cutout(4, [2.0]), "fill must be"),
        (lambda: Cutout(4, []), "fill must be"),
        (lambda: Cutout(4, "black"), "fill must be 'mean', or one value 0 to 1 or one for each channel, got 'black'"),
        (lambda: Cutout(4).change(images(2)), "does not know the mean of the training images; give fill"),
        (lambda: Cutout(4, [0.1, 0.2]).change(images(1)), "has 2 values, but the images have 3 channels"),
        (lambda: CutMix(0.0), "alpha must be positive"),
        (lambda: CutMix(1.0, 1.5), "probability must be 0 to 1"),
        (
            lambda: CutMix()(images(1), labels(1)),
            "CutMix mixes the images of a batch with one",
        ),
        (
            lambda: Mixup()(images(1), labels(1)),
            "Mixup mixes the images of a batch with one",
        ),
        (lambda: CutMix()(images(2), labels(2).mixed(torch.tensor([1, 0]), torch.tensor(0.5))), "mixed already"),
    ],
)
def test_bad_input(make, message: str) -> None:
    with pytest.raises(UserError, match=message):
        make()

"""Mixup against a loop over images, and the distribution of its lambdas against that of Beta."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import beta, kstest

from episodes import Normalization, Targets, UserError, named_transformations
from episodes.images.augmentation import Mixup
from episodes.images.augmentation.mixup import mix
from episodes.labelling import joint_labelling


def images(count: int = 6, seed: int = 0) -> torch.Tensor:
    return torch.rand(count, 3, 4, 4, generator=torch.Generator().manual_seed(seed))


def labels(count: int = 6) -> Targets:
    return Targets(torch.arange(10, 10 + count))


@pytest.mark.parametrize("share", [torch.tensor(0.25), torch.tensor([0.0, 0.1, 0.5, 0.75, 0.9, 1.0])])
def test_equals_the_loop(share: torch.Tensor) -> None:
    batch, partner = images(), torch.tensor([3, 1, 0, 5, 2, 4])
    mixed, targets = mix(batch, labels(), partner, share)
    for b, other in enumerate(partner.tolist()):
        own = share.expand(6)[b]
        torch.testing.assert_close(mixed[b], own * batch[b] + (1 - own) * batch[other])
        assert (targets.labels[b], targets.others[b], targets.share[b]) == (10 + b, 10 + other, own)


@pytest.mark.parametrize("per_image", [False, True])
@given(seed=st.integers(0, 2**31), count=st.sampled_from([0, 2, 3, 9]), alpha=st.floats(0.05, 20))
def test_every_image_is_somebodys_partner_and_shares_are_shares(
    per_image: bool, seed: int, count: int, alpha: float
) -> None:
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        mixed, targets = Mixup(alpha, per_image)(images(count), labels(count))
    assert mixed.shape == (count, 3, 4, 4)
    assert targets.labels.tolist() == labels(count).labels.tolist()
    assert sorted(targets.others.tolist()) == targets.labels.tolist()
    assert ((targets.share >= 0) & (targets.share <= 1)).all()
    assert len(targets.share.unique()) <= (count if per_image else 1)
    again, _ = mix(images(count), labels(count), targets.others - 10, targets.share)
    torch.testing.assert_close(mixed, again)


@pytest.mark.parametrize("alpha", [0.2, 1.0, 5.0])
def test_lambda_is_drawn_from_beta(alpha: float) -> None:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        _, targets = Mixup(alpha, per_image=True)(torch.zeros(4000, 1, 1, 1), labels(4000))
    assert kstest(targets.share.double().numpy(), beta(alpha, alpha).cdf).pvalue > 0.001


def test_one_lambda_a_batch_unless_told_otherwise() -> None:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        assert len(Mixup()(images(), labels())[1].share.unique()) == 1
        assert len(Mixup(per_image=True)(images(), labels())[1].share.unique()) == 6


def test_the_default_generator_decides() -> None:
    results = []
    for seed in (0, 0, 1):
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            results.append(Mixup()(images(), labels())[0])
    assert torch.equal(results[0], results[1])
    assert not torch.equal(results[0], results[2])


@pytest.mark.parametrize("name", ["rotation4", "color6", "rotation4+color6"])
def test_views_of_a_mixture_are_mixtures_of_views(name: str) -> None:
    """So the label of view j is the mixture of (y_a, j) and (y_b, j)."""
    transformations, partner, share = (
        named_transformations(name),
        torch.tensor([1, 2, 0]),
        torch.tensor([0.2, 0.5, 0.7]),
    )
    m = transformations.m
    mixed, targets = mix(images(3), Targets(torch.arange(3)), partner, share)
    of_views = joint_labelling.targets(targets, m)
    whole = transformations(images(3))
    for b in range(3):
        for j, view in enumerate(transformations(mixed)[b]):
            torch.testing.assert_close(view, share[b] * whole[b, j] + (1 - share[b]) * whole[partner[b], j])
            assert of_views.labels[b * m + j] == b * m + j
            assert of_views.others[b * m + j] == partner[b] * m + j


def test_normalisation_does_not_see_the_order() -> None:
    normalization = Normalization(torch.tensor([0.1, 0.2, 0.3]), torch.tensor([0.5, 1.0, 2.0]))
    partner, share = torch.tensor([1, 0]), torch.tensor(0.3)
    first, _ = mix(normalization(images(2)), labels(2), partner, share)
    torch.testing.assert_close(first, normalization(mix(images(2), labels(2), partner, share)[0]))


def test_a_share_of_one_changes_nothing() -> None:
    mixed, targets = mix(images(), labels(), torch.tensor([1, 2, 3, 4, 5, 0]), torch.tensor(1.0))
    assert torch.equal(mixed, images())
    assert torch.equal(targets.heavier, labels().labels)


@pytest.mark.parametrize("alpha", [0.0, -1.0, float("inf"), float("nan")])
def test_alpha_out_of_range_is_refused(alpha: float) -> None:
    with pytest.raises(UserError, match=f"^Mixup alpha must be positive and finite, got {alpha}$"):
        Mixup(alpha)


def test_mixing_twice_is_refused() -> None:
    with pytest.raises(UserError, match="mixed already"):
        Mixup()(*Mixup()(images(), labels()))

"""Episodes of which no two share an image: how many there are, and that chance alone says which images meet."""

from collections import Counter

import pytest
import torch
from scipy import stats

from episodes import (
    DisjointSampler,
    EpisodeSampler,
    EpisodeSource,
    EpisodeSpec,
    LabelledImages,
    Normalization,
    UserError,
)


@pytest.mark.parametrize(
    ("classes", "images", "k_shot", "episodes"),
    [(20, 600, 1, 148), (20, 600, 5, 120), (54, 24, 1, 10), (5, 40, 1, 2)],  # CIFAR-FS and letters at 5-way, 15 queries
)
def test_number_of_episodes(classes: int, images: int, k_shot: int, episodes: int) -> None:
    sampler = DisjointSampler(torch.arange(classes).repeat(images), EpisodeSpec(5, k_shot, 15), seed=0)
    assert len(sampler) == episodes


def test_classes_of_equal_size_occur_equally_often() -> None:
    sampler = DisjointSampler(torch.arange(10).repeat(12), EpisodeSpec(5, 1, 2), seed=0)
    assert set(Counter(sampler.draw(range(len(sampler))).classes.flatten().tolist()).values()) == {4}


def test_a_class_with_more_images_than_episodes_is_in_all() -> None:
    labels = torch.cat([torch.zeros(100, dtype=torch.int64), torch.arange(1, 5).repeat(2)])
    sampler = DisjointSampler(labels, EpisodeSpec(2, 1, 1), seed=3)
    assert len(sampler) == 4
    assert (sampler.draw(range(4)).classes == 0).any(dim=1).all()


def test_which_classes_meet_and_which_images_are_support_is_left_to_chance() -> None:
    labels = torch.arange(4).repeat(3)
    drawn = [DisjointSampler(labels, EpisodeSpec(2, 1, 2), seed).draw([0]) for seed in range(500)]
    pairs = Counter(frozenset(one.classes[0].tolist()) for one in drawn)
    images = Counter(one.support[0, 0].item() for one in drawn)
    assert (len(pairs), len(images)) == (6, 12)
    assert stats.chisquare(list(pairs.values())).pvalue > 1e-4
    assert stats.chisquare(list(images.values())).pvalue > 1e-4


def test_a_source_draws_them_and_says_what_cannot_be_drawn() -> None:
    images = LabelledImages(
        torch.zeros(12, 1, 4, 4, dtype=torch.uint8), torch.arange(3).repeat(4), ("a", "b", "c"), "x"
    )
    spec, normalization = EpisodeSpec(3, 1, 1), Normalization.of(images)
    source = EpisodeSource(images, spec, 0, normalization, sampler=DisjointSampler)
    assert len(source.sampler) == 2
    assert source.batch([1, 0]).query.shape == (2, 3, 1, 4, 4)
    assert isinstance(EpisodeSource(images, spec, 0, normalization).sampler, EpisodeSampler)
    with pytest.raises(UserError, match=r"x: 3-way 4-shot .* needs 5 images of every class: a has 4"):
        EpisodeSource(images, EpisodeSpec(3, 4, 1), 0, normalization, sampler=DisjointSampler)


def test_there_is_no_episode_behind_the_last() -> None:
    sampler = DisjointSampler(torch.arange(4).repeat(3), EpisodeSpec(2, 1, 2), seed=0)
    with pytest.raises(IndexError):
        sampler.draw([2])
    assert len(list(sampler)) == 2

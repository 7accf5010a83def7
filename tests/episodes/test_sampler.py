"""Episodes: each a pure function of (labels, spec, seed, number), and every possible episode equally likely."""

import itertools
import multiprocessing
from collections import Counter

import numpy as np
import pytest
import torch
from scipy import stats
from torch import Tensor

from episodes import EpisodeIndices, EpisodeSampler, EpisodeSpec, UserError
from episodes.randomness import derive_seed, random_units, sample_without_replacement

SPEC = EpisodeSpec(n_way=5, k_shot=2, n_query=3)
# The seeds are fixed, so a test fails always or never; the threshold only says how odd a fair draw may look.
LEAST_P = 1e-4


def uneven_labels() -> Tensor:
    """Eight classes of 5 to 19 images, their images in no order."""
    labels = torch.arange(8).repeat_interleave(torch.arange(5, 20, 2))
    return labels[torch.randperm(len(labels), generator=torch.Generator().manual_seed(0))]


def sampler(seed: int = 0, spec: EpisodeSpec = SPEC) -> EpisodeSampler:
    return EpisodeSampler(uneven_labels(), spec, seed)


def assert_same(a: EpisodeIndices, b: EpisodeIndices) -> None:
    for field, x, y in zip(a._fields, a, b, strict=True):
        assert torch.equal(x, y), field


def differ(a: EpisodeIndices, b: EpisodeIndices) -> bool:
    return not torch.equal(a.support, b.support) and not torch.equal(a.query, b.query)


# What an episode is


@pytest.mark.parametrize("spec", [SPEC, EpisodeSpec(8, 1, 1), EpisodeSpec(2, 1, 4), EpisodeSpec(8, 4, 1)])
def test_every_episode_is_an_episode(spec: EpisodeSpec) -> None:
    labels = uneven_labels()
    n, k, q = spec.n_way, spec.k_shot, spec.n_query
    episodes = sampler(spec=spec).draw(range(200))
    assert episodes.support.shape == episodes.support_labels.shape == (200, n * k)
    assert episodes.query.shape == episodes.query_labels.shape == (200, n * q)
    assert episodes.classes.shape == (200, n)
    assert all(field.dtype == torch.int64 for field in episodes)
    for support, support_labels, query, query_labels, classes in zip(*episodes, strict=True):
        assert len(set(classes.tolist())) == n
        assert len(set(support.tolist()) | set(query.tolist())) == n * (k + q)  # distinct, and support apart from query
        assert Counter(support_labels.tolist()) == dict.fromkeys(range(n), k)
        assert Counter(query_labels.tolist()) == dict.fromkeys(range(n), q)
        assert torch.equal(labels[support], classes[support_labels])
        assert torch.equal(labels[query], classes[query_labels])


def test_a_class_with_just_enough_images_is_used_up() -> None:
    labels = torch.tensor([1, 0, 1, 0, 0, 1])
    episodes = EpisodeSampler(labels, EpisodeSpec(2, 1, 2), seed=0).draw(range(50))
    for support, query in zip(episodes.support, episodes.query, strict=True):
        assert sorted([*support.tolist(), *query.tolist()]) == list(range(6))


# A pure function of the number


def test_an_episode_is_the_same_whatever_is_drawn_with_it_or_before_it() -> None:
    numbers = [17, 3, 1000, 3, 0]
    together = sampler().draw(numbers)
    other = sampler()
    other.draw(range(99))
    for place, number in reversed(list(enumerate(numbers))):
        assert_same(other[number], together.part(place, place + 1))
        assert_same(sampler().draw([number, 5]).part(0, 1), together.part(place, place + 1))


def test_ranges_slices_and_arrays_of_numbers_are_all_numbers() -> None:
    episodes = sampler().draw(range(10))
    assert_same(sampler().draw(range(10)[1::3]), EpisodeIndices(*(field[1::3] for field in episodes)))
    assert_same(sampler().draw(np.arange(10)), episodes)
    assert_same(sampler().draw(range(9, -1, -1)), EpisodeIndices(*(field.flip(0) for field in episodes)))


def test_no_numbers_no_episodes() -> None:
    nothing = sampler().draw([])
    assert nothing.support.shape == (0, 10)
    assert nothing.query_labels.shape == (0, 15)
    assert nothing.classes.shape == (0, 5)


def test_the_iterator_draws_0_1_2() -> None:
    episodes = sampler().draw(range(600))  # more than two of its blocks
    for number, episode in zip(range(600), sampler(), strict=False):
        assert_same(episode, episodes.part(number, number + 1))


def test_one_episode_is_pinned() -> None:
    """Every machine and every version draws this one; if it changes, old results can no longer be compared to new."""
    episode = EpisodeSampler(torch.arange(4).repeat(50), EpisodeSpec(3, 1, 2), seed=7)[11]
    assert episode.classes.tolist() == [[3, 1, 0]]
    assert episode.support.tolist() == [[175, 121, 4]]
    assert episode.query.tolist() == [[176, 48, 125, 131, 41, 43]]
    assert episode.query_labels.tolist() == [[2, 2, 1, 0, 1, 0]]


def _draw_elsewhere(seed: int, numbers: list[int]) -> list[list]:
    return [field.tolist() for field in sampler(seed).draw(numbers)]


def test_another_process_draws_the_same() -> None:
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        elsewhere = pool.apply(_draw_elsewhere, (-3, [8, 2**40]))
    assert elsewhere == _draw_elsewhere(-3, [8, 2**40])


def test_the_random_numbers_are_those_of_the_published_generator() -> None:
    """SplitMix64 from state 0, as published with it (also in Java's SplittableRandom and Rosetta Code)."""

    def splitmix64(state: int, draws: int) -> list[int]:
        mask, numbers = (1 << 64) - 1, []
        for _ in range(draws):
            state = (state + 0x9E3779B97F4A7C15) & mask
            z = state
            z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & mask
            z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & mask
            numbers.append(z ^ (z >> 31))
        return numbers

    assert splitmix64(0, 2) == [0xE220A8397B1DCDAF, 0x6E789E6AA1B965F4]
    units = random_units(0, np.array([0]), 20)[:, 0]  # seed 0 and stream 0 mix to state 0
    assert units.tolist() == [(bits >> 11) / 2**53 for bits in splitmix64(0, 20)]


@pytest.mark.parametrize("seed", [0, 1, -1, 2**63, 2**64 - 2, -(2**63), 10**15])
def test_any_seed_will_do_and_gives_its_own_episodes(seed: int) -> None:
    ours = sampler(seed).draw(range(5))
    assert_same(ours, sampler(seed).draw(range(5)))
    for other in (seed + 1, seed - 1, 12345):
        assert differ(ours, sampler(other).draw(range(5)))


@pytest.mark.parametrize("number", [10**6, 2**32, 2**40, 2**62])
def test_any_number_will_do_and_gives_its_own_episode(number: int) -> None:
    ours = sampler()[number]
    assert torch.equal(uneven_labels()[ours.query], ours.classes[0][ours.query_labels])
    for other in (number + 1, number - 1, number % 1000, number // 2):
        assert differ(ours, sampler()[other])


def test_episodes_do_not_repeat_from_seed_to_seed() -> None:
    drawn = [row for seed in range(20) for row in sampler(seed).draw(range(100)).query.tolist()]
    assert len(set(map(tuple, drawn))) == 2000


def test_neither_draws_from_nor_seeds_the_global_generators() -> None:
    torch.manual_seed(5)
    np.random.seed(5)
    states = torch.get_rng_state(), np.random.get_state()[1].copy()
    sampler().draw(range(5))
    assert torch.equal(torch.get_rng_state(), states[0])
    assert np.array_equal(np.random.get_state()[1], states[1])


# Every possible episode is equally likely


def p_uniform(outcomes: list, possible: list) -> float:
    """p-value of the chi-square test that all possible outcomes are equally likely; 0 if an impossible one occurred."""
    counts = Counter(outcomes)
    return stats.chisquare([counts[outcome] for outcome in possible]).pvalue if set(counts) <= set(possible) else 0.0


def test_the_test_of_uniformity_can_fail() -> None:
    assert p_uniform([0, 1] * 500, [0, 1]) > LEAST_P
    assert p_uniform([0] * 600 + [1] * 400, [0, 1]) < LEAST_P
    assert p_uniform([0, 1, 2] * 500, [0, 1]) == 0


@pytest.mark.parametrize("seed", range(3))
def test_ordered_pairs_of_classes(seed: int) -> None:
    episodes = sampler(seed, EpisodeSpec(2, 1, 1)).draw(range(20_000))
    outcomes = [tuple(pair) for pair in episodes.classes.tolist()]
    assert p_uniform(outcomes, list(itertools.permutations(range(8), 2))) > LEAST_P


def test_the_order_of_all_classes() -> None:
    labels = torch.arange(4).repeat(3)
    episodes = EpisodeSampler(labels, EpisodeSpec(4, 1, 1), seed=0).draw(range(10_000))
    outcomes = [tuple(classes) for classes in episodes.classes.tolist()]
    assert p_uniform(outcomes, list(itertools.permutations(range(4)))) > LEAST_P


@pytest.mark.parametrize("seed", range(3))
def test_pairs_of_images_of_a_class_and_their_parts_in_the_episode(seed: int) -> None:
    """Support image and query image of a class: every ordered pair of its five images."""
    labels = torch.tensor([0, 1] * 5)
    episodes = EpisodeSampler(labels, EpisodeSpec(2, 1, 1), seed).draw(range(10_000))
    query_by_label = torch.empty_like(episodes.query).scatter_(1, episodes.query_labels, episodes.query)
    for y in range(2):  # the first and the second class of the episode, each of which can be class 0 or 1
        pairs = list(zip(episodes.support[:, y].tolist(), query_by_label[:, y].tolist(), strict=True))
        possible = [pair for c in range(2) for pair in itertools.permutations(range(c, 10, 2), 2)]
        assert p_uniform(pairs, possible) > LEAST_P


def test_the_images_of_different_classes_are_independent() -> None:
    labels = torch.tensor([0] * 3 + [1] * 3)
    episodes = EpisodeSampler(labels, EpisodeSpec(2, 1, 1), seed=1).draw(range(10_000))
    pairs = [tuple(pair) for pair in episodes.support.tolist()]
    possible = [*itertools.product(range(3), range(3, 6)), *itertools.product(range(3, 6), range(3))]
    assert p_uniform(pairs, possible) > LEAST_P


def test_images_of_classes_of_different_size() -> None:
    episodes = sampler(4, EpisodeSpec(8, 1, 4)).draw(range(4_000))
    labels = uneven_labels()
    for c in range(8):
        own = (labels == c).nonzero().flatten().tolist()
        used = [image for image in episodes.support.flatten().tolist() if labels[image] == c]
        assert len(used) == 4_000
        assert p_uniform(used, own) > LEAST_P


def test_the_order_of_the_queries() -> None:
    labels = torch.arange(2).repeat(4)
    episodes = EpisodeSampler(labels, EpisodeSpec(2, 1, 2), seed=0).draw(range(10_000))
    outcomes = [tuple(row) for row in episodes.query_labels.tolist()]
    assert p_uniform(outcomes, sorted(set(itertools.permutations((0, 0, 1, 1))))) > LEAST_P


def test_consecutive_episodes_and_consecutive_seeds_are_independent() -> None:
    spec = EpisodeSpec(2, 1, 1)
    labels = torch.arange(4).repeat_interleave(2)
    possible = list(itertools.product(range(4), range(4)))
    by_number = EpisodeSampler(labels, spec, 0).draw(range(8_001)).classes[:, 0].tolist()
    assert p_uniform(list(itertools.pairwise(by_number)), possible) > LEAST_P
    by_seed = [EpisodeSampler(labels, spec, seed)[0].classes[0, 0].item() for seed in range(4_001)]
    assert p_uniform(list(itertools.pairwise(by_seed)), possible) > LEAST_P


@pytest.mark.parametrize(("n", "k"), [(1, 1), (3, 1), (4, 2), (4, 3), (4, 4), (5, 3)])
def test_every_ordered_choice_without_replacement_is_equally_likely(n: int, k: int) -> None:
    units = random_units(3, np.arange(20_000), 2 * k)
    chosen = sample_without_replacement(units, np.full(20_000, n))
    possible = list(itertools.permutations(range(n), k))
    outcomes = [tuple(column) for column in chosen.T.tolist()]
    assert set(outcomes) <= set(possible)
    if len(possible) > 1:
        assert p_uniform(outcomes, possible) > LEAST_P


def test_the_largest_unit_number_stays_inside() -> None:
    almost_one = np.full((6, 3), 1 - 2.0**-53)
    chosen = sample_without_replacement(almost_one, np.array([3, 1000, 2**40 + 1]))
    assert (np.sort(chosen, axis=0) == np.array([[n - 3, n - 2, n - 1] for n in (3, 1000, 2**40 + 1)]).T).all()


def test_derived_seeds_tell_their_keys_apart() -> None:
    keys = [(), (0,), (1,), (0, 0), (0, 1), (1, 0), (-1,), (2**40,)]
    seeds = [derive_seed(seed, *key) for seed in (1, 2, -1) for key in keys]
    assert len(set(seeds)) == len(seeds)
    assert all(0 <= seed < 2**63 for seed in seeds)


# What cannot be drawn


def test_too_many_ways_are_named() -> None:
    with pytest.raises(UserError, match=r"^9-way 1-shot .* needs 9 classes, there are 8; lower n_way$"):
        sampler(spec=EpisodeSpec(9, 1, 1))


def test_a_class_that_is_too_small_is_named_with_its_count() -> None:
    names = ["ant", "bee", "cat", "dog", "eel", "fox", "gnu", "hen"]
    with pytest.raises(UserError, match=r"needs 8 images of every class: ant has 5, bee has 7; lower k_shot or"):
        EpisodeSampler(uneven_labels(), EpisodeSpec(2, 5, 3), 0, names)


def test_many_small_classes_are_counted() -> None:
    message = "needs 15 images of every class: 0 has 5, 1 has 7, 2 has 9, and 2 more classes are too small"
    with pytest.raises(UserError, match=message):
        sampler(spec=EpisodeSpec(2, 5, 10))


def test_a_class_without_any_image_is_too_small() -> None:
    with pytest.raises(UserError, match="bee has 0"):
        EpisodeSampler(torch.tensor([0, 2] * 5), EpisodeSpec(2, 1, 1), 0, ["ant", "bee", "cat"])
    with pytest.raises(UserError, match="cat has 0"):
        EpisodeSampler(torch.tensor([0, 1] * 5), EpisodeSpec(2, 1, 1), 0, ["ant", "bee", "cat"])

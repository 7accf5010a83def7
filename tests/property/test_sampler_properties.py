"""What holds for every data set, size of episode, seed and number."""

from collections import Counter

import torch
from hypothesis import assume, given
from hypothesis import strategies as st

from episodes import EpisodeSampler, EpisodeSpec

seeds = st.integers(-(2**70), 2**70)
numbers = st.lists(st.integers(0, 2**62), min_size=1, max_size=5)


@st.composite
def problems(draw: st.DrawFn) -> tuple[torch.Tensor, EpisodeSpec]:
    """Labels in any order, classes of any size, and the size of an episode that just about fits."""
    n, k, q = draw(st.integers(2, 5)), draw(st.integers(1, 3)), draw(st.integers(1, 3))
    sizes = draw(st.lists(st.integers(k + q, k + q + 4), min_size=n, max_size=n + 3))
    labels = torch.arange(len(sizes)).repeat_interleave(torch.tensor(sizes))
    order = torch.randperm(len(labels), generator=torch.Generator().manual_seed(draw(st.integers(0, 99))))
    return labels[order], EpisodeSpec(n, k, q)


@given(problems(), seeds, numbers)
def test_an_episode_is_an_episode(problem: tuple[torch.Tensor, EpisodeSpec], seed: int, drawn: list[int]) -> None:
    labels, spec = problem
    for support, support_labels, query, query_labels, classes in zip(
        *EpisodeSampler(labels, spec, seed).draw(drawn), strict=True
    ):
        assert len(set(classes.tolist())) == spec.n_way
        assert len({*support.tolist(), *query.tolist()}) == spec.n_way * spec.images_per_class
        assert Counter(support_labels.tolist()) == dict.fromkeys(range(spec.n_way), spec.k_shot)
        assert Counter(query_labels.tolist()) == dict.fromkeys(range(spec.n_way), spec.n_query)
        assert torch.equal(labels[support], classes[support_labels])
        assert torch.equal(labels[query], classes[query_labels])


@given(problems(), seeds, numbers)
def test_an_episode_is_a_function_of_its_number(
    problem: tuple[torch.Tensor, EpisodeSpec], seed: int, drawn: list[int]
) -> None:
    together = EpisodeSampler(*problem, seed).draw(drawn)
    for place, number in enumerate(drawn):
        alone = EpisodeSampler(*problem, seed)[number]
        assert all(torch.equal(a, b) for a, b in zip(alone, together.part(place, place + 1), strict=True))


@given(problems(), st.integers(0, 2**64 - 1), st.integers(0, 2**64 - 1))
def test_different_seeds_give_different_sequences(
    problem: tuple[torch.Tensor, EpisodeSpec], one: int, other: int
) -> None:
    assume(one != other)
    a, b = (EpisodeSampler(*problem, seed).draw(range(30)) for seed in (one, other))
    assert not torch.equal(a.query, b.query)

"""Episodes without a common image, for every data set, size and seed; their number against a maximum flow."""

from collections import Counter

import numpy as np
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.sparse import csr_matrix
from scipy.sparse.csgraph import maximum_flow

from episodes import DisjointSampler, EpisodeSpec
from episodes.disjoint import most_disjoint

seeds = st.integers(-(2**70), 2**70)


@st.composite
def problems(draw: st.DrawFn) -> tuple[torch.Tensor, EpisodeSpec]:
    """Labels in any order, classes of very different sizes."""
    n, k, q = draw(st.integers(2, 4)), draw(st.integers(1, 2)), draw(st.integers(1, 2))
    sizes = draw(st.lists(st.integers(k + q, 8 * (k + q)), min_size=n, max_size=n + 4))
    labels = torch.arange(len(sizes)).repeat_interleave(torch.tensor(sizes))
    order = torch.randperm(len(labels), generator=torch.Generator().manual_seed(draw(st.integers(0, 99))))
    return labels[order], EpisodeSpec(n, k, q)


@given(problems(), seeds)
def test_no_image_is_in_two_episodes_and_every_episode_is_one(
    problem: tuple[torch.Tensor, EpisodeSpec], seed: int
) -> None:
    labels, spec = problem
    sampler = DisjointSampler(labels, spec, seed)
    drawn = sampler.draw(range(len(sampler)))
    used = torch.cat([drawn.support, drawn.query], dim=1).flatten().tolist()
    assert len(used) == len(set(used)) == len(sampler) * spec.n_way * spec.images_per_class
    for support, support_labels, query, query_labels, classes in zip(*drawn, strict=True):
        assert len(set(classes.tolist())) == spec.n_way
        assert Counter(support_labels.tolist()) == dict.fromkeys(range(spec.n_way), spec.k_shot)
        assert Counter(query_labels.tolist()) == dict.fromkeys(range(spec.n_way), spec.n_query)
        assert torch.equal(labels[support], classes[support_labels])
        assert torch.equal(labels[query], classes[query_labels])


@given(problems(), seeds)
def test_the_episodes_are_a_function_of_labels_spec_and_seed(
    problem: tuple[torch.Tensor, EpisodeSpec], seed: int
) -> None:
    labels, spec = problem
    sampler, again = DisjointSampler(labels, spec, seed), DisjointSampler(labels.clone(), spec, seed)
    every = sampler.draw(range(len(sampler)))
    for number in reversed(range(len(sampler))):
        for whole, field, one in zip(every, again[number], list(sampler)[number], strict=True):
            assert torch.equal(field[0], whole[number])
            assert torch.equal(one[0], whole[number])


def possible(blocks: list[int], n_way: int, episodes: int) -> bool:
    """Whether so many episodes can be filled: a flow from the classes, one unit to an episode, N units out of each."""
    classes, sink = len(blocks), 1 + len(blocks) + episodes
    capacity = np.zeros((sink + 1, sink + 1), np.int32)
    capacity[0, 1 : 1 + classes] = blocks
    capacity[1 : 1 + classes, 1 + classes : sink] = 1
    capacity[1 + classes : sink, sink] = n_way
    return maximum_flow(csr_matrix(capacity), 0, sink).flow_value == n_way * episodes


@given(st.lists(st.integers(0, 6), min_size=1, max_size=7), st.integers(2, 4))
def test_there_are_as_many_episodes_as_there_can_be(blocks: list[int], n_way: int) -> None:
    found = most_disjoint(np.array(blocks), n_way)
    assert possible(blocks, n_way, found)
    assert not possible(blocks, n_way, found + 1)

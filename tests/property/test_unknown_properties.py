"""Unknown queries for every data set, size, seed and number: of classes outside, and the episode stays as it is."""

import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from episodes import DisjointSampler, EpisodeSampler, EpisodeSource, EpisodeSpec, LabelledImages, Normalization
from episodes.unknown import OUTSIDE, UnknownQueries

NO_CHANGE = Normalization(torch.zeros(1), torch.ones(1))


@st.composite
def problems(draw: st.DrawFn) -> tuple[EpisodeSource, UnknownQueries, list[int]]:
    """Classes of any size and images in any order, as many unknown ways as there may be, some episodes."""
    n, u, k, q = (draw(st.integers(low, 3)) for low in (2, 1, 1, 1))
    sizes = draw(st.lists(st.integers(k + q, k + q + 3), min_size=n + u, max_size=n + u + 2))
    labels = torch.arange(len(sizes)).repeat_interleave(torch.tensor(sizes))
    labels = labels[torch.randperm(len(labels), generator=torch.Generator().manual_seed(draw(st.integers(0, 99))))]
    names = tuple(map(str, range(len(sizes))))
    images = LabelledImages(torch.zeros(len(labels), 1, 1, 1, dtype=torch.uint8), labels, names, "blank")
    sampler = draw(st.sampled_from([EpisodeSampler, DisjointSampler]))
    source = EpisodeSource(images, EpisodeSpec(n, k, q), draw(st.integers(-(2**70), 2**70)), NO_CHANGE, sampler=sampler)
    most = len(source.sampler) - 1 if isinstance(source.sampler, DisjointSampler) else 2**62
    return source, UnknownQueries(source, u), draw(st.lists(st.integers(0, most), min_size=1, max_size=4))


@given(problems())
@settings(max_examples=25)
def test_unknown_queries_are_outside_and_leave_the_episode_alone(
    problem: tuple[EpisodeSource, UnknownQueries, list[int]],
) -> None:
    source, unknown, numbers = problem
    episodes, labels = source.sampler.draw(numbers), source.images.labels
    drawn, whole = unknown.draw(numbers, episodes), unknown.added_to(episodes, numbers)
    own, n_query = episodes.query.shape[1], source.sampler.spec.n_query
    for place, (inside, classes, images) in enumerate(zip(episodes.classes, drawn.classes, drawn.images, strict=True)):
        assert len({*inside.tolist(), *classes.tolist()}) == len(inside) + unknown.unknown_ways
        assert len(set(images.tolist())) == unknown.unknown_ways * n_query
        assert torch.equal(labels[images], classes.repeat_interleave(n_query))
        alone = unknown.draw([numbers[place]], source.sampler[numbers[place]])
        assert torch.equal(alone.images[0], images)
    assert torch.equal(whole.query[:, own:], drawn.images)
    assert (whole.query_labels[:, own:] == OUTSIDE).all()
    shortened = whole._replace(query=whole.query[:, :own], query_labels=whole.query_labels[:, :own])
    assert all(torch.equal(a, b) for a, b in zip(shortened, source.sampler.draw(numbers), strict=True))

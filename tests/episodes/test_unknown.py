"""Unknown queries: every class outside equally often, the same for any number of shots, what cannot be drawn."""

import pytest
import torch

from episodes import EpisodeSource, EpisodeSpec, LabelledImages, Normalization, UserError
from episodes.unknown import UnknownQueries


def source(n_way: int = 2, k_shot: int = 1, seed: int = 0, per_class: int = 8) -> EpisodeSource:
    labels = torch.arange(6).repeat(per_class)
    images = LabelledImages(torch.zeros(len(labels), 1, 1, 1, dtype=torch.uint8), labels, tuple("abcdef"), "six/test")
    spec = EpisodeSpec(n_way, k_shot, 2)
    return EpisodeSource(images, spec, seed, Normalization(torch.zeros(1), torch.ones(1)))


def test_every_class_outside_and_every_image_of_it_comes_equally_often() -> None:
    episodes, numbers = source(), range(6000)
    drawn = UnknownQueries(episodes, 2).draw(numbers, episodes.sampler.draw(numbers))
    assert drawn.classes.shape == (6000, 2)
    assert drawn.images.shape == (6000, 4)
    for counts in (drawn.classes.flatten().bincount(), drawn.images.flatten().bincount()):
        expected = counts.sum() / len(counts)
        assert (counts - expected).abs().max() < 5 * expected.sqrt()
    # Given the episode's classes, too: a and b are its own, and each of the other four is as likely as the next.
    with_a_b = (episodes.sampler.draw(numbers).classes.sort(dim=1).values == torch.tensor([0, 1])).all(dim=1)
    counts = drawn.classes[with_a_b].flatten().bincount(minlength=6)
    assert counts[:2].tolist() == [0, 0]
    assert (counts[2:] - counts.sum() / 4).abs().max() < 5 * (counts.sum() / 4).sqrt()


def test_shots_have_the_same_unknown_classes_and_seeds_have_others() -> None:
    numbers = range(50)
    one, five, other = (source(k_shot=k, seed=seed) for k, seed in ((1, 0), (5, 0), (1, 1)))
    found = [UnknownQueries(each, 3).draw(numbers, each.sampler.draw(numbers)) for each in (one, five, other)]
    assert torch.equal(found[0].images, found[1].images)
    assert not torch.equal(found[0].images, found[2].images)


def test_what_cannot_be_drawn_is_said_at_once() -> None:
    with pytest.raises(UserError, match=r"^six/test: 4 ways and 3 unknown ways need 7 classes, there are 6; lower"):
        UnknownQueries(source(n_way=4), 3)
    UnknownQueries(source(n_way=4), 2)
    with pytest.raises(UserError, match="unknown_ways must be at least 1 to draw unknown queries, got 0"):
        UnknownQueries(source(), 0)

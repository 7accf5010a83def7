"""The size of an episode, its content, and the source that fills it."""

import pytest
import torch

from episodes import EpisodeBatch, EpisodeSource, EpisodeSpec, LabelledImages, Normalization, UserError
from episodes.targets import Targets


@pytest.mark.parametrize(
    ("sizes", "message"),
    [
        ((1, 1, 1), "n_way must be at least 2, got 1"),
        ((-5, 1, 1), "n_way must be at least 2, got -5"),
        ((2, 0, 1), "k_shot must be at least 1, got 0"),
        ((2, 1, 0), "n_query must be at least 1, got 0"),
    ],
)
def test_sizes_no_episode_can_have_are_named(sizes: tuple[int, int, int], message: str) -> None:
    with pytest.raises(UserError, match=message):
        EpisodeSpec(*sizes)


def test_the_smallest_episode_is_allowed() -> None:
    assert EpisodeSpec(2, 1, 1).images_per_class == 2


def test_a_spec_reads_like_a_sentence() -> None:
    assert str(EpisodeSpec(5, 1, 15)) == "5-way 1-shot with 15 queries a class"
    assert EpisodeSpec(5, 1, 15).images_per_class == 16


def test_a_batch_moves_as_a_whole() -> None:
    batch = EpisodeBatch(
        torch.zeros(1, 2, 4), torch.tensor([[0, 1]]), torch.zeros(1, 2, 4), Targets(torch.tensor([[1, 0]])), ways=2
    )
    moved = batch.to("meta")
    assert all(tensor.device.type == "meta" for tensor in (*moved[:3], moved.query_labels))
    assert moved.ways == 2


@pytest.fixture
def images() -> LabelledImages:
    """Every image is painted in its own number, so that it can be recognised."""
    numbers = torch.arange(40, dtype=torch.uint8)
    pixels = numbers[:, None, None, None].expand(40, 3, 4, 4).contiguous()
    return LabelledImages(pixels, torch.arange(40) % 5, tuple("abcde"), "numbered")


def test_the_source_gives_the_images_of_the_sampled_indices_normalised(images: LabelledImages) -> None:
    mean, deviation = torch.tensor([0.1, 0.2, 0.3]), torch.tensor([0.5, 1.0, 2.0])
    source = EpisodeSource(images, EpisodeSpec(3, 2, 4), seed=7, normalization=Normalization(mean, deviation))
    batch = source.batch([4, 0, 9])
    indices = source.sampler.draw([4, 0, 9])
    assert batch.ways == 3
    assert torch.equal(batch.support_labels, indices.support_labels)
    assert torch.equal(batch.query_labels, indices.query_labels)
    for items, numbers in ((batch.support, indices.support), (batch.query, indices.query)):
        assert items.shape == (*numbers.shape, 3, 4, 4)
        for channel in range(3):
            expected = (numbers / 255 - mean[channel]) / deviation[channel]
            assert torch.allclose(items[:, :, channel], expected[..., None, None].expand(*numbers.shape, 4, 4))


def test_the_source_gathers_whatever_items_it_is_told_to(images: LabelledImages) -> None:
    source = EpisodeSource(images, EpisodeSpec(2, 1, 3), 0, Normalization(torch.zeros(3), torch.ones(3)))
    indices = source.sampler.draw(range(4))
    gathered = source.gather(indices, lambda numbers: numbers.unsqueeze(-1) * 10)
    assert torch.equal(gathered.support, indices.support[..., None] * 10)
    assert torch.equal(gathered.query, indices.query[..., None] * 10)


def test_the_source_names_the_images_that_cannot_fill_an_episode(images: LabelledImages) -> None:
    with pytest.raises(UserError, match=r"^numbered: 2-way 5-shot .* needs 9 images of every class: a has 8, b has 8"):
        EpisodeSource(images, EpisodeSpec(2, 5, 4), 0, Normalization(torch.zeros(3), torch.ones(3)))

"""Label augmentation against loops written from the paper: for each image, for each transformation, a row."""

import pytest
import torch
from torch import Tensor

from episodes import (
    ColorPermutation,
    Composition,
    EpisodeBatch,
    Identity,
    Normalization,
    Rotation,
    Subset,
    Transformations,
    named_transformations,
)
from episodes.labelling import identity_labelling, joint_labelling, repeated_labelling
from episodes.targets import Targets
from episodes.views import add_views, normalized_views
from tests.integration.plugins import Posterisation

N = 3


def episodes_of(item: tuple[int, ...], t: int = 2, rows: int = 6, queries: int = 9) -> EpisodeBatch:
    generator = torch.Generator().manual_seed(0)

    def draw(n: int) -> Tensor:
        return torch.randn(t, n, *item, generator=generator)

    def labels(n: int) -> Tensor:  # in no order: nothing may rely on one
        return torch.stack([(torch.arange(n) % N)[torch.randperm(n, generator=generator)] for _ in range(t)])

    return EpisodeBatch(draw(rows), labels(rows), draw(queries), Targets(labels(queries)), N)


def assert_same(one: EpisodeBatch, other: EpisodeBatch) -> None:
    assert all(torch.equal(a, b) for a, b in zip(one[:3], other[:3], strict=True))
    assert torch.equal(one.query_labels, other.query_labels)
    assert one.ways == other.ways


def slowly(items: Tensor, labels: Tensor, m: int, joint: bool) -> tuple[list, list]:
    """Rows and labels of each episode: eq. 3 of Lee et al. (joint labels), or eq. 2 (labels that are kept)."""
    all_rows, all_labels = [], []
    for t in range(len(items)):
        rows, row_labels = [], []
        for image, label in zip(items[t], labels[t].tolist(), strict=True):
            for j in range(m):
                rows.append(image[j])
                row_labels.append(label * m + j if joint else label)
        all_rows.append(torch.stack(rows))
        all_labels.append(row_labels)
    return torch.stack(all_rows), all_labels


def test_views_are_made_of_support_and_query() -> None:
    batch = episodes_of((3, 8, 8))
    views = add_views(batch, Rotation())
    assert views.support.shape == (2, 6, 4, 3, 8, 8)
    assert views.query.shape == (2, 9, 4, 3, 8, 8)
    for j in range(4):
        assert torch.equal(views.query[:, :, j], torch.rot90(batch.query, j, (-2, -1)))
        assert torch.equal(views.support[:, :, j], torch.rot90(batch.support, j, (-2, -1)))
    assert torch.equal(views.support_labels, batch.support_labels)
    assert torch.equal(views.query_labels, batch.query_labels)
    assert views.ways == N


@pytest.mark.parametrize("name", ["identity", "rotation2", "rotation4+color6"])
@pytest.mark.parametrize("joint", [True, False])
def test_images_and_their_labels_equal_the_loop(name: str, joint: bool) -> None:
    transformations = named_transformations(name)
    m = transformations.m
    views = add_views(episodes_of((3, 4, 4)), transformations)
    augmented = (joint_labelling if joint else repeated_labelling)(views)
    assert augmented.ways == (N * m if joint else N)
    for side in ("support", "query"):
        items, labels = slowly(getattr(views, side), getattr(views, f"{side}_labels"), m, joint)
        assert torch.equal(getattr(augmented, side), items)
        assert getattr(augmented, f"{side}_labels").tolist() == labels
        assert getattr(augmented, f"{side}_labels").dtype == torch.int64


@pytest.mark.parametrize("joint", [True, False])
def test_features_go_the_same_way_as_images(joint: bool) -> None:
    views = episodes_of((5, 7))  # M = 5 views with 7 features
    augmented = (joint_labelling if joint else repeated_labelling)(views)
    items, labels = slowly(views.query, views.query_labels, 5, joint)
    assert torch.equal(augmented.query, items)
    assert augmented.query_labels.tolist() == labels


def test_the_identity_labelling_is_the_episode_as_it_was() -> None:
    batch = episodes_of((3, 8, 8))
    back = identity_labelling(add_views(batch, Rotation()))
    assert_same(back, batch)


@pytest.mark.parametrize("labelling", [joint_labelling, repeated_labelling, identity_labelling])
def test_one_transformation_changes_nothing(labelling) -> None:
    batch = episodes_of((3, 8, 8))
    back = labelling(add_views(batch, Identity()))
    assert_same(back, batch)


def test_every_class_of_the_joint_problem_has_k_shots() -> None:
    augmented = joint_labelling(add_views(episodes_of((3, 8, 8)), Rotation()))
    for labels in augmented.support_labels:
        assert torch.bincount(labels, minlength=N * 4).tolist() == [2] * (N * 4)  # 6 rows of 3 classes: K = 2


@pytest.mark.parametrize("labelling", [joint_labelling, repeated_labelling])
def test_copies_of_an_image_are_never_split_over_support_and_query(labelling) -> None:
    """Otherwise a query could be recognised by its own copy."""
    numbers = torch.arange(2 * 15.0).reshape(2, 15)  # every image of every episode has its number in all pixels
    painted = numbers[..., None, None, None].expand(2, 15, 1, 4, 4)
    batch = episodes_of((1, 4, 4))._replace(support=painted[:, :6], query=painted[:, 6:])
    augmented = labelling(add_views(batch, Rotation()))
    for t in range(2):
        support, query = (set(items[t].flatten().tolist()) for items in (augmented.support, augmented.query))
        assert support == set(numbers[t, :6].tolist())
        assert query == set(numbers[t, 6:].tolist())


def transformed_bytes(photometric: bool) -> tuple[Tensor, Tensor]:
    """Normalised views of bytes, and the pixels 0..1 that they were made of."""

    class Negative(Transformations):
        names = ("identity", "negative")

        def forward(self, images: Tensor) -> Tensor:
            return torch.stack([images, 1 - images], dim=-4)

    Negative.photometric = photometric
    pixels = torch.randint(0, 256, (5, 2, 4, 3), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    normalization = Normalization(torch.tensor([0.2, 0.6]), torch.tensor([0.5, 0.1]))
    floats = pixels.double() / 255
    views = normalized_views(pixels, Negative(), normalization)
    torch.testing.assert_close(views, normalized_views(floats.float(), Negative(), normalization), rtol=1e-5, atol=1e-5)
    return views, floats


def test_photometric_views_are_made_of_pixels_and_then_normalised() -> None:
    views, pixels = transformed_bytes(photometric=True)
    for channel, (mean, deviation) in enumerate(((0.2, 0.5), (0.6, 0.1))):
        for j, values in enumerate((pixels, 1 - pixels)):
            expected = ((values[:, channel] - mean) / deviation).float()
            torch.testing.assert_close(views[:, j, channel], expected, rtol=1e-5, atol=1e-5)


def test_a_set_that_does_not_say_so_is_given_normalised_images() -> None:
    views, pixels = transformed_bytes(photometric=False)
    expected = 1 - (pixels[:, 0] - 0.2) / 0.5
    torch.testing.assert_close(views[:, 1, 0], expected.float(), rtol=1e-5, atol=1e-5)


def test_what_only_moves_numbers_may_be_normalised_before_or_after() -> None:
    """Bit for bit, if no channel becomes another."""
    pixels = torch.randint(0, 256, (5, 2, 4, 4), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    normalization = Normalization(torch.tensor([0.2, 0.6]), torch.tensor([0.5, 0.1]))
    assert torch.equal(normalized_views(pixels, Rotation(), normalization), normalization(Rotation()(pixels)))


def test_a_set_made_of_a_photometric_one_is_photometric() -> None:
    shades = Posterisation()
    assert not Composition(Rotation(), ColorPermutation()).photometric
    assert Composition(Rotation(), shades).photometric
    assert Composition(shades, Rotation()).photometric
    assert Subset(shades, ["identity", "2 shades"]).photometric
    assert not Subset(Rotation(), ["identity"]).photometric


def test_a_set_of_ones_own_needs_names_and_forward_only() -> None:
    class Brightness(Transformations):
        names = ("identity", "dark", "darker")

        def forward(self, images: Tensor) -> Tensor:
            return torch.stack([images, images / 2, images / 4], dim=-4)

    batch = episodes_of((1, 2, 3))  # neither square nor colour: nobody asked for that
    augmented = joint_labelling(add_views(batch, Brightness()))
    assert augmented.ways == 3 * N
    row = 4
    for j, factor in enumerate((1, 0.5, 0.25)):
        assert torch.equal(augmented.query[1, row * 3 + j], batch.query[1, row] * factor)
        assert augmented.query_labels[1, row * 3 + j] == batch.query_labels[1, row] * 3 + j

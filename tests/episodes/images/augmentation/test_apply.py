"""Where augmentations come in: which images they are given, in batches and in episodes, and what they may give back."""

import pytest
import torch
from torch import Tensor

from episodes import EpisodeSource, EpisodeSpec, LabelledImages, Normalization, Rotation, Targets, UserError
from episodes.batches.source import BatchSource
from episodes.images.augmentation import Augmentation, Compose, CropFlipJitter, ImageAugmentation, Mixup, NoAugmentation

NO_CHANGE = Normalization(torch.zeros(1), torch.ones(1))


def painted() -> LabelledImages:
    """60 images of 6 classes; all pixels of an image are its number."""
    pixels = torch.arange(60, dtype=torch.uint8)[:, None, None, None].expand(60, 1, 4, 4).contiguous()
    return LabelledImages(pixels, torch.arange(60) % 6, tuple("abcdef"), "painted")


def episodes(augmentation: Augmentation | None) -> EpisodeSource:
    return EpisodeSource(painted(), EpisodeSpec(3, 2, 4), 5, NO_CHANGE, augmentation)


class Brighter(ImageAugmentation):
    """Adds a half, and notes how many images it was given at a time."""

    def __init__(self) -> None:
        self.seen: list[int] = []

    def change(self, images: Tensor) -> Tensor:
        assert images.is_floating_point()
        self.seen.append(len(images))
        return images + 0.5


def test_in_episodes_queries_are_mixed_with_queries_of_their_episode_and_the_support_stays_pure() -> None:
    torch.manual_seed(0)
    source, plain = episodes(Mixup(per_image=True)), episodes(None)
    found, expected = source.batch(range(5)), plain.batch(range(5))
    torch.testing.assert_close(found.support, expected.support)
    assert torch.equal(found.support_labels, expected.support_labels)
    assert torch.equal(found.query_labels, expected.query_labels)
    assert found.query_targets.is_mixed
    numbers, shares = expected.query[..., 0, 0, 0], found.query_targets.share
    for t in range(5):
        partners = set()
        for r in range(12):
            # The number painted on a mixture says which image was the partner.
            share = shares[t, r]
            other = (found.query[t, r, 0, 0, 0] - share * numbers[t, r]) / (1 - share)
            partner = int((numbers[t] - other).abs().argmin())
            assert abs(numbers[t, partner] - other) < 1e-2
            assert found.query_targets.others[t, r] == expected.query_labels[t, partner]
            partners.add(partner)
        assert len(partners) == 12


AUGMENTATION = Compose([CropFlipJitter(padding=1), Mixup(per_image=True)])


def test_parts_of_episodes_are_augmented_and_mixed_as_all_of_them_are() -> None:
    whole, parts = episodes(AUGMENTATION), (slice(0, 1), slice(1, 3))
    with torch.random.fork_rng():
        torch.manual_seed(0)
        expected = whole.views(range(4, 7), Rotation())
        found = []
        for part in parts:
            torch.manual_seed(0)  # generators of several processes stand alike
            found.append(whole.of_part(part).views(range(4, 7), Rotation()))
    for one, part in zip(found, parts, strict=True):
        assert torch.equal(one.support, expected.support[part])
        assert torch.equal(one.support_labels, expected.support_labels[part])
        assert torch.equal(one.query, expected.query[part])
        for mine, all_of_them in zip(one.query_targets, expected.query_targets, strict=True):
            assert torch.equal(mine, all_of_them[part])
    assert torch.equal(
        episodes(None).of_part(parts[1]).batch(range(4, 7)).query, episodes(None).batch(range(5, 7)).query
    )


def test_a_part_of_a_batch_is_augmented_and_mixed_as_all_of_it() -> None:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        expected = BatchSource(painted(), 9, 0, AUGMENTATION).batch(2)
        torch.manual_seed(0)
        found = BatchSource(painted(), 9, 0, AUGMENTATION, slice(4, 9)).batch(2)
    assert torch.equal(found.pixels, expected.pixels[4:])
    for mine, all_of_them in zip(found.targets, expected.targets, strict=True):
        assert torch.equal(mine, all_of_them[4:])


def test_what_changes_images_one_by_one_is_given_support_and_query_at_once() -> None:
    brighter = Brighter()
    found, expected = episodes(brighter).batch([3, 1]), episodes(None).batch([3, 1])
    assert brighter.seen == [2 * (3 * 2 + 3 * 4)]
    torch.testing.assert_close(found.support, expected.support + 0.5)
    torch.testing.assert_close(found.query, expected.query + 0.5)
    assert not found.query_targets.is_mixed


def test_composed_ones_come_in_order_each_in_its_own_way() -> None:
    brighter = Brighter()
    torch.manual_seed(0)
    composed = episodes(Compose([NoAugmentation(), Compose([brighter, Mixup()])])).batch([2])
    torch.manual_seed(0)
    mixed, plain = episodes(Mixup()).batch([2]), episodes(None).batch([2])
    assert brighter.seen == [18]
    torch.testing.assert_close(composed.query, mixed.query + 0.5)
    torch.testing.assert_close(composed.support, plain.support + 0.5)
    torch.manual_seed(0)
    images, targets = Compose([brighter, Mixup()])(torch.rand(4, 1, 2, 2), Targets(torch.arange(4)))
    assert images.min() >= 0.5
    assert targets.is_mixed
    with pytest.raises(UserError, match="cannot be mixed again"):
        episodes(Compose([Mixup(), Mixup()])).batch([0])


def test_images_are_mixed_first_and_their_views_made_of_the_mixture() -> None:
    torch.manual_seed(0)
    images = episodes(Mixup()).batch([4, 7])
    torch.manual_seed(0)
    views = episodes(Mixup()).views([4, 7], Rotation())
    assert torch.equal(views.query, Rotation()(images.query))
    assert all(torch.equal(a, b) for a, b in zip(views.query_targets, images.query_targets, strict=True))


def test_in_batches_images_are_mixed_with_images_of_the_batch() -> None:
    torch.manual_seed(0)
    images = painted()
    source = BatchSource(images, 12, 0, Mixup())
    batch, chosen = source.batch(3), source.sampler[3]
    share = float(batch.targets.share[0])
    for b, number in enumerate(chosen.tolist()):
        other = round((float(batch.pixels[b, 0, 0, 0]) * 255 - share * number) / (1 - share))
        assert other in chosen
        assert batch.targets.others[b] == other % 6
    assert not next(source.in_order()).targets.is_mixed


class Smaller(ImageAugmentation):
    def change(self, images: Tensor) -> Tensor:
        return images[..., :2]


class Careless(Augmentation):
    def __init__(self, targets: object) -> None:
        self.targets = targets

    def __call__(self, images: Tensor, targets: Targets) -> tuple[Tensor, Targets]:
        return images, self.targets  # type: ignore[return-value]


@pytest.mark.parametrize(
    ("augmentation", "message"),
    [
        (
            Smaller(),
            r"the augmentation Smaller must give float images \[12, 1, 4, 4\], it gave torch.float32 \[12, 1, ",
        ),
        (Careless(None), "the augmentation Careless must give Targets, not NoneType"),
        (Careless(Targets(torch.zeros(3).long())), r"the augmentation Careless: labels must be int64 \[12\], not"),
    ],
)
def test_augmentations_that_break_their_contract_are_named(augmentation: Augmentation, message: str) -> None:
    with pytest.raises(UserError, match=f"^{message}"):
        BatchSource(painted(), 12, 0, augmentation).batch(0)
    with pytest.raises(UserError, match=message.replace("12", r"(12|18)")):
        episodes(augmentation).batch([0])

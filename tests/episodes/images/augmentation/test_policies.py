"""RandAugment and TrivialAugment against torchvision's, image by image with the same draws; what all policies share."""

import pytest
import torch
from torchvision.transforms import v2 as transforms

from episodes.errors import UserError
from episodes.images.augmentation import (
    AutoAugment,
    Compose,
    CropFlipJitter,
    FastAutoAugment,
    Policy,
    RandAugment,
    TrivialAugment,
)
from episodes.images.augmentation import randaugment as rand
from episodes.images.augmentation import trivialaugment as trivial
from episodes.images.augmentation.operations import operate
from episodes.images.augmentation.ranges import CHOICES
from episodes.targets import Targets
from tests.episodes.images.augmentation.policies import SIGNED, photographs, with_draws

POLICIES = [AutoAugment(), FastAutoAugment(), RandAugment(), TrivialAugment()]


def test_the_choices_are_torchvisions_in_its_order() -> None:
    for theirs in (transforms.RandAugment, transforms.TrivialAugmentWide):
        assert tuple(theirs._AUGMENTATION_SPACE) == CHOICES
        assert {name for name, (_, signed) in theirs._AUGMENTATION_SPACE.items() if signed} == SIGNED


@pytest.mark.parametrize(("magnitude", "levels", "size"), [(9, 31, (12, 16)), (30, 31, (28, 28)), (4, 10, (33, 17))])
def test_randaugment_is_torchvisions_of_each_image(
    magnitude: int, levels: int, size: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every operation as the first and as the second of two, with both signs, all in one batch."""
    which = torch.arange(56).remainder(14)[:, None] + torch.tensor([0, 5])
    which = which.remainder(14)
    negative = torch.arange(56).ge(28)[:, None] ^ torch.tensor([True, False])
    images = photographs(56, 3, *size)
    found = images
    for steps in rand.chosen(which, negative, magnitude, levels, *size):
        found = operate(found, steps)
    theirs = transforms.RandAugment(2, magnitude, levels)
    for b in range(56):
        numbers: list[float] = []
        for number, turned in zip(which[b].tolist(), negative[b].tolist(), strict=True):
            numbers += [number] + ([0.0 if turned else 1.0] if CHOICES[number] in SIGNED else [])
        assert torch.equal(found[b], with_draws(theirs, images[b], numbers, monkeypatch)), which[b]


@pytest.mark.parametrize(("channels", "size"), [(3, (12, 16)), (3, (32, 32)), (1, (28, 28)), (3, (2, 2))])
def test_trivialaugment_is_torchvisions_of_each_image(
    channels: int, size: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every operation at every second level, with alternating signs, all in one batch: each image has its magnitude."""
    levels = range(0, 31, 2)
    which = torch.arange(14).repeat_interleave(len(levels))
    level = torch.tensor(levels).repeat(14)
    negative = torch.arange(len(which)).remainder(3).eq(0)
    images = photographs(len(which), channels, *size)
    (steps,) = trivial.chosen(which, level, negative, 31, *size)
    found = operate(images, steps)
    theirs = transforms.TrivialAugmentWide()
    for b, (number, own, turned) in enumerate(zip(which.tolist(), level.tolist(), negative.tolist(), strict=True)):
        has_level = theirs._AUGMENTATION_SPACE[CHOICES[number]][0](31, *size) is not None
        numbers = [number, *([own] if has_level else []), *([1.0 - turned] if CHOICES[number] in SIGNED else [])]
        assert torch.equal(found[b], with_draws(theirs, images[b], numbers, monkeypatch)), (CHOICES[number], own)


@pytest.mark.parametrize("policy", POLICIES, ids=lambda policy: type(policy).__name__)
def test_the_generator_decides_and_images_of_a_batch_go_their_own_ways(policy: Policy) -> None:
    images = photographs(1).expand(120, -1, -1, -1) / 255
    results = []
    for seed in (0, 0, 1):
        torch.manual_seed(seed)
        results.append(policy.change(images))
    assert torch.equal(results[0], results[1])
    assert not torch.equal(results[0], results[2])
    assert len({tuple(image.flatten().tolist()) for image in results[0]}) > 30
    assert results[0].min() >= 0
    assert results[0].max() <= 1
    torch.manual_seed(0)
    others = torch.cat([images[:60], photographs(60).flip(0) / 255])
    assert torch.equal(policy.change(others)[:60], results[0][:60])  # what is drawn is so whatever the others are


@pytest.mark.parametrize("policy", POLICIES, ids=lambda policy: type(policy).__name__)
def test_grey_images_are_changed_and_images_of_two_channels_refused(policy: Policy) -> None:
    torch.manual_seed(0)
    grey = photographs(30, 1) / 255
    assert policy.change(grey).shape == grey.shape
    assert not torch.equal(policy.change(grey), grey)
    assert policy.change(grey[:0]).shape == (0, 1, 12, 16)
    with pytest.raises(UserError, match=f"^{type(policy).__name__} is for images with 1 or 3 channels, these have 2$"):
        policy.change(torch.zeros(2, 2, 8, 8))


@pytest.mark.cuda
@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no CUDA device")
@pytest.mark.parametrize("policy", POLICIES, ids=lambda policy: type(policy).__name__)
def test_images_on_a_gpu_go_the_ways_of_those_on_the_cpu(policy: Policy) -> None:
    """But for pixels half way between two others, and colours half way between two bytes."""
    images = photographs(200) / 255
    torch.manual_seed(0)
    expected = policy.change(images)
    torch.manual_seed(0)
    off = (policy.change(images.cuda()).cpu() - expected).abs()
    assert (off > 1.5 / 255).float().mean() < 0.02


def test_they_compose_with_crops_and_flips() -> None:
    images = photographs(30) / 255
    torch.manual_seed(0)
    found, targets = Compose([AutoAugment(), CropFlipJitter(jitter=0)])(images, Targets(torch.arange(30)))
    torch.manual_seed(0)
    assert torch.equal(found, CropFlipJitter(jitter=0).change(AutoAugment().change(images)))
    assert targets.labels.tolist() == list(range(30))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: RandAugment(0), "operations must be at least 1, got 0"),
        (lambda: RandAugment(2, 31), "magnitude must be a level, 0 to levels - 1, got 31 with 31 levels"),
        (lambda: RandAugment(2, -1), "magnitude must be a level"),
        (lambda: TrivialAugment(1), "levels must be at least 2, got 1"),
    ],
)
def test_numbers_out_of_range_are_refused(make, message: str) -> None:
    with pytest.raises(UserError, match=message):
        make()

"""AutoAugment against torchvision's, image by image with the same draws, and against the policy as it was published."""

import re

import pytest
import torch
from torchvision.transforms import v2 as transforms

from episodes.errors import UserError
from episodes.images.augmentation import AutoAugment, Compose, CropFlipJitter
from episodes.images.augmentation.autoaugment import CIFAR10, augmented
from episodes.images.augmentation.operations import OPERATIONS
from episodes.targets import Targets

# Cubuk et al., CVPR 2019, table 7, as it is printed: operation, probability, magnitude; where an operation has no
# magnitude, the table has a number all the same, which stands for nothing.
PUBLISHED = """
(Invert,0.1,7) (Contrast,0.2,6)          (Rotate,0.7,2) (TranslateX,0.3,9)        (Sharpness,0.8,1) (Sharpness,0.9,3)
(ShearY,0.5,8) (TranslateY,0.7,9)        (AutoContrast,0.5,8) (Equalize,0.9,2)    (ShearY,0.2,7) (Posterize,0.3,7)
(Color,0.4,3) (Brightness,0.6,7)         (Sharpness,0.3,9) (Brightness,0.7,9)     (Equalize,0.6,5) (Equalize,0.5,1)
(Contrast,0.6,7) (Sharpness,0.6,5)       (Color,0.7,7) (TranslateX,0.5,8)         (Equalize,0.3,7) (AutoContrast,0.4,8)
(TranslateY,0.4,3) (Sharpness,0.2,6)     (Brightness,0.9,6) (Color,0.2,8)         (Solarize,0.5,2) (Invert,0.0,3)
(Equalize,0.2,0) (AutoContrast,0.6,0)    (Equalize,0.2,8) (Equalize,0.6,4)        (Color,0.9,9) (Equalize,0.6,6)
(AutoContrast,0.8,4) (Solarize,0.2,8)    (Brightness,0.1,3) (Color,0.7,0)         (Solarize,0.4,5) (AutoContrast,0.9,3)
(TranslateY,0.9,9) (TranslateY,0.7,9)    (AutoContrast,0.9,2) (Solarize,0.8,3)    (Equalize,0.8,8) (Invert,0.1,3)
(TranslateY,0.7,9) (AutoContrast,0.9,1)
"""


def photographs(count: int, channels: int = 3, height: int = 12, width: int = 16) -> torch.Tensor:
    """Smooth colours with noise, bytes."""
    generator = torch.Generator().manual_seed(4)
    coarse = torch.rand(count, channels, 3, 4, generator=generator)
    smooth = torch.nn.functional.interpolate(coarse, (height, width), mode="bilinear")
    noisy = smooth + 0.05 * torch.randn(smooth.shape, generator=generator)
    return noisy.mul(255).clamp(0, 255).to(torch.uint8)


def test_the_policy_is_the_published_one() -> None:
    read = [(name, float(p), int(level)) for name, p, level in re.findall(r"\((\w+),([\d.]+),(\d)\)", PUBLISHED)]
    own = [step for pair in CIFAR10 for step in pair]
    assert len(read) == len(own) == 50
    for (name, p, level), (own_name, own_p, own_level) in zip(read, own, strict=True):
        assert (own_name, own_p) == (name, p)
        assert own_level == (None if OPERATIONS[name].most is None else level)


def torchvisions(
    image: torch.Tensor, number: int, chance: list[float], negative: list[bool], monkeypatch: pytest.MonkeyPatch
) -> torch.Tensor:
    """One image through torchvision's class, which is given the numbers that it would draw."""
    theirs = transforms.AutoAugment(transforms.AutoAugmentPolicy.CIFAR10)
    signed = {"ShearX", "ShearY", "TranslateX", "TranslateY", "Rotate", "Brightness", "Color", "Contrast", "Sharpness"}
    numbers = []
    for (name, p, _), below, turned in zip(CIFAR10[number], chance, negative, strict=True):
        # Theirs applies what is drawn at or below a probability, ours below it: 0 is no chance.
        numbers += [below + 1e-6]
        if below + 1e-6 <= p and name in signed:
            numbers += [0.0 if turned else 1.0]
    with monkeypatch.context() as patch:
        patch.setattr(torch, "randint", lambda *_: torch.tensor(number))
        patch.setattr(torch, "rand", lambda *_: torch.tensor(numbers.pop(0)))
        changed = theirs(image)
    assert not numbers
    return changed


@pytest.mark.parametrize("channels", [3, 1])
def test_every_image_goes_through_what_torchvision_makes_of_it_alone(
    channels: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All 25 pairs, both applied, with both signs; and pairs of which one or none is applied."""
    policy = torch.arange(25).repeat(4)
    chance = torch.tensor([[0.0, 0.0]] * 50 + [[0.0, 1.0]] * 25 + [[1.0, 0.05]] * 25)
    negative = torch.arange(100).remainder(3).eq(0)[:, None] ^ torch.tensor([True, False])
    images = photographs(100, channels)
    found = augmented(images, policy, chance, negative)
    assert found.dtype == torch.uint8
    changed = 0
    for b in range(100):
        expected = torchvisions(images[b], int(policy[b]), chance[b].tolist(), negative[b].tolist(), monkeypatch)
        assert torch.equal(found[b], expected), CIFAR10[int(policy[b])]
        changed += not torch.equal(expected, images[b])
    assert changed > 60


def test_the_generator_decides_and_images_of_a_batch_go_their_own_ways() -> None:
    images = photographs(1).expand(200, -1, -1, -1) / 255
    results = []
    for seed in (0, 0, 1):
        torch.manual_seed(seed)
        results.append(AutoAugment().change(images))
    assert torch.equal(results[0], results[1])
    assert not torch.equal(results[0], results[2])
    assert len({tuple(image.flatten().tolist()) for image in results[0]}) > 40
    assert results[0].min() >= 0
    assert results[0].max() <= 1
    unchanged = (results[0] == images).flatten(1).all(dim=1)
    assert 0 < unchanged.float().mean() < 0.5  # by some pairs nothing is applied now and then


def test_what_is_drawn_does_not_depend_on_the_other_images() -> None:
    images = photographs(40) / 255
    torch.manual_seed(3)
    whole = AutoAugment().change(images)
    torch.manual_seed(3)
    other = AutoAugment().change(torch.cat([images[:20], photographs(20).flip(0) / 255]))
    assert torch.equal(whole[:20], other[:20])


def test_images_without_a_change_are_the_same_bytes() -> None:
    images = photographs(3)
    none = torch.ones(3, 2)
    assert torch.equal(augmented(images, torch.tensor([0, 7, 24]), none, none > 2), images)


def test_it_composes_with_crops_and_flips() -> None:
    images = photographs(30) / 255
    torch.manual_seed(0)
    found, targets = Compose([AutoAugment(), CropFlipJitter(jitter=0)])(images, Targets(torch.arange(30)))
    torch.manual_seed(0)
    assert torch.equal(found, CropFlipJitter(jitter=0).change(AutoAugment().change(images)))
    assert targets.labels.tolist() == list(range(30))
    assert AutoAugment().change(images[:0]).shape == (0, 3, 12, 16)


def test_images_of_two_channels_are_refused() -> None:
    with pytest.raises(UserError, match="1 or 3 channels, these have 2"):
        AutoAugment().change(torch.zeros(2, 2, 8, 8))

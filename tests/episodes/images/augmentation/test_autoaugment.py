"""AutoAugment against torchvision's, image by image with the same draws, and against the policy as it was published."""

import re

import pytest
import torch
from torchvision.transforms import v2 as transforms

from episodes.images.augmentation.autoaugment import CIFAR10, chosen
from episodes.images.augmentation.operations import operate
from episodes.images.augmentation.ranges import STANDARD
from tests.episodes.images.augmentation.policies import SIGNED, photographs, with_draws

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


def test_the_policy_is_the_published_one() -> None:
    read = [(name, float(p), int(level)) for name, p, level in re.findall(r"\((\w+),([\d.]+),(\d)\)", PUBLISHED)]
    own = [step for pair in CIFAR10 for step in pair]
    assert len(read) == len(own) == 50
    for (name, p, level), (own_name, own_p, own_level) in zip(read, own, strict=True):
        assert (own_name, own_p) == (name, p)
        assert own_level == (None if STANDARD[name] is None else level)


@pytest.mark.parametrize("channels", [3, 1])
def test_every_image_goes_through_what_torchvision_makes_of_it_alone(
    channels: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All 25 pairs, both applied, with both signs; and pairs of which one or none is applied."""
    theirs = transforms.AutoAugment(transforms.AutoAugmentPolicy.CIFAR10)
    policy = torch.arange(25).repeat(4)
    chance = torch.tensor([[0.0, 0.0]] * 50 + [[0.0, 1.0]] * 25 + [[1.0, 0.05]] * 25)
    negative = torch.arange(100).remainder(3).eq(0)[:, None] ^ torch.tensor([True, False])
    images = photographs(100, channels)
    found, rounds = images, chosen(policy, chance, negative, 12, 16)
    for steps in rounds:
        found = operate(found, steps)
    assert found.dtype == torch.uint8
    changed = 0
    for b, number in enumerate(policy.tolist()):
        numbers = [number]
        for (name, p, _), below, turned in zip(CIFAR10[number], chance[b].tolist(), negative[b].tolist(), strict=True):
            # Theirs applies what is drawn at or below a probability, ours below it: 0 is no chance.
            numbers += [below + 1e-6]
            if below + 1e-6 <= p and name in SIGNED:
                numbers += [0.0 if turned else 1.0]
        expected = with_draws(theirs, images[b], numbers, monkeypatch)
        assert torch.equal(found[b], expected), CIFAR10[number]
        changed += not torch.equal(expected, images[b])
    assert changed > 60


def test_an_image_to_which_nothing_is_applied_is_the_same_bytes() -> None:
    none = torch.ones(3, 2)
    assert chosen(torch.tensor([0, 7, 24]), none, none > 2, 8, 8) == [[None] * 3] * 2
    assert operate(photographs(3), [None] * 3).equal(photographs(3))

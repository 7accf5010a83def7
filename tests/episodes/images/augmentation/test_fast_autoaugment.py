"""Fast AutoAugment: the published list, and its operations against Pillow's, which the authors' program uses."""

from collections import Counter

import numpy as np
import pytest
import torch
from PIL import Image, ImageDraw, ImageEnhance, ImageOps

from episodes.images.augmentation.fast_autoaugment import RANGES, chosen, cifar10_policies
from episodes.images.augmentation.operations import OPERATIONS, operate
from episodes.images.augmentation.steps import Step
from tests.episodes.images.augmentation.policies import photographs

POLICIES = cifar10_policies()


def test_the_list_is_the_published_one() -> None:
    """First, some and last, as they are printed, and how often each operation occurs."""
    assert len(POLICIES) == 493
    assert {len(pair) for pair in POLICIES} == {2}
    assert POLICIES[0] == (
        ("Contrast", 0.8320659688593578, 0.49884310562180767),
        ("TranslateX", 0.41849883971249136, 0.394023086494538),
    )
    assert POLICIES[100] == (
        ("ShearX", 0.635453761342424, 0.6063917273421382),
        ("Posterize", 0.8738297843709666, 0.4893042590265556),
    )
    assert POLICIES[492] == (
        ("Cutout", 0.7550520024859294, 0.08982367300605598),
        ("ShearX", 0.5844942417320858, 0.36051195083380105),
    )
    often = Counter(name for pair in POLICIES for name, _, _ in pair)
    assert (often["Cutout"], often["Invert"], often["Solarize"], sum(often.values())) == (79, 75, 48, 986)
    assert set(often) == set(RANGES) == set(OPERATIONS)
    assert all(0 < number < 1 for pair in POLICIES for _, *numbers in pair for number in numbers)


def pillows(image: Image.Image, name: str, v: float, place: tuple[float, float]) -> Image.Image:
    """The operations of the authors' program, with the magnitude as it comes out of their ranges."""
    width, height = image.size
    affine = {
        "ShearX": (1, v, 0, 0, 1, 0),
        "ShearY": (1, 0, 0, v, 1, 0),
        "TranslateX": (1, 0, v * width, 0, 1, 0),
        "TranslateY": (1, 0, 0, 0, 1, v * height),
    }
    if name in affine:
        return image.transform(image.size, Image.Transform.AFFINE, affine[name])
    if name == "Cutout":
        side = v * width
        top, left = (int(max(0, share * n - side / 2)) for share, n in zip(place, (height, width), strict=True))
        ImageDraw.Draw(image).rectangle((left, top, min(width, left + side), min(height, top + side)), (125, 123, 114))
        return image
    others = {
        "Rotate": lambda: image.rotate(v),
        "AutoContrast": lambda: ImageOps.autocontrast(image),
        "Invert": lambda: ImageOps.invert(image),
        "Equalize": lambda: ImageOps.equalize(image),
        "Solarize": lambda: ImageOps.solarize(image, v),
        "Posterize": lambda: ImageOps.posterize(image, int(v)),
        "Contrast": lambda: ImageEnhance.Contrast(image).enhance(v),
        "Color": lambda: ImageEnhance.Color(image).enhance(v),
        "Brightness": lambda: ImageEnhance.Brightness(image).enhance(v),
        "Sharpness": lambda: ImageEnhance.Sharpness(image).enhance(v),
    }
    return others[name]()


PUBLISHED_RANGES = {
    **dict.fromkeys(("ShearX", "ShearY"), (-0.3, 0.3)),
    **dict.fromkeys(("TranslateX", "TranslateY"), (-0.45, 0.45)),
    **dict.fromkeys(("Contrast", "Color", "Brightness", "Sharpness"), (0.1, 1.9)),
    **dict.fromkeys(("AutoContrast", "Invert", "Equalize"), (0, 1)),
    "Rotate": (-30, 30),
    "Solarize": (0, 256),
    "Posterize": (4, 8),
    "Cutout": (0, 0.2),
}
MOVED = {"ShearX", "ShearY", "TranslateX", "TranslateY", "Rotate"}


@pytest.mark.parametrize("name", PUBLISHED_RANGES)
def test_an_operation_is_pillows_of_the_same_share(name: str) -> None:
    """Both signs where there are two; shares on both sides of the middle, and both ends."""
    height, width = 20, 24
    limits, (low, high) = RANGES[name], PUBLISHED_RANGES[name]
    images = photographs(14, 3, height, width)
    shares = [0.0, 0.13, 0.31, 0.5, 0.68, 0.87, 1.0] * 2
    places = [(0.07 * k, 0.93 - 0.05 * k) for k in range(14)]
    turned = [k >= 7 for k in range(14)]
    steps = [
        Step(name, limits.at_share(share, height, width, sign) if limits else 0.0, place)
        for share, place, sign in zip(shares, places, turned, strict=True)
    ]
    found = operate(images, steps)
    for k in range(14):
        v = low + shares[k] * (high - low)
        if turned[k] and name in MOVED:
            v = -v
        if name.startswith("Translate"):
            v = -v  # theirs says where pixels come from, ours where they go: the sign is a coin's anyway
        image = Image.fromarray(images[k].permute(1, 2, 0).numpy())
        # Theirs leaves the image alone at side 0, before anything is drawn.
        expected = image if name == "Cutout" and v == 0 else pillows(image, name, v, places[k])
        off = np.abs(np.asarray(expected).astype(int) - found[k].permute(1, 2, 0).numpy().astype(int))
        if name in MOVED:  # a pixel half way between two others may come from either
            assert (off > 0).mean() < 0.03
        else:
            assert off.max() <= 1


def test_what_is_drawn_becomes_these_steps() -> None:
    policy, place = torch.tensor([0, 100, 492]), torch.rand(3, 2, 2)
    chance = torch.tensor([[0.83, 0.42], [0.0, 0.0], [0.7, 0.6]])
    negative = torch.tensor([[True, True], [True, True], [False, True]])
    first, second = chosen(policy, chance, negative, place, 32, 32)
    assert first[0] == Step("Contrast", pytest.approx(0.1 + 1.8 * 0.49884310562180767 - 1), pytest.approx(place[0, 0]))
    assert second[0] is None
    assert first[1] == Step("ShearX", pytest.approx(-(0.6 * 0.6063917273421382 - 0.3)), pytest.approx(place[1, 0]))
    assert second[1] == Step("Posterize", 8 - int(4 + 4 * 0.4893042590265556), pytest.approx(place[1, 1]))
    assert first[2] == Step("Cutout", pytest.approx(0.2 * 32 * 0.08982367300605598), pytest.approx(place[2, 0]))
    assert second[2] is None

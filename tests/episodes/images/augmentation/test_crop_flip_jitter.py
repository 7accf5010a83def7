import colorsys

import pytest
import torch

from episodes.errors import UserError
from episodes.images.augmentation import CropFlipJitter, NoAugmentation


def images(count: int = 64, channels: int = 3, size: int = 12) -> torch.Tensor:
    return torch.rand(count, channels, size, size, generator=torch.Generator().manual_seed(0)) * 0.8 + 0.1


def test_none_is_none() -> None:
    batch = images()
    assert NoAugmentation().change(batch) is batch


def test_flip_is_exact_and_image_by_image() -> None:
    batch = images(400)
    torch.manual_seed(0)
    flipped = CropFlipJitter(padding=0, flip=0.5, jitter=0).change(batch)
    same = (flipped == batch).flatten(1).all(dim=1)
    mirrored = (flipped == batch.flip(-1)).flatten(1).all(dim=1)
    assert (same ^ mirrored).all()
    assert 0.4 < same.float().mean() < 0.6


def test_crop_moves_pixels_and_pads_with_black() -> None:
    batch = images(200)
    torch.manual_seed(0)
    cropped = CropFlipJitter(padding=3, flip=0, jitter=0).change(batch)
    padded = torch.nn.functional.pad(batch, (3, 3, 3, 3))
    shifts = set()
    for image, frame in zip(cropped, padded, strict=True):  # the slow way: try all 49 places
        places = [
            (top, left)
            for top in range(7)
            for left in range(7)
            if torch.equal(image, frame[:, top : top + 12, left : left + 12])
        ]
        assert len(places) == 1
        shifts.update(places)
    assert len(shifts) > 40  # 200 draws of 49 places


def test_jitter_stays_in_range_and_differs_from_image_to_image() -> None:
    one = images(1).expand(32, -1, -1, -1)
    torch.manual_seed(0)
    jittered = CropFlipJitter(padding=0, flip=0, jitter=0.4).change(one)
    assert jittered.min() >= 0
    assert jittered.max() <= 1
    assert len({tuple(image.flatten().tolist()) for image in jittered}) == 32


def test_hue_turns_colours_by_up_to_its_share_and_nothing_else() -> None:
    batch = images(60, size=4)
    torch.manual_seed(0)
    turned = CropFlipJitter(padding=0, flip=0, jitter=0, hue=0.25).change(batch)
    turns = []
    for before, after in zip(batch, turned, strict=True):
        pairs = zip(before.flatten(1).T.tolist(), after.flatten(1).T.tolist(), strict=True)
        ways = []
        for old, new in pairs:
            (h, s, v), (own_h, own_s, own_v) = colorsys.rgb_to_hsv(*old), colorsys.rgb_to_hsv(*new)
            assert (own_s, own_v) == pytest.approx((s, v), abs=1e-4)
            ways.append((own_h - h + 0.5) % 1 - 0.5)
        assert max(ways) - min(ways) < 0.01  # one turn an image
        turns.append(ways[0])
    assert -0.25 <= min(turns) < -0.2
    assert 0.2 < max(turns) <= 0.25


def test_grey_images_are_jittered_too() -> None:
    batch = images(8, channels=1)
    torch.manual_seed(0)
    jittered = CropFlipJitter(hue=0.25).change(batch)
    assert jittered.shape == batch.shape
    assert not torch.equal(jittered, batch)


def test_the_generator_decides() -> None:
    batch, augment = images(), CropFlipJitter()
    results = []
    for seed in (0, 0, 1):
        torch.manual_seed(seed)
        results.append(augment.change(batch))
    assert torch.equal(results[0], results[1])
    assert not torch.equal(results[0], results[2])


def test_an_empty_batch_is_fine() -> None:
    assert CropFlipJitter().change(images(0)).shape == (0, 3, 12, 12)


@pytest.mark.parametrize("arguments", [{"padding": -1}, {"flip": 1.5}, {"jitter": -0.1}])
def test_strengths_out_of_range_are_refused(arguments: dict) -> None:
    with pytest.raises(UserError, match="padding must be at least 0, flip and jitter 0 to 1"):
        CropFlipJitter(**arguments)


@pytest.mark.parametrize("hue", [-0.1, 0.6])
def test_a_hue_beyond_half_a_turn_is_refused(hue: float) -> None:
    with pytest.raises(UserError, match=f"^hue must be 0 to 0.5, half of a full turn, got {hue}$"):
        CropFlipJitter(hue=hue)

"""Random parts of an image, against torchvision given the same random numbers."""

import math
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torchvision.transforms import v2
from torchvision.transforms.v2 import _geometry

from episodes.images.random_crops import TRIES, UNITS, random_crop


class TorchWithKnownNumbers(SimpleNamespace):
    """What torchvision calls of torch to draw a crop, with the random numbers given."""

    def __init__(self, units: np.ndarray) -> None:
        super().__init__(exp=torch.exp)
        self.continuous = iter(units[: 2 * TRIES])
        self.places = iter(units[2 * TRIES :])

    def empty(self, size: int) -> SimpleNamespace:
        unit = float(next(self.continuous))
        return SimpleNamespace(uniform_=lambda low, high: torch.tensor(float(low) + (float(high) - float(low)) * unit))

    def randint(self, low: int, high: int, size: tuple[int, ...]) -> torch.Tensor:
        return torch.tensor(low + int(next(self.places) * (high - low)))


@pytest.mark.parametrize("smallest", [0.08, 0.3, 1.0])
@pytest.mark.parametrize(
    ("height", "width"), [(375, 500), (500, 333), (224, 224), (30, 400), (400, 30), (60, 80), (81, 60), (3, 2), (1, 1)]
)
def test_equals_torchvision(height: int, width: int, smallest: float, monkeypatch: pytest.MonkeyPatch) -> None:
    transform = v2.RandomResizedCrop(16, scale=(smallest, 1.0))
    for units in np.random.default_rng(height * width).random((200, UNITS)):
        monkeypatch.setattr(_geometry, "torch", TorchWithKnownNumbers(units))
        expected = transform.make_params([torch.empty(3, height, width)])
        crop = random_crop(units, height, width, smallest)
        assert crop[:4] == (expected["top"], expected["left"], expected["height"], expected["width"])


def test_the_last_resort_is_a_part_of_the_middle() -> None:
    units = np.full(UNITS, 1 - 1e-9)  # always the whole area, at aspect 4 : 3
    assert random_crop(units, 10, 1000)[:4] == (0, 493, 10, 13)
    assert random_crop(units, 1000, 10)[:4] == (493, 0, 13, 10)


def test_parts_lie_in_the_image_and_have_the_area_and_aspect_that_is_said() -> None:
    crops = [random_crop(units, 300, 400, 0.25) for units in np.random.default_rng(0).random((2000, UNITS))]
    for crop in crops:
        assert 0 <= crop.top <= 300 - crop.height
        assert 0 <= crop.left <= 400 - crop.width
        assert 0.24 < crop.height * crop.width / 120_000 <= 1.0
        assert 0.74 < crop.width / crop.height < 1.35
    assert len({crop[:2] for crop in crops}) > 1500


@pytest.mark.parametrize("flip", [0.0, 0.25, 1.0])
def test_so_many_are_mirrored(flip: float) -> None:
    units = np.random.default_rng(0).random((2000, UNITS))
    share = np.mean([random_crop(row, 30, 40, flip=flip).mirrored for row in units])
    assert abs(share - flip) <= 4 * math.sqrt(flip * (1 - flip) / 2000)

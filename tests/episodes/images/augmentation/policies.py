"""Images for tests of policies, and torchvision's classes with the numbers that they would draw."""

from collections.abc import Callable, Sequence

import pytest
import torch
from torch import Tensor

SIGNED = {"ShearX", "ShearY", "TranslateX", "TranslateY", "Rotate", "Brightness", "Color", "Contrast", "Sharpness"}


def photographs(count: int, channels: int = 3, height: int = 12, width: int = 16) -> Tensor:
    """Smooth colours with noise, bytes."""
    generator = torch.Generator().manual_seed(4)
    coarse = torch.rand(count, channels, 3, 4, generator=generator)
    smooth = torch.nn.functional.interpolate(coarse, (height, width), mode="bilinear")
    noisy = smooth + 0.05 * torch.randn(smooth.shape, generator=generator)
    return noisy.mul(255).clamp(0, 255).to(torch.uint8)


def with_draws(
    theirs: Callable[[Tensor], Tensor], image: Tensor, numbers: Sequence[float], monkeypatch: pytest.MonkeyPatch
) -> Tensor:
    """One image through a class of torchvision that is given these random numbers, in this order."""
    left = list(numbers)
    with monkeypatch.context() as patch:
        for name in ("randint", "rand"):
            patch.setattr(torch, name, lambda *_: torch.tensor(left.pop(0)))
        changed = theirs(image)
    assert not left
    return changed

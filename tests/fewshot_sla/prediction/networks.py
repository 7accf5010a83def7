"""Networks as strangers might write them, given by class path in these tests."""

import torch
from torch import Tensor, nn


class Pixels(nn.Module):
    """The pixels themselves; knows nothing of this project."""

    def forward(self, images: Tensor) -> Tensor:
        return images.flatten(1)


class TimmLike(nn.Module):
    """Feature maps, pooled, then a classifier called head, as timm's networks have it."""

    def __init__(self, in_chans: int = 3, num_classes: int = 10, width: int = 6) -> None:
        super().__init__()
        self.stem = nn.Conv2d(in_chans, width, 3, stride=2)
        self.norm = nn.BatchNorm2d(width)
        self.head = nn.Linear(width, num_classes)

    def forward(self, images: Tensor) -> Tensor:
        return self.head(torch.relu(self.norm(self.stem(images))).mean(dim=(-2, -1)))


class Maps(nn.Module):
    """Gives feature maps and pools nothing."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Conv2d(1, 4, 3)

    def forward(self, images: Tensor) -> Tensor:
        return self.layer(images)


class Pair(nn.Module):
    """Gives two things."""

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        return images, images


class Fussy(nn.Module):
    """Cannot be made without an argument."""

    def __init__(self, needed: int) -> None:
        super().__init__()


class NotFinite(nn.Module):
    """Divides by zero."""

    def forward(self, images: Tensor) -> Tensor:
        return images.flatten(1) / 0


class ForgetfulHead(nn.Module):
    """Not a head at all."""


def timm_like(width: int = 6) -> nn.Module:
    """Annotated, so it is called."""
    return TimmLike(width=width)


def like_timms_functions(pretrained: bool = False, **kwargs) -> nn.Module:
    """Hands its arguments on where no parser can follow."""
    return {"made": TimmLike}["made"](**dict({"num_classes": 3}, **kwargs))


def unannotated():
    """Not annotated, so it is not."""
    return TimmLike()


def returns_text() -> str:
    """Annotated to return something else."""
    raise AssertionError("must not be called")

"""Several augmentations told of the training images: each stays what it is."""

import torch

from episodes.images.augmentation import Compose, Cutout
from episodes.images.normalization import Normalization


class Soft(Cutout):
    """One of somebody's own."""


class Chain(Compose):
    """Likewise."""


def test_what_derives_from_an_augmentation_stays_what_it_is_when_adapted() -> None:
    soft = Soft(size=4)
    chain = Chain([soft]).adapted(Normalization(torch.tensor([0.25]), torch.tensor([1.0])))
    (inner,) = chain.steps()
    assert (type(chain), type(inner)) == (Chain, Soft)
    assert isinstance(inner, Cutout)
    assert inner.fill == [0.25]
    assert soft.fill is None

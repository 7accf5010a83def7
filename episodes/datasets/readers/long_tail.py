"""Long-tailed training sets: the imbalanced CIFAR of Cao et al., made of any balanced data set."""

from collections.abc import Sequence
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from episodes.datasets.base import DataSource
from episodes.datasets.readers.held_out import class_indices
from episodes.datasets.readers.subset import TrainSubset
from episodes.errors import UserError
from episodes.images.labelled import LabelledImages

Profile = Literal["exponential", "step"]

PUBLISHED_SEED = 0


class LongTailed(TrainSubset):
    """Another source with an imbalanced train split, by the rule of Cao et al.; val and test are as they were.

    Of class c = 0..C-1 there remain, with n images a class before and the given ratio r,

    - ``exponential``: floor(n (1/r)^(c/(C-1))), from n to n/r;
    - ``step``: n in the first floor(C/2) classes and floor(n/r) in the others.

    If the classes are not of one size, n is that of the smallest, so that each has the images that the profile asks
    for. The numbers of each class's images are shuffled, one class after the other, by one legacy ``RandomState``, and
    the first are kept, in this order. So with seed 0, and CIFAR in the order of its official files with nothing held
    out, this is the published training set, image by image.

    Cao, Wei, Gaidon, Arechiga, Ma, Learning imbalanced datasets with label-distribution-aware margin loss, NeurIPS
    2019; the exponential profile: Cui, Jia, Lin, Song, Belongie, CVPR 2019.

    Args:
        source: where the images come from.
        profile: how the number of images falls from class to class.
        ratio: images of the largest class over those of the smallest, 1 or more.
        seed: of the shuffling. The published set has seed 0; another seed is another data set.

    Raises:
        UserError: if there is no such profile, the ratio is below 1, or the seed is not 0..2^32-1.
    """

    def __init__(
        self, source: DataSource, profile: Profile = "exponential", ratio: float = 100.0, seed: int = PUBLISHED_SEED
    ) -> None:
        if profile not in _SHARES:
            raise UserError(f"long tail: profile must be {' or '.join(_SHARES)}, not {profile!r}")
        if not 1 <= ratio < float("inf"):
            raise UserError(f"long tail: ratio must be 1 or more, not {ratio}")
        if not 0 <= seed < 2**32:
            raise UserError(f"long tail: seed must be 0 to 2^32 - 1, not {seed}")
        super().__init__(source, f"lt-{profile}-{ratio:g}" + (f"-seed{seed}" if seed != PUBLISHED_SEED else ""))
        self.profile: Profile = profile
        self.ratio = ratio
        self.seed = seed

    def chosen(self, images: LabelledImages) -> Tensor:  # [k] int64, 0..n-1
        """Those that remain, sorted by class.

        Raises:
            UserError: if a class would be left empty, with its name.
        """
        places = class_indices(images.labels.numpy(), len(images.class_names))
        available = [len(place) for place in places]
        if 0 in available:
            raise UserError(f"{images.name}: class {images.class_names[available.index(0)]!r} has no image")
        kept = class_sizes(min(available), len(places), self.profile, self.ratio)
        if 0 in kept:
            empty = images.class_names[kept.index(0)]
            raise UserError(
                f"{self.name}: the imbalance leaves class {empty!r} without an image; there are {min(available)} a "
                f"class before it: choose a ratio below {min(available)}"
            )
        positions = kept_positions(available, kept, self.seed)
        index = np.concatenate([place[of_class] for place, of_class in zip(places, positions, strict=True)])
        return torch.from_numpy(index)


def class_sizes(largest: int, classes: int, profile: Profile, ratio: float) -> list[int]:
    """Images of each class that remain.

    >>> class_sizes(5000, 10, "exponential", 100)
    [5000, 2997, 1796, 1077, 645, 387, 232, 139, 83, 50]

    Args:
        largest: images a class before.
        classes: how many.
        profile: how the number falls.
        ratio: of the largest class to the smallest.
    """
    return [int(largest * share) for share in _SHARES[profile](classes, 1 / ratio)]


def kept_positions(
    available: Sequence[int],  # images of each class
    kept: Sequence[int],  # of these
    seed: int,
) -> list[NDArray[np.int64]]:  # a class: positions among its images, in the order of the published code
    """Which images of each class remain, counted within the class."""
    generator = np.random.RandomState(seed)
    positions = []
    for there, keep in zip(available, kept, strict=True):
        shuffled = np.arange(there)
        generator.shuffle(shuffled)
        positions.append(shuffled[:keep])
    return positions


def _exponential(classes: int, smallest: float) -> list[float]:
    return [smallest ** (number / max(classes - 1.0, 1.0)) for number in range(classes)]


def _step(classes: int, smallest: float) -> list[float]:
    return [1.0 if number < classes // 2 else smallest for number in range(classes)]


_SHARES = {"exponential": _exponential, "step": _step}

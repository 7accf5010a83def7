"""Episodes of which no two share an image: as many as the images allow, a pure function of (labels, spec, seed)."""

from collections.abc import Iterator, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from episodes.episode import EpisodeSpec
from episodes.randomness import derive_seed, random_units
from episodes.sampler import EpisodeIndices, EpisodeSampler, as_episodes

_IMAGES, _CLASSES, _ORDER = 1, 2, 3  # what a seed is derived for


class DisjointSampler(EpisodeSampler):
    """N-way K-shot episodes without replacement: every image occurs in one of them at most.

    The images of a class, in random order, are cut into blocks of K + Q; every episode takes a block each of N classes.
    There are as many episodes as there can be: the largest E with ``sum_c min(blocks_c, E) >= N * E``, for no class can
    be in more than E episodes. Which classes meet in an episode is drawn by the blocks that each has left.

    Accuracies of episodes that share images are not independent, so an interval over many of them covers which episodes
    were drawn and not which images there are; over disjoint ones it does both (Lafargue et al., arXiv 2409.02850).

    >>> sampler = DisjointSampler(torch.arange(10).repeat(20), EpisodeSpec(5, 1, 3), seed=0)
    >>> len(sampler)  # 10 classes of 20 // 4 blocks, 5 in each episode
    10

    Args:
        labels: [n] int64, the class of every image.
        spec: size of the episodes.
        seed: any integer; with the same labels and spec it fixes every episode.
        class_names: names to call the classes by in messages.

    Raises:
        UserError: as :class:`~episodes.sampler.EpisodeSampler`.
    """

    def __init__(self, labels: Tensor, spec: EpisodeSpec, seed: int, class_names: Sequence[str] | None = None) -> None:
        super().__init__(labels, spec, seed, class_names)
        blocks = self.counts // spec.images_per_class
        total = most_disjoint(blocks, spec.n_way)
        units = random_units(derive_seed(seed, _CLASSES), np.arange(total), len(blocks)).T  # [E, C]
        classes = _matches(blocks, spec.n_way, units)  # [E, N]

        shuffled = np.lexsort([random_units(derive_seed(seed, _IMAGES), np.arange(len(labels)), 1)[0], labels.cpu()])
        first = self._starts[classes] + _times_before(classes, len(blocks)) * spec.images_per_class  # [E, N]
        images = shuffled[first[..., None] + np.arange(spec.images_per_class)]  # [E, N, K + Q]
        order = random_units(derive_seed(seed, _ORDER), np.arange(total), spec.n_way * spec.n_query).T.argsort(axis=1)
        self._all = as_episodes(images, classes, order, spec.k_shot)

    def __len__(self) -> int:
        """How many episodes there are."""
        return len(self._all.classes)

    def draw(
        self,
        numbers: Sequence[int] | range,  # T numbers of episodes, each 0..len - 1
    ) -> EpisodeIndices:
        """The episodes with these numbers, stacked in this order."""
        chosen = torch.tensor(list(numbers), dtype=torch.int64)
        return EpisodeIndices(*(field[chosen] for field in self._all))

    def __iter__(self) -> Iterator[EpisodeIndices]:
        """Episodes 0, 1, 2, ... to the last, one at a time."""
        return (self._all.part(number, number + 1) for number in range(len(self)))


def most_disjoint(
    blocks: NDArray[np.int64],  # [C] how many episodes the images of each class are enough for
    n_way: int,
) -> int:
    """The largest E with ``sum_c min(blocks_c, E) >= n_way * E``.

    That many episodes are possible (put the blocks down class by class, episode after episode in a circle: a class that
    has at most E blocks meets no episode twice), and no more, because a class is in an episode once.

    >>> most_disjoint(np.array([5, 1, 1, 1]), n_way=2)
    3
    """
    low, high = 0, int(blocks.sum()) // n_way  # what is possible for E is so for all below: the difference is concave
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if np.minimum(blocks, middle).sum() >= n_way * middle else (low, middle - 1)
    return low


def _matches(
    blocks: NDArray[np.int64],  # [C]
    n_way: int,
    units: NDArray[np.float64],  # [E, C] uniform on [0, 1); E as most_disjoint says, or less
) -> NDArray[np.int64]:  # [E, N] different classes in each row, class c at most blocks[c] times in all
    """Which classes meet in each episode: drawn without replacement, a class by the blocks that it has left.

    The N largest of ``log(u_c) / left_c`` are such a draw (Efraimidis and Spirakis, Information Processing Letters
    2006). With R episodes to go, a class that has R blocks or more loses one whether it is taken or not; the rest is
    enough for R - 1 episodes as long as no more of these are passed over than there are blocks to spare.
    """
    left = blocks.copy()
    classes = np.empty((len(units), n_way), np.int64)
    for number, row in enumerate(units):
        to_go = len(units) - number
        full = left >= to_go
        spare = int(np.minimum(left, to_go).sum()) - n_way * to_go
        must = max(0, int(full.sum()) - spare)
        keys = np.where(left > 0, np.log1p(-row) / np.maximum(left, 1), -np.inf)  # 1 - u lies in (0, 1]
        ranked = np.argsort(-keys, kind="stable")
        forced = ranked[full[ranked]][:must]
        others = ranked[~np.isin(ranked, forced)][: n_way - must]
        classes[number] = ranked[np.isin(ranked, [*forced, *others])]
        left[classes[number]] -= 1
    return classes


def _times_before(
    classes: NDArray[np.int64],  # [E, N] different ones in each row
    total: int,  # C
) -> NDArray[np.int64]:  # [E, N]
    """How often each class occurred in the rows before."""
    occurs = np.zeros((len(classes), total), np.int64)
    np.put_along_axis(occurs, classes, 1, axis=1)
    return np.take_along_axis(occurs.cumsum(axis=0) - occurs, classes, axis=1)

"""Which images make up episode i: a pure function of (labels, spec, seed, i)."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from episodes.episode import EpisodeSpec
from episodes.errors import UserError
from episodes.randomness import random_units, sample_without_replacement

_BLOCK = 256  # episodes drawn at once by the iterator: enough to hide the cost of a call, few enough to waste nothing


class EpisodeIndices(NamedTuple):
    """T episodes as numbers of images; support rows stand class by class, query rows in random order.

    Unknown queries, of no class of the episode, may stand behind these (see :class:`~episodes.unknown.UnknownQueries`).
    """

    support: Tensor  # [T, N*K] int64, numbers of images
    support_labels: Tensor  # [T, N*K] int64, 0..N-1
    query: Tensor  # [T, N*Q] int64, numbers of images
    query_labels: Tensor  # [T, N*Q] int64, 0..N-1
    classes: Tensor  # [T, N] int64: label y of the episode is class classes[t, y] of the data set

    def part(self, start: int, stop: int) -> "EpisodeIndices":
        """Episodes ``start`` to ``stop - 1`` of these T."""
        return EpisodeIndices(*(field[start:stop] for field in self))


class EpisodeSampler:
    """Draws N-way K-shot episodes: episode i is the same whatever was drawn before, with whom, or by which process.

    N classes are drawn without replacement and numbered 0..N-1 in random order, then K + Q images of each without
    replacement, so that support and query are disjoint; the query rows are shuffled.

    >>> sampler = EpisodeSampler(torch.arange(10).repeat(20), EpisodeSpec(5, 1, 3), seed=0)
    >>> sampler.draw([7, 8]).query.shape
    torch.Size([2, 15])

    Args:
        labels: [n] int64, the class of every image.
        spec: size of the episodes.
        seed: any integer; with the same labels and spec it fixes every episode.
        class_names: names to call the classes by in messages.

    Attributes:
        counts: [C] int64, how many images each class has.

    Raises:
        UserError: if there are fewer classes than N, or a class has fewer than K + Q images.
    """

    def __init__(self, labels: Tensor, spec: EpisodeSpec, seed: int, class_names: Sequence[str] | None = None) -> None:
        self.spec = spec
        self.seed = seed
        numbers = labels.cpu().numpy()
        self._by_class = np.argsort(numbers, kind="stable")  # [n], the images class by class
        self.counts = np.bincount(numbers, minlength=len(class_names or ()))
        self._starts = np.cumsum(self.counts) - self.counts
        _check_spec(spec, self.counts, class_names)

    def draw(
        self,
        numbers: Sequence[int] | range,  # T numbers of episodes, each 0 or more
    ) -> EpisodeIndices:
        """The episodes with these numbers, stacked in this order."""
        n_way, k_shot = self.spec.n_way, self.spec.k_shot
        per_class, rows = self.spec.images_per_class, n_way * self.spec.n_query
        episodes = np.asarray(numbers, dtype=np.int64)
        units = random_units(self.seed, episodes, 2 * n_way * (1 + per_class) + rows)  # [draws, T]
        for_classes, for_images, for_order = np.split(units, [2 * n_way, 2 * n_way * (1 + per_class)])

        classes = sample_without_replacement(for_classes, np.full(len(episodes), len(self.counts)))  # [N, T]
        within = sample_without_replacement(  # [K + Q, N, T]
            for_images.reshape(2 * per_class, n_way, len(episodes)), self.counts[classes]
        )
        images = self.images_of(classes, within).transpose(2, 1, 0)  # [T, N, K + Q]
        return as_episodes(images, np.ascontiguousarray(classes.T), for_order.T.argsort(axis=1), k_shot)

    def images_of(
        self,
        classes: NDArray[np.int64],  # [...] 0..C-1
        within: NDArray[np.int64],  # broadcasts against classes; 0..counts[class]-1
    ) -> NDArray[np.int64]:  # [...] numbers of images
        """Image number ``within`` of each class."""
        return np.asarray(self._by_class[self._starts[classes] + within])

    def __getitem__(self, number: int) -> EpisodeIndices:
        """Episode ``number`` alone, with its leading axis T = 1."""
        return self.draw([number])

    def __iter__(self) -> Iterator[EpisodeIndices]:
        """Episodes 0, 1, 2, ... without end, one at a time."""
        first = 0
        while True:
            block = self.draw(range(first, first + _BLOCK))
            for k in range(_BLOCK):
                yield block.part(k, k + 1)
            first += _BLOCK


def as_episodes(
    images: NDArray[np.int64],  # [T, N, K + Q] numbers of images: of each class the support first
    classes: NDArray[np.int64],  # [T, N] contiguous
    order: NDArray[np.int64],  # [T, N*Q] a permutation of each episode's queries
    k_shot: int,
) -> EpisodeIndices:
    """Images that were chosen class by class as episodes."""
    episodes, n_way, per_class = images.shape
    n_query = per_class - k_shot
    query = np.take_along_axis(images[:, :, k_shot:].reshape(episodes, n_way * n_query), order, axis=1)
    return EpisodeIndices(
        support=torch.from_numpy(images[:, :, :k_shot].reshape(episodes, n_way * k_shot)),
        support_labels=torch.arange(n_way).repeat_interleave(k_shot).repeat(episodes, 1),
        query=torch.from_numpy(query),
        query_labels=torch.from_numpy(order // n_query),
        classes=torch.from_numpy(classes),
    )


def _check_spec(spec: EpisodeSpec, counts: NDArray[np.int64], class_names: Sequence[str] | None) -> None:
    if spec.n_way > len(counts):
        raise UserError(f"{spec} needs {spec.n_way} classes, there are {len(counts)}; lower n_way")
    small = np.flatnonzero(counts < spec.images_per_class)
    if len(small):
        listed = ", ".join(f"{class_names[c] if class_names else c} has {counts[c]}" for c in small[:3])
        raise UserError(
            f"{spec} needs {spec.images_per_class} images of every class: {listed}"
            + (f", and {len(small) - 3} more classes are too small" if len(small) > 3 else "")
            + "; lower k_shot or n_query, or leave these classes out"
        )

"""Queries of classes outside an episode: what a learner is asked that is like nothing in the support."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from episodes.errors import UserError
from episodes.randomness import derive_seed, random_units, sample_without_replacement
from episodes.sampler import EpisodeIndices
from episodes.source import EpisodeSource

OUTSIDE = -1
"""Label of a query whose class is none of the episode's."""
_UNKNOWN = 4  # what the seed is derived for; the disjoint episodes have 1 to 3


class UnknownIndices(NamedTuple):
    """Unknown queries of T episodes as numbers of images; they stand class by class."""

    images: Tensor  # [T, U*Q] int64, numbers of images
    classes: Tensor  # [T, U] int64, classes of the data set


class UnknownQueries:
    """Draws for every episode the queries of U classes that are not in it.

    The U classes are drawn without replacement from those outside the episode, then Q images of each without
    replacement. They depend on (labels, spec, seed, number of the episode, its classes) alone, and nothing of the
    episode on them: its classes, support and queries are what they are without.

    Args:
        source: of the episodes; its size of episodes says Q.
        unknown_ways: classes outside each episode (U), at least 1.

    Raises:
        UserError: if U is below 1, or there are fewer than N + U classes.
    """

    def __init__(self, source: EpisodeSource, unknown_ways: int) -> None:
        if unknown_ways < 1:
            raise UserError(f"unknown_ways must be at least 1 to draw unknown queries, got {unknown_ways}")
        self.unknown_ways = unknown_ways
        self._sampler = source.sampler
        n_way, classes = source.sampler.spec.n_way, len(source.sampler.counts)
        if n_way + unknown_ways > classes:
            raise UserError(
                f"{source.images.name}: {n_way} ways and {unknown_ways} unknown ways need {n_way + unknown_ways} "
                f"classes, there are {classes}; lower n_way or unknown_ways"
            )

    def draw(
        self,
        numbers: Sequence[int] | range,  # T numbers of episodes, each 0 or more
        episodes: EpisodeIndices,  # with these numbers, of the source's sampler
    ) -> UnknownIndices:
        """The unknown queries of these episodes."""
        sampler, ways, n_query = self._sampler, self.unknown_ways, self._sampler.spec.n_query
        numbered = np.asarray(numbers, dtype=np.int64)
        units = random_units(derive_seed(sampler.seed, _UNKNOWN), numbered, 2 * ways * (1 + n_query))  # [draws, T]
        for_classes, for_images = np.split(units, [2 * ways])
        inside = episodes.classes.numpy()  # [T, N]
        left = len(sampler.counts) - inside.shape[1]
        places = sample_without_replacement(for_classes, np.full(len(numbered), left))  # [U, T]
        classes = _outside(places, inside)
        within = sample_without_replacement(  # [Q, U, T]
            for_images.reshape(2 * n_query, ways, len(numbered)), sampler.counts[classes]
        )
        images = sampler.images_of(classes, within).transpose(2, 1, 0)  # [T, U, Q]
        return UnknownIndices(
            torch.from_numpy(images.reshape(len(numbered), ways * n_query)),
            torch.from_numpy(np.ascontiguousarray(classes.T)),
        )

    def added_to(
        self,
        episodes: EpisodeIndices,
        numbers: Sequence[int] | range,  # of these T episodes
    ) -> EpisodeIndices:  # query [T, N*Q + U*Q], the unknown ones last; their labels are OUTSIDE
        """The episodes with the unknown queries behind their own."""
        unknown = self.draw(numbers, episodes).images
        return episodes._replace(
            query=torch.cat([episodes.query, unknown], dim=1),
            query_labels=torch.cat([episodes.query_labels, torch.full_like(unknown, OUTSIDE)], dim=1),
        )


def _outside(
    places: NDArray[np.int64],  # [U, T], 0..C-N-1
    inside: NDArray[np.int64],  # [T, N] different classes, 0..C-1
) -> NDArray[np.int64]:  # [U, T], 0..C-1
    """The classes that stand in these places when those of the episode are taken out of the row 0..C-1."""
    classes = places.copy()
    for taken in np.sort(inside, axis=1).T:  # [T]; from the smallest on, so that each step counts what it shifted past
        classes += classes >= taken
    return classes

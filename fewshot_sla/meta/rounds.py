"""Evaluation in rounds that fit into memory: what of the images is kept for which of the episodes asked for."""

import math
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import NamedTuple

import torch
from torch import Tensor

from episodes.progress import no_progress
from episodes.sampler import EpisodeIndices
from episodes.source import EpisodeSource
from episodes.transformations import Transformations

_FEATURE_BUDGET = 2**32  # bytes that the cached features may take
_EPISODE_BUDGET = 2**28  # bytes that the features (or images) of the episodes of one pass may take


class Round(NamedTuple):
    """Some of the episodes of each kind, and where their items come from."""

    episodes: list[EpisodeIndices]  # of each kind; their images are numbers that ``items`` takes
    items: Callable[[Tensor], Tensor]  # [...] int64 -> [..., M, *item]
    row_bytes: int  # that an image of an episode takes in a pass

    def passes(self, episodes: EpisodeIndices) -> Iterator[EpisodeIndices]:
        """Episodes of this round in parts that go through the learner at once."""
        yield from _parts(episodes, max(1, _EPISODE_BUDGET // (self.row_bytes * _rows(episodes).shape[1])))


def feature_rounds(
    source: EpisodeSource,
    drawn: Sequence[EpisodeIndices],  # one a kind
    embed: Callable[..., Tensor],  # numbers of images [n] -> features of their views [n, M, *item]
) -> Iterator[Round]:
    """Features of every view of every image that occurs, once, for the episodes of all kinds.

    One round if the features of the whole split fit into the budget; else as many as it takes, in each of which
    every kind has its share of episodes.
    """
    images = torch.cat([indices.support.flatten() for indices in drawn])
    if not len(images):
        return
    one = embed(images[:1], on_progress=no_progress)  # [1, M, *item]
    image_bytes = one.numel() * one.element_size()
    rounds = 1
    if image_bytes * len(source.images) > _FEATURE_BUDGET:  # the features of the whole split do not fit
        rounds = -(-image_bytes * sum(_rows(indices).numel() for indices in drawn) // _FEATURE_BUDGET)
    shares = [list(_parts(indices, max(1, len(indices.support) // rounds))) for indices in drawn]
    for number in range(max(map(len, shares))):
        ours = [
            of_kind[number] if number < len(of_kind) else indices.part(0, 0)  # none are left of this kind
            for of_kind, indices in zip(shares, drawn, strict=True)
        ]
        yield _with_features(ours, embed, image_bytes)


def image_rounds(
    source: EpisodeSource, drawn: Sequence[EpisodeIndices], transformations: Transformations
) -> Iterator[Round]:
    """One round of images, for learners that adapt to the episode as a whole: their views are made anew every time."""
    view_bytes = 4 * transformations.m * math.prod(source.images.image_shape)
    items = partial(source.image_views, transformations=transformations)
    yield Round(list(drawn), items, 16 * view_bytes)  # activations outweigh images


def _with_features(ours: list[EpisodeIndices], embed: Callable[..., Tensor], image_bytes: int) -> Round:
    sizes = [_rows(indices).shape for indices in ours]
    numbers = torch.cat([_rows(indices).flatten() for indices in ours])
    occurring, place = numbers.unique(return_inverse=True)
    features = embed(occurring)  # [n, M, *item]
    places = [part.view(size) for part, size in zip(place.split([size.numel() for size in sizes]), sizes, strict=True)]
    local = [
        indices._replace(support=rows[:, : indices.support.shape[1]], query=rows[:, indices.support.shape[1] :])
        for indices, rows in zip(ours, places, strict=True)
    ]
    return Round(local, partial(_picked, features), image_bytes)


def _rows(indices: EpisodeIndices) -> Tensor:  # [T, N*K + N*Q]
    """The images of episodes, support first."""
    return torch.cat([indices.support, indices.query], dim=1)


def _picked(features: Tensor, numbers: Tensor) -> Tensor:
    return features[numbers.to(features.device)]


def _parts(indices: EpisodeIndices, size: int) -> Iterator[EpisodeIndices]:
    for start in range(0, len(indices.support), size):
        yield indices.part(start, start + size)

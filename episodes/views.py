"""From N-way K-shot to NM-way K-shot: what the M views of an episode's images are labelled as.

:func:`add_views` makes the M views of every item; a *labelling* then turns the episode of views into an ordinary
episode, by flattening the views into rows and saying what each row is called:

* :func:`joint_labelling`: the joint label (class, transformation), N*M ways, K shots (Lee et al., ICML 2020, eq. 3);
* :func:`repeated_labelling`: the class, N ways, K*M shots (data augmentation, the paper's eq. 2);
* :func:`identity_labelling`: only view 0 is kept: the episode as it was.

Labellings only move rows about. They do not care whether an item is an image or its features, so that training on
images and testing on cached features go through the same lines.
"""

from collections.abc import Callable

import torch
from torch import Tensor

from episodes.episode import EpisodeBatch
from episodes.labels import flatten_pairs, joint_label
from episodes.transformations import Transformations

Labelling = Callable[[EpisodeBatch], EpisodeBatch]  # items [T, rows, M, *item] -> items [T, rows', *item]


def add_views(
    episodes: EpisodeBatch,  # items [T, S, C, H, W] and [T, R, C, H, W]
    transformations: Transformations,
) -> EpisodeBatch:  # items [T, S, M, C, H, W] and [T, R, M, C, H, W]; labels as they were
    """The M views of every image of an episode."""
    return episodes._replace(support=transformations(episodes.support), query=transformations(episodes.query))


def joint_labelling(
    episodes: EpisodeBatch,  # items [T, S, M, *item] and [T, R, M, *item], labels 0..N-1
) -> EpisodeBatch:  # items [T, S*M, *item] and [T, R*M, *item], labels 0..N*M-1, ways N*M
    """Every view is an item of the class (y, j): N*M ways, K shots."""
    return _flatten(episodes, lambda labels, view, m: joint_label(labels, view, m), joint=True)


def repeated_labelling(
    episodes: EpisodeBatch,  # as for joint_labelling
) -> EpisodeBatch:  # items [T, S*M, *item] and [T, R*M, *item], labels 0..N-1, ways N
    """Every view keeps the class of its image: N ways, K*M shots."""
    return _flatten(episodes, lambda labels, view, m: labels + 0 * view, joint=False)


def identity_labelling(
    episodes: EpisodeBatch,  # as for joint_labelling
) -> EpisodeBatch:  # items [T, S, *item] and [T, R, *item], labels 0..N-1, ways N
    """Only the image itself (view 0) is kept: N ways, K shots."""
    return episodes._replace(support=episodes.support[:, :, 0], query=episodes.query[:, :, 0])


def _flatten(episodes: EpisodeBatch, label_of: Callable[[Tensor, Tensor, int], Tensor], *, joint: bool) -> EpisodeBatch:
    m = episodes.support.shape[2]
    view = torch.arange(m, device=episodes.support_labels.device)
    support_labels, query_labels = (
        flatten_pairs(label_of(labels.unsqueeze(-1), view, m), dim=1)
        for labels in (episodes.support_labels, episodes.query_labels)
    )
    return EpisodeBatch(
        flatten_pairs(episodes.support, dim=1),
        support_labels,
        flatten_pairs(episodes.query, dim=1),
        query_labels,
        episodes.ways * m if joint else episodes.ways,
    )

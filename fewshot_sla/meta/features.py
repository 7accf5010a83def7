"""Every view of every image through the first stage of a learner once: the features that all episodes then share."""

import torch
from torch import Tensor

from episodes.images.crops import Crops, as_is
from episodes.progress import OnProgress, no_progress
from episodes.source import EpisodeSource
from episodes.transformations import Transformations
from episodes.views import normalized_views
from fewshot_sla.inference.passes import images_at_once
from fewshot_sla.meta.learners.base import MetaLearner
from fewshot_sla.meta.team import EvaluationTeam, in_blocks, own_block
from fewshot_sla.training.modes import Autocast, evaluation_mode

BASE_IMAGES = 2000
"""Training images that the mean of the base classes is taken over, at most."""
_VIEWS_PER_PASS = 512  # views that go through the backbone at once, of images of up to 90 x 90 pixels


def embed_views(
    learner: MetaLearner,  # in evaluation mode
    source: EpisodeSource,
    transformations: Transformations,
    autocast: Autocast,  # context in which the learner runs
    numbers: Tensor,  # [n] int64, numbers of images, at least one
    crops: Crops = as_is,
    on_progress: OnProgress = no_progress,
) -> Tensor:  # [n, M, *item] float
    """Features of the M views of the given images: the mean over an image's crops, each of which has all M views.

    An episode then is what it was, K support rows a class. The scores of prototypes, ridge and SVM of the mean feature
    of a query are the mean over its crops of their scores (up to a number that is the same for all classes), as the
    logits of views are averaged; and prototypes of mean features are those of all crops.
    """
    chunk = images_per_pass(source, transformations, crops)
    features = []
    with torch.no_grad():
        for part in numbers.split(chunk):
            cropped = crops(source.images.gather_bytes(part))  # [n, K, C, H, W]
            views = normalized_views(cropped, transformations, source.normalization)  # [n, K, M, C, H, W]
            with autocast():
                items = learner.items(views)  # [n, K, M, *item]
            features.append(items.squeeze(1) if items.shape[1] == 1 else items.mean(dim=1))
            on_progress("images", sum(map(len, features)), len(numbers))
    return torch.cat(features)


def embed_together(
    team: EvaluationTeam,
    learner: MetaLearner,
    source: EpisodeSource,
    transformations: Transformations,
    autocast: Autocast,
    numbers: Tensor,  # [n] int64, the same in every process
    crops: Crops = as_is,
    on_progress: OnProgress = no_progress,
) -> Tensor:  # [n, M, *item] float
    """Like :func:`embed_views`: every process embeds a block of the images, in the passes that one alone would make."""
    chunk = images_per_pass(source, transformations, crops)
    own = numbers[own_block(team, len(numbers), chunk)]
    some = own if len(own) else numbers[:1]  # of nothing, the shape of the features would not be known
    features = embed_views(learner, source, transformations, autocast, some, crops, on_progress)
    return in_blocks(team, features[: len(own)], len(numbers), chunk)


def base_mean(
    team: EvaluationTeam,
    learner: MetaLearner,
    source: EpisodeSource,  # of the training images
    transformations: Transformations,
    autocast: Autocast,
) -> Tensor:  # [*item] float32, or better if the features are
    """Mean feature of the training images over all their views, in evaluation mode.

    Of more than BASE_IMAGES images so many are taken, at equal distances, hence from all classes alike: the error of
    the mean then is 2 % of the deviation of a feature.
    """
    total = len(source.images)
    count = min(total, BASE_IMAGES)
    numbers = torch.arange(count, device=source.images.labels.device) * total // count
    with evaluation_mode(learner):
        items = embed_together(team, learner, source, transformations, autocast, numbers)
    return items.to(torch.promote_types(items.dtype, torch.float32)).flatten(0, 1).mean(0)


def images_per_pass(source: EpisodeSource, transformations: Transformations, crops: Crops) -> int:
    """Images whose views, of all crops, go through the backbone at once."""
    cropped = crops(torch.zeros(1, *source.images.image_shape, dtype=torch.uint8))
    return images_at_once(source.images.image_shape, transformations.m * cropped.shape[1], _VIEWS_PER_PASS)

"""EpisodeSource: numbers of episodes in, normalised images or their views out, on the device of the images."""

from collections.abc import Callable, Sequence
from copy import copy
from typing import Self

import torch
from torch import Tensor

from episodes.episode import EpisodeBatch, EpisodeSpec
from episodes.errors import UserError
from episodes.images.augmentation import Augmentation, NoAugmentation
from episodes.images.augmentation.apply import augment_episodes
from episodes.images.labelled import LabelledImages
from episodes.images.normalization import Normalization
from episodes.sampler import EpisodeIndices, EpisodeSampler
from episodes.targets import Targets
from episodes.transformations import Transformations
from episodes.views import normalized_views


class EpisodeSource:
    """Draws episodes from labelled images and gathers them; episode i is always the same.

    Args:
        images: where the images come from; they stay on their device.
        spec: size of the episodes.
        seed: which sequence of episodes.
        normalization: of the training images, on the device that images are gathered onto.
        augmentation: random changes, for training only. What changes images one by one is given support and query;
            what mixes images, as Mixup does, the queries of each episode by themselves: the support stays pure.
        sampler: which kind of episodes: any number of them, or with DisjointSampler such as share no image.

    Raises:
        UserError: if the images cannot fill such an episode (see EpisodeSampler).
    """

    def __init__(
        self,
        images: LabelledImages,
        spec: EpisodeSpec,
        seed: int,
        normalization: Normalization,
        augmentation: Augmentation | None = None,
        sampler: type[EpisodeSampler] = EpisodeSampler,
    ) -> None:
        self.images = images
        self.normalization = normalization
        self.augmentation = (augmentation or NoAugmentation()).adapted(normalization)
        self._part = slice(None)
        try:
            self.sampler = sampler(images.labels, spec, seed, images.class_names)
        except UserError as error:
            raise UserError(f"{images.name}: {error}") from None

    def of_part(self, part: slice) -> Self:
        """The same source, but of the episodes that :meth:`batch` and :meth:`views` are asked for it gives a part only.

        For several processes that divide them: random numbers are drawn for all of them, so that each episode is
        augmented as if they were asked for at once.

        Args:
            part: which of the T episodes.
        """
        source = copy(self)
        source._part = part
        return source

    def batch(
        self,
        numbers: Sequence[int] | range,  # T numbers of episodes
    ) -> EpisodeBatch:  # support [T, N*K, C, H, W], query [T, N*Q, C, H, W], normalised float32
        """The episodes with these numbers, augmented and normalised."""
        return self._augmented(numbers).with_items(self.normalization)

    def views(
        self,
        numbers: Sequence[int] | range,  # T numbers of episodes
        transformations: Transformations,
    ) -> EpisodeBatch:  # support [T, N*K, M, C, H, W], query [T, N*Q, M, C, H, W], normalised float32
        """The episodes with these numbers, augmented, and all M views of every image.

        Raises:
            UserError: if the transformations cannot take the images.
        """
        return self._augmented(numbers).with_items(
            lambda pixels: normalized_views(pixels, transformations, self.normalization)
        )

    def image_views(
        self,
        numbers: Tensor,  # [...] int64, numbers of images
        transformations: Transformations,
    ) -> Tensor:  # [..., M, C, H, W] float32
        """All M views of the images with these numbers, normalised and never augmented.

        Raises:
            UserError: if the transformations cannot take the images.
        """
        return normalized_views(self.images.gather_bytes(numbers), transformations, self.normalization)

    def gather(
        self,
        indices: EpisodeIndices,
        items: Callable[[Tensor], Tensor],
    ) -> EpisodeBatch:  # support [T, N*K, *item], query [T, N*Q, *item]
        """The content of episodes that are drawn already: whatever ``items`` gives for the numbers of the images.

        Args:
            indices: which images, T episodes.
            items: numbers [...] int64 -> items [..., *item], for instance cached features.
        """
        device = self.images.target
        rows = indices.support.shape[1]
        gathered = items(torch.cat([indices.support, indices.query], dim=1))
        return EpisodeBatch(
            gathered[:, :rows],
            indices.support_labels.to(device),
            gathered[:, rows:],
            Targets(indices.query_labels.to(device)),
            indices.classes.shape[1],
        )

    def _augmented(
        self, numbers: Sequence[int] | range
    ) -> EpisodeBatch:  # uint8, 0..255, or float, 0..1, if there is an augmentation
        """The episodes with these numbers, augmented and not normalised."""
        part = self._part
        if isinstance(self.augmentation, NoAugmentation):  # nothing is drawn for the others
            numbers, part = numbers[part], slice(None)
        drawn = self.gather(self.sampler.draw(numbers), self.images.gather_bytes)
        support, query, targets = augment_episodes(drawn.support, drawn.query, drawn.query_targets, self.augmentation)
        labels = drawn.support_labels[part]
        return EpisodeBatch(support[part], labels, query[part], targets.each(lambda each: each[part]), drawn.ways)

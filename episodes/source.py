"""EpisodeSource: numbers of episodes in, batches of normalised images out, on the device of the images."""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from episodes.episode import EpisodeBatch, EpisodeSpec
from episodes.errors import UserError
from episodes.images.augmentation import ImageAugmentation, NoAugmentation
from episodes.images.gathering import gather_normalized
from episodes.images.labelled import LabelledImages
from episodes.images.normalization import Normalization
from episodes.sampler import EpisodeIndices, EpisodeSampler


class EpisodeSource:
    """Draws episodes from labelled images and gathers them; episode i is always the same.

    Args:
        images: where the images come from; they stay on their device.
        spec: size of the episodes.
        seed: which sequence of episodes.
        normalization: of the training images, on the device that images are gathered onto.
        augmentation: random changes of every image that is gathered; for training only.

    Raises:
        UserError: if the images cannot fill such an episode (see EpisodeSampler).
    """

    def __init__(
        self,
        images: LabelledImages,
        spec: EpisodeSpec,
        seed: int,
        normalization: Normalization,
        augmentation: ImageAugmentation | None = None,
    ) -> None:
        self.images = images
        self.normalization = normalization
        self.augmentation = augmentation or NoAugmentation()
        try:
            self.sampler = EpisodeSampler(images.labels, spec, seed, images.class_names)
        except UserError as error:
            raise UserError(f"{images.name}: {error}") from None

    def batch(
        self,
        numbers: Sequence[int] | range,  # T numbers of episodes
    ) -> EpisodeBatch:  # support [T, N*K, C, H, W], query [T, N*Q, C, H, W], normalised float32
        """The episodes with these numbers."""
        return self.gather(self.sampler.draw(numbers))

    def gather(
        self,
        indices: EpisodeIndices,
        items: Callable[[Tensor], Tensor] | None = None,
    ) -> EpisodeBatch:  # support [T, N*K, *item], query [T, N*Q, *item]
        """The content of episodes that are drawn already: normalised images, or whatever ``items`` gives for numbers.

        Args:
            indices: which images, T episodes.
            items: numbers [...] int64 -> items [..., *item]; by default the normalised images with these numbers.
        """
        device = self.images.target
        rows = indices.support.shape[1]
        gathered = (items or self.normalized)(torch.cat([indices.support, indices.query], dim=1))
        return EpisodeBatch(
            gathered[:, :rows],
            indices.support_labels.to(device),
            gathered[:, rows:],
            indices.query_labels.to(device),
            self.sampler.spec.n_way,
        )

    def normalized(
        self,
        numbers: Tensor,  # [...] int64
    ) -> Tensor:  # [..., C, H, W] float32
        """The images with these numbers, augmented and normalised."""
        return gather_normalized(self.images, numbers, self.normalization, self.augmentation)

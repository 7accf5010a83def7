"""The M views of images as a network sees them: transformed and normalised, in the order that the set asks for."""

from collections.abc import Callable

from torch import Tensor

from episodes.episode import EpisodeBatch
from episodes.images.normalization import as_floats
from episodes.transformations import Transformations


def normalized_views(
    pixels: Tensor,  # [..., C, H, W] uint8, 0..255, or float, 0..1
    transformations: Transformations,
    normalization: Callable[[Tensor], Tensor],  # a Normalization
) -> Tensor:  # [..., M, C, H, W] float
    """All M views of every image, normalised.

    A photometric set is given floats between 0 and 1, and its views are normalised. Any other set only moves numbers
    about, so the images are normalised first, each pixel once and not M times; a permutation of colours then permutes
    the normalised channels.

    Raises:
        UserError: if the shape of the images does not allow the transformations.
    """
    if transformations.photometric:
        return normalization(transformations(as_floats(pixels)))
    return transformations(normalization(pixels))


def add_views(
    episodes: EpisodeBatch,  # items [T, S, C, H, W] and [T, R, C, H, W]
    transformations: Transformations,
) -> EpisodeBatch:  # items [T, S, M, C, H, W] and [T, R, M, C, H, W]; labels as they were
    """The M views of every image of episodes that came from elsewhere, normalised or not; see EpisodeSource.views."""
    return episodes.with_items(transformations)

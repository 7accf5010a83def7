"""Features of views as a map: who lies beside whom, in two dimensions and among the features themselves."""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from episodes.errors import UserError
from fewshot_sla.reporting.overview.parts import FeatureMap

CLASSES, MOST_POINTS, MOST_VIEWS = 6, 384, 12
_LEAST = 8  # points below which a map says nothing
_PERPLEXITY, _ITERATIONS = 30, 500


def images_of_map(
    labels: Tensor,  # [n] int64, of all images of a split
    m: int,  # views of each
) -> Tensor:  # [k] int64, numbers of images
    """Images of a few classes, spread over the split, equally many of each; few enough for a map."""
    present = labels.unique()
    chosen = present[_spread(len(present), CLASSES)]
    each = max(2, MOST_POINTS // (len(chosen) * min(m, MOST_VIEWS)))
    members = [(labels == label).nonzero().flatten() for label in chosen]
    return torch.cat([mine[_spread(len(mine), each)] for mine in members])


def feature_map(
    features: Tensor,  # [k, M, ...] float: of the M views of k images
    labels: Tensor,  # [k] int64, their classes
    class_names: tuple[str, ...],
    transformations: tuple[str, ...],  # M names
    of: str,
) -> FeatureMap:
    """The views of the images by t-SNE, always the same for the same features.

    Raises:
        UserError: if there are too few, or they are not finite.
    """
    shown = features[:, :MOST_VIEWS].flatten(2).float().cpu()
    images, views = shown.shape[:2]
    rows = shown.flatten(0, 1).numpy()
    if len(rows) < _LEAST:
        raise UserError(f"only {len(rows)} views of images: too few for a map")
    if not np.isfinite(rows).all():
        raise UserError("the features are not finite")
    chosen = labels.unique()
    place = torch.searchsorted(chosen, labels).repeat_interleave(views).numpy()
    view = np.tile(np.arange(views), images)
    nearest = _nearest_of_another(rows, np.repeat(np.arange(images), views))
    return FeatureMap(
        points=_by_tsne(rows),
        labels=place,
        views=view,
        classes=tuple(class_names[int(label)] for label in chosen),
        transformations=transformations[:views],
        same_class=float((place[nearest] == place).mean()),
        same_transformation=float((view[nearest] == view).mean()),
        of=of,
    )


def _spread(count: int, most: int) -> Tensor:
    """At most so many of the numbers 0..count-1, at equal distances."""
    return torch.arange(count) if count <= most else torch.linspace(0, count - 1, most).round().long()


def _nearest_of_another(rows: NDArray[np.float32], images: NDArray[np.int64]) -> NDArray[np.int64]:
    """The nearest row, by Euclidean distance, that is not of the same image."""
    squares = (rows.astype(np.float64) ** 2).sum(axis=1)
    distances = squares[:, None] + squares[None] - 2 * rows.astype(np.float64) @ rows.T.astype(np.float64)
    distances[images[:, None] == images[None]] = np.inf
    return distances.argmin(axis=1)


def _by_tsne(rows: NDArray[np.float32]) -> NDArray[np.float64]:
    from sklearn.manifold import TSNE  # takes a second to import

    perplexity = min(_PERPLEXITY, (len(rows) - 1) / 3)
    spread = float(rows.std()) or 1.0  # so that neither tiny nor huge features trouble the search for the perplexity
    # The exact method: of so few points it is the faster one, and on a busy machine by far.
    tsne = TSNE(2, perplexity=perplexity, max_iter=_ITERATIONS, init="random", random_state=0, method="exact")
    return np.asarray(tsne.fit_transform((rows - rows.mean(axis=0)) / spread), dtype=np.float64)

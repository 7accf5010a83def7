"""Where augmentations come in: on the images of a training batch, and on those of training episodes."""

import torch
from torch import Tensor

from episodes.errors import UserError
from episodes.images.augmentation.base import Augmentation, ImageAugmentation, NoAugmentation
from episodes.images.normalization import as_floats
from episodes.targets import Targets, check_targets


def augment_batch(
    pixels: Tensor,  # [B, C, H, W] uint8, 0..255
    targets: Targets,  # [B]
    augmentation: Augmentation,
) -> tuple[Tensor, Targets]:  # pixels as float, 0..1; or the bytes themselves if nothing changes them
    """The images and targets of a batch, augmented.

    Raises:
        UserError: if the augmentation gives images or targets of another shape.
    """
    if isinstance(augmentation, NoAugmentation):
        return pixels, targets
    return _mixed(augmentation, as_floats(pixels), targets)


def augment_episodes(
    support: Tensor,  # [T, S, C, H, W] uint8, 0..255, or float, 0..1
    query: Tensor,  # [T, R, C, H, W] of the same type
    query_targets: Targets,  # [T, R]
    augmentation: Augmentation,
) -> tuple[Tensor, Tensor, Targets]:  # pixels as float, 0..1; or the bytes themselves if nothing changes them
    """The images of T episodes, augmented: what changes images one by one, all of them; what mixes, the queries only.

    Queries are mixed with queries of their own episode, so a mixture is always one of two of its classes.

    Raises:
        UserError: if the augmentation gives images or targets of another shape.
    """
    if isinstance(augmentation, NoAugmentation):
        return support, query, query_targets
    rows = support.shape[1]
    images = as_floats(torch.cat([support, query], dim=1))  # in one call, however many episodes
    for step in augmentation.steps():
        if isinstance(step, ImageAugmentation):
            images = _changed(step, images.flatten(0, 1)).view_as(images)
        else:
            query, query_targets = _each_episode(step, images[:, rows:], query_targets)
            images = torch.cat([images[:, :rows], query], dim=1)
    return images[:, :rows], images[:, rows:], query_targets


def _each_episode(
    step: Augmentation,
    query: Tensor,  # [T, R, C, H, W]
    targets: Targets,  # [T, R]
) -> tuple[Tensor, Targets]:
    """The queries of each episode by themselves."""
    of_episode = [targets.each(lambda part, t=t: part[t]) for t in range(len(query))]  # type: ignore[misc]
    mixed = [_mixed(step, images, own) for images, own in zip(query, of_episode, strict=True)]
    return torch.stack([images for images, _ in mixed]), Targets.stack([own for _, own in mixed])


def _mixed(augmentation: Augmentation, images: Tensor, targets: Targets) -> tuple[Tensor, Targets]:
    changed, new_targets = augmentation(images, targets)
    _check_images(augmentation, changed, images)
    check_targets(new_targets, images.shape[:1], f"the augmentation {type(augmentation).__name__}")
    return changed, new_targets


def _changed(augmentation: ImageAugmentation, images: Tensor) -> Tensor:
    changed = augmentation.change(images)
    _check_images(augmentation, changed, images)
    return changed


def _check_images(augmentation: Augmentation, changed: Tensor, images: Tensor) -> None:
    if changed.shape != images.shape or not changed.is_floating_point():
        raise UserError(
            f"the augmentation {type(augmentation).__name__} must give float images {list(images.shape)}, "
            f"it gave {changed.dtype} {list(changed.shape)}"
        )

"""Exchange with learn2learn: our images as its MetaDataset, and its tasks as our episodes."""

from collections.abc import Sequence
from typing import Any, Protocol

import torch
from torch import Tensor
from torch.utils.data import Dataset

from episodes.episode import EpisodeBatch, EpisodeSpec
from episodes.errors import UserError
from episodes.images.augmentation import Augmentation, NoAugmentation
from episodes.images.augmentation.apply import augment_episodes
from episodes.images.labelled import LabelledImages
from episodes.images.normalization import Normalization
from episodes.optional import learn2learn
from episodes.targets import Targets
from episodes.transformations import Transformations
from episodes.views import normalized_views


class Tasks(Protocol):
    """What is needed of a task set: learn2learn's TaskDataset (Taskset) has it, and so has a list of tasks."""

    def __len__(self) -> int:
        """How many tasks there are."""

    def __getitem__(self, number: int, /) -> Any:
        """(data [rows, C, H, W], labels [rows]) of one task."""


def to_learn2learn(images: LabelledImages, normalization: Normalization | None = None) -> Any:
    """Our images as a ``learn2learn.data.MetaDataset``, for its task transforms, learners and training loops.

    Item i is (image i, [C, H, W] float32; its label, an int). learn2learn would read every image once to learn the
    labels; it is given them instead, so this takes no time whatever the size of the data set.

    Args:
        images: where the images come from; items are on the device that they are gathered onto.
        normalization: applied to every item; by default items are between 0 and 1.

    Raises:
        UserError: if learn2learn is not installed.
    """
    labels = images.labels.tolist()
    by_class: dict[int, list[int]] = {}
    for number, label in enumerate(labels):
        by_class.setdefault(label, []).append(number)
    return learn2learn().data.MetaDataset(
        _Items(images, labels, normalization),
        labels_to_indices=dict(sorted(by_class.items())),
        indices_to_labels=dict(enumerate(labels)),
    )


def episodes_from_learn2learn(
    tasks: Tasks,
    spec: EpisodeSpec,
    normalization: Normalization | None = None,
    augmentation: Augmentation | None = None,
    device: torch.device | str | None = None,
) -> "Learn2LearnEpisodes":
    """A learn2learn task set as a source of our episodes; label augmentation comes afterwards, as for any other.

    Args:
        tasks: a TaskDataset whose tasks are (data, labels): NWays(N), KShots(K + Q) and LoadData among its transforms.
        spec: size of the episodes (N, K, Q).
        normalization: applied to the images, after the augmentation; None where the task set does it itself.
        augmentation: random changes, for training only; it wants images between 0 and 1.
        device: where the episodes go; by default where the tasks are.

    Raises:
        UserError: if there are no tasks.
    """
    return Learn2LearnEpisodes(tasks, spec, normalization, augmentation, device)


class Learn2LearnEpisodes:
    """Episodes made of learn2learn's tasks: rows in any order and any labels in, support and query out.

    Classes are numbered 0..N-1 by rising label. The first K rows of a class, in the order of the task, are its support
    and the other Q its queries; both stand class by class. learn2learn draws the images of a class in random order, so
    this is a random split, and the same one whenever the task is the same.

    Episode i is task i modulo the number of tasks. learn2learn draws a task when it is first asked for, with Python's
    global generator, and keeps it. Without a number of tasks (``num_tasks=-1``) it draws anew at every call, and
    numbers of episodes mean nothing.

    Args:
        tasks: gives (data [N*(K+Q), C, H, W] float, labels [N*(K+Q)] integers) by number.
        spec: size of the episodes.
        normalization: as for :func:`episodes_from_learn2learn`.
        augmentation: as for :func:`episodes_from_learn2learn`.
        device: as for :func:`episodes_from_learn2learn`.

    Raises:
        UserError: if there are no tasks.
    """

    def __init__(
        self,
        tasks: Tasks,
        spec: EpisodeSpec,
        normalization: Normalization | None = None,
        augmentation: Augmentation | None = None,
        device: torch.device | str | None = None,
    ) -> None:
        if not len(tasks):
            raise UserError("the learn2learn task set has no tasks")
        self.tasks, self.spec, self.device = tasks, spec, device
        self.normalization = normalization
        self.augmentation = augmentation or NoAugmentation()

    def batch(
        self,
        numbers: Sequence[int] | range,  # T numbers of episodes
    ) -> EpisodeBatch:  # support [T, N*K, C, H, W], query [T, N*Q, C, H, W]
        """The episodes with these numbers, augmented and normalised.

        Raises:
            UserError: if a task does not fit the spec, or the tasks do not fit each other.
        """
        return self._augmented(numbers).with_items(self._normalized)

    def views(
        self,
        numbers: Sequence[int] | range,  # T numbers of episodes
        transformations: Transformations,
    ) -> EpisodeBatch:  # support [T, N*K, M, C, H, W], query [T, N*Q, M, C, H, W]
        """The episodes with these numbers, augmented, and all M views of every image, normalised.

        Raises:
            UserError: as :meth:`batch`, or if the transformations cannot take the images.
        """
        return self._augmented(numbers).with_items(
            lambda images: normalized_views(images, transformations, self._normalized)
        )

    def _normalized(self, images: Tensor) -> Tensor:
        return self.normalization(images) if self.normalization else images

    def _augmented(self, numbers: Sequence[int] | range) -> EpisodeBatch:
        """The episodes with these numbers, augmented and not normalised."""
        episodes = [self._episode(number % len(self.tasks)) for number in numbers]
        shapes = sorted({tuple(images.shape[1:]) for images in episodes})
        if len(shapes) > 1:
            raise UserError(f"images of learn2learn's tasks differ in shape: {list(shapes[0])} and {list(shapes[1])}")
        images = torch.stack(episodes)  # [T, N*(K+Q), C, H, W]
        images = images if self.device is None else images.to(self.device)
        spec = self.spec
        by_class = images.unflatten(1, (spec.n_way, spec.images_per_class))
        labels = torch.arange(spec.n_way, device=images.device)
        support, query, targets = augment_episodes(
            by_class[:, :, : spec.k_shot].flatten(1, 2),
            by_class[:, :, spec.k_shot :].flatten(1, 2),
            Targets(labels.repeat_interleave(spec.n_query).repeat(len(episodes), 1)),
            self.augmentation,
        )
        support_labels = labels.repeat_interleave(spec.k_shot).repeat(len(episodes), 1)
        return EpisodeBatch(support, support_labels, query, targets, spec.n_way)

    def _episode(self, number: int) -> Tensor:  # [N*(K+Q), C, H, W], class by class, support first
        """The images of one task, put in order."""
        images, labels = _checked(self.tasks[number], number)
        classes, own = labels.unique(return_inverse=True)
        counts = own.bincount()
        _check_counts(classes.tolist(), counts.tolist(), self.spec, number)
        return images[own.argsort(stable=True).to(images.device)]


class _Items(Dataset):
    """Items as learn2learn wants them."""

    def __init__(self, images: LabelledImages, labels: list[int], normalization: Normalization | None) -> None:
        self.images, self.labels, self.normalization = images, labels, normalization

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, number: int) -> tuple[Tensor, int]:
        image = self.images.gather(torch.tensor(number))
        return (self.normalization(image) if self.normalization else image), self.labels[number]


def _checked(task: Any, number: int) -> tuple[Tensor, Tensor]:
    """Images [rows, C, H, W] and labels [rows] of a task, or an error that says what it has instead."""
    pair = isinstance(task, tuple | list) and len(task) == 2 and all(isinstance(part, Tensor) for part in task)
    if not pair:
        raise UserError(f"learn2learn task {number} is not (data, labels), two tensors; is LoadData in its transforms?")
    images, labels = task
    if images.ndim != 4 or not images.is_floating_point():
        raise UserError(
            f"learn2learn task {number}: images must be float [rows, C, H, W], "
            f"not {images.dtype} {list(images.shape)}; a data set of PIL images or bytes needs ToTensor"
        )
    if labels.shape != images.shape[:1] or labels.is_floating_point():
        raise UserError(
            f"learn2learn task {number}: labels must be integers [{len(images)}], "
            f"not {labels.dtype} {list(labels.shape)}"
        )
    return images, labels


def _check_counts(classes: list[int], counts: list[int], spec: EpisodeSpec, number: int) -> None:
    """Refuse tasks from which an episode could be made only by dropping something."""
    need = spec.images_per_class
    if len(classes) != spec.n_way:
        raise UserError(
            f"learn2learn task {number} has {len(classes)} classes, {spec} needs {spec.n_way}: "
            f"NWays(data, {spec.n_way})"
        )
    wrong = [(label, count) for label, count in zip(classes, counts, strict=True) if count != need]
    if wrong:
        label, count = wrong[0]
        uneven = f", others {'more' if max(counts) > count else 'fewer'}" if len(set(counts)) > 1 else ""
        raise UserError(
            f"learn2learn task {number}: class {label} has {count} images{uneven}; {spec} needs {need} of every class: "
            f"KShots(data, {need})"
        )

"""A data set with only so many images a class to train on."""

import numpy as np
import torch
from torch import Tensor

from episodes.datasets.base import DataSource
from episodes.datasets.readers.held_out import class_indices, random_order
from episodes.datasets.readers.subset import TrainSubset
from episodes.errors import UserError
from episodes.images.labelled import LabelledImages

_USE = 0x11817ED  # keeps the choice apart from everything else that is drawn by the same seed


class Limited(TrainSubset):
    """Another source with ``per_class`` images of every class in train; val and test are as they were.

    The images are drawn at random by the seed, each class by itself; for one seed, those for a smaller ``per_class``
    are among those for a larger one. They keep their order.

    Args:
        source: where the images come from.
        per_class: training images a class.
        seed: of the choice; another seed is another data set.

    Raises:
        UserError: if ``per_class`` is not positive.
    """

    def __init__(self, source: DataSource, per_class: int = 25, seed: int = 0) -> None:
        if per_class < 1:
            raise UserError(f"limited: per_class must be 1 or more, not {per_class}")
        super().__init__(source, f"limited-{per_class}" + (f"-seed{seed}" if seed else ""))
        self.per_class = per_class
        self.seed = seed

    def chosen(self, images: LabelledImages) -> Tensor:  # [k] int64, 0..n-1
        """Those that were drawn.

        Raises:
            UserError: if a class has too few images, with its name.
        """
        chosen = []
        for number, index in enumerate(class_indices(images.labels.numpy(), len(images.class_names))):
            if len(index) < self.per_class:
                raise UserError(
                    f"{images.name}: class {images.class_names[number]!r} has {len(index)} images; per_class must be "
                    f"{len(index)} or less, not {self.per_class}"
                )
            order = random_order(len(index), self.seed, _USE, number)
            chosen.append(index[np.sort(order[: self.per_class])])
        return torch.from_numpy(np.concatenate(chosen))

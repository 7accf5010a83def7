"""The base classes of a few-shot data set as a classification problem: the first of two stages."""

import numpy as np
import torch
from numpy.typing import NDArray

from episodes.datasets.base import DataSource, load_split
from episodes.datasets.readers.held_out import class_indices, no_val, random_order
from episodes.datasets.readers.subset import subset
from episodes.errors import UserError
from episodes.images.labelled import LabelledImages

_USE = 0xBA5E  # keeps the choice apart from everything else that is drawn by the same seed


class BaseClasses(DataSource):
    """The train split of a few-shot data set as classes to be told apart; val is held out of the same classes.

    There is no split test: the few-shot splits val and test hold other classes, and stay what they are. What was
    trained here is tested on them by ``python -m fewshot_sla.meta_test RUN --head HEAD``.

    The images that are held out are drawn at random by the seed, each class by itself; for one seed, those for a
    smaller ``val_per_class`` are among those for a larger one. Images keep their order.

    Args:
        source: the few-shot data set.
        val_per_class: images a class that are held out of train; with 0 there is no split val.
        seed: of the choice.

    Raises:
        UserError: if ``val_per_class`` is negative.
    """

    def __init__(self, source: DataSource, val_per_class: int = 0, seed: int = 0) -> None:
        if val_per_class < 0:
            raise UserError(f"base classes: val_per_class must be 0 or more, not {val_per_class}")
        self.source = source
        self.classes_under = source.classes_under
        self.name = f"{source.name}-base"
        self.val_per_class = val_per_class
        self.seed = seed

    def open(
        self,
        split: str,  # "train" or "val"
    ) -> LabelledImages:
        """The images of the base classes on one side of the line.

        Raises:
            UserError: as the source does; if there is no such split, or a class has no more images than are held out.
        """
        if split == "test":
            raise UserError(
                f"{self.name}: there is no split test, for the test classes of {self.source.name} are other classes; "
                "test a run on them with python -m fewshot_sla.meta_test RUN_FOLDER --head logistic"
            )
        if split == "val" and not self.val_per_class:
            raise no_val(self.name, "val_per_class (50, say)")
        images = load_split(self.source, "train")
        name = f"{self.name}/{split}"
        if not self.val_per_class:
            return images.named(name)
        held = self._held_out(images)
        chosen = held if split == "val" else np.setdiff1d(np.arange(len(images)), held)
        return subset(images, torch.from_numpy(chosen), name)

    def _held_out(self, images: LabelledImages) -> NDArray[np.int64]:  # [classes * val_per_class], ascending
        held = []
        for number, index in enumerate(class_indices(images.labels.numpy(), len(images.class_names))):
            if len(index) <= self.val_per_class:
                raise UserError(
                    f"{images.name}: class {images.class_names[number]!r} has {len(index)} images; val_per_class must "
                    f"be less, not {self.val_per_class}"
                )
            held.append(index[random_order(len(index), self.seed, _USE, number)[: self.val_per_class]])
        return np.sort(np.concatenate(held))

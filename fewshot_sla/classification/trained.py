"""A run folder of train as an object: everything about a trained classifier comes from there, nothing is retyped."""

from dataclasses import dataclass
from typing import Any

import torch
import yaml

from episodes.batches.opening import SplitImages, open_batches
from episodes.batches.source import Batches
from episodes.errors import UserError
from episodes.images.normalization import Normalization
from fewshot_sla.classification.classifier import Classifier
from fewshot_sla.classification.recipe import Classification, classification_parser
from fewshot_sla.classification.task import build_classifier
from fewshot_sla.cli import configuration
from fewshot_sla.runs import checkpoint
from fewshot_sla.runs.folder import RunFolder


@dataclass(frozen=True)
class TrainedClassifier:
    """A trained classifier and all that belongs to it.

    Attributes:
        folder: the run.
        recipe: what it was trained by.
        classifier: with the weights that were kept.
        normalization: of its training images.
        configuration: the resolved ``config.yaml`` as plain containers.
        best: validation figures of these weights, and their step.
        class_names: in the order of the outputs.
        class_counts: training images of each class.
        image_shape: (C, H, W) of its training images.
    """

    folder: RunFolder
    recipe: Classification
    classifier: Classifier
    normalization: Normalization
    configuration: dict[str, Any]
    best: dict[str, float]
    class_names: tuple[str, ...]
    class_counts: tuple[int, ...]
    image_shape: tuple[int, int, int]

    def to(self, device: torch.device | str) -> "TrainedClassifier":
        """Move classifier and normalisation (in place) to a device."""
        self.classifier.to(device)
        self.normalization.to(device)
        return self

    def source(self, images: SplitImages) -> Batches:
        """Images, with the normalisation that the model was trained with.

        Raises:
            UserError: if they are not of the classes, or not of the shape, that it was trained on.
        """
        if images.class_names != self.class_names:
            raise UserError(
                f"{self.folder.path}: trained on {len(self.class_names)} classes ({_first(self.class_names)}), "
                f"but {images.name} has {len(images.class_names)} ({_first(images.class_names)})"
            )
        if images.image_shape != self.image_shape:
            raise UserError(
                f"{self.folder.path}: trained on images of shape {list(self.image_shape)}, "
                f"but {images.name} has {list(images.image_shape)}"
            )
        return open_batches(images, 1, 0, self.normalization)


def load_classifier(folder: RunFolder) -> TrainedClassifier:
    """The classifier with the weights that were kept, on the CPU.

    Raises:
        UserError: if there is no such run, or its configuration or checkpoint cannot be used.
    """
    folder.require()
    if not folder.best.exists():
        raise UserError(
            f"{folder.path}: the run stopped before its first checkpoint; continue it with --resume --run_folder"
        )
    tensors, state = checkpoint.load_checkpoint(folder.best)
    if state.get("program") != "train":
        raise UserError(
            f"{folder.path}: this is not a run of python -m fewshot_sla.train; "
            "runs of meta_train are tested with python -m fewshot_sla.meta_test"
        )
    parser = classification_parser()
    recipe = configuration.instantiate(parser, configuration.load(parser, folder.config), Classification)
    channels, height, width = state["image_shape"]
    classifier = build_classifier(recipe, (channels, height, width), len(state["class_names"]))
    checkpoint.load_weights(classifier, checkpoint.without_prefix("model", tensors), folder.best)
    statistics = checkpoint.without_prefix("normalization", tensors)
    return TrainedClassifier(
        folder=folder,
        recipe=recipe,
        classifier=classifier,
        normalization=Normalization(statistics["mean"], statistics["deviation"]),
        configuration=yaml.safe_load(folder.config.read_text()),
        best=state["best"],
        class_names=tuple(state["class_names"]),
        class_counts=tuple(state["class_counts"]),
        image_shape=(channels, height, width),
    )


def _first(names: tuple[str, ...]) -> str:
    return f"{', '.join(names[:3])}{', ...' if len(names) > 3 else ''}"

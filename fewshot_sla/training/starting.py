"""The backbone of a trained run, of whatever kind of training: what another training or another head starts from."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn

from episodes.errors import UserError
from episodes.images.base import Images
from episodes.images.normalization import Normalization
from fewshot_sla.backbones.base import Backbone
from fewshot_sla.cli.recipes import read_options
from fewshot_sla.runs import checkpoint
from fewshot_sla.runs.folder import RunFolder


@dataclass(frozen=True)
class TrainedBackbone:
    """A backbone with the weights that a run keeps, and what it was trained on.

    Attributes:
        folder: the run.
        description: of the backbone in the run's configuration: class path and arguments.
        weights: by name, as of the backbone alone.
        normalization: of the images that it was trained on; it knows no other.
        configuration: the run's, as plain containers.
        state: what the checkpoint says beside the weights.
    """

    folder: RunFolder
    description: Mapping[str, Any]
    weights: Mapping[str, Tensor]
    normalization: Normalization
    configuration: Mapping[str, Any]
    state: Mapping[str, Any]

    def put_into(self, model: nn.Module) -> None:
        """Give the backbone of a model these weights, in place.

        Raises:
            UserError: if the model has no backbone, or one of another architecture.
        """
        backbone = getattr(model, "backbone", None)
        if not isinstance(backbone, Backbone):
            raise UserError(f"{self.folder.path}: a {type(model).__name__} has no backbone that could start from a run")
        own, theirs = type(backbone).__name__, str(self.description.get("class_path", "")).rpartition(".")[2]
        if own != theirs:
            raise UserError(
                f"{self.folder.path}: the run has a {theirs}, the model a {own}; give it the backbone of the run"
            )
        checkpoint.load_weights(backbone, self.weights, self.folder.best)

    def check_images(self, images: Images) -> None:
        """Raise UserError unless images have the shape of those that it was trained on."""
        shape = list(self.state["image_shape"])
        if list(images.image_shape) != shape:
            raise UserError(
                f"{self.folder.path}: trained on images of shape {shape}, {images.name} has {list(images.image_shape)}"
            )

    def check_new(self, base: Images, others: Images) -> None:
        """Raise UserError if it was trained on classes of ``others`` that are none of the base classes.

        What is found on these would then not be of new classes. Classes go by their names.
        """
        known = set(self.state.get("class_names", ())) - set(base.class_names)
        seen = sorted(known & set(others.class_names))
        if seen:
            raise UserError(
                f"{self.folder.path}: the run was trained on {seen[0]!r}, a class of {others.name}, which must be new; "
                "train on episodes.datasets.BaseClasses of the few-shot data"
            )


def trained_backbone(folder: RunFolder) -> TrainedBackbone:
    """The backbone of a run, with the weights that the run keeps: of the best validation, or the last.

    Raises:
        UserError: if there is no such run, it cannot be read, or its model is no backbone with something on top.
    """
    folder.require()
    if not folder.best.exists():
        raise UserError(
            f"{folder.path}: the run stopped before its first validation; continue it with --resume --run_folder"
        )
    tensors, state = checkpoint.load_checkpoint(folder.best)
    configuration = read_options(folder.config)
    weights = checkpoint.without_prefix("model.backbone", tensors)
    inside = configuration.get("learner", {}).get("init_args", {})  # of a meta-learner; a classifier's stands outside
    description = configuration.get("backbone") or inside.get("backbone")
    statistics = checkpoint.without_prefix("normalization", tensors)
    if not weights or not description or not statistics or "image_shape" not in state:
        raise UserError(f"{folder.path}: the model of this run is no backbone with a head or layers on top")
    normalization = Normalization(statistics["mean"], statistics["deviation"])
    return TrainedBackbone(folder, description, weights, normalization, configuration, state)

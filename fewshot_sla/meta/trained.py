"""A run folder as an object: everything about a trained model comes from there, nothing is retyped."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import yaml

from episodes.episode import EpisodeSpec
from episodes.errors import UserError
from episodes.images.labelled import LabelledImages
from episodes.images.normalization import Normalization
from episodes.source import EpisodeSource
from fewshot_sla.cli import configuration
from fewshot_sla.meta.recipe import MetaTraining, recipe_parser
from fewshot_sla.runs import checkpoint
from fewshot_sla.runs.folder import RunFolder


@dataclass(frozen=True)
class TrainedRun:
    """A trained model and all that belongs to it.

    Attributes:
        folder: the run.
        recipe: what it was trained by; ``recipe.learner`` has the weights of the best validation.
        normalization: of its training images.
        configuration: the resolved ``config.yaml`` as plain containers.
        best: validation figures of these weights, and their step.
        image_shape: (C, H, W) of the images it was trained on.
    """

    folder: RunFolder
    recipe: MetaTraining
    normalization: Normalization
    configuration: dict[str, Any]
    best: dict[str, float]
    image_shape: tuple[int, int, int]

    def to(self, device: torch.device | str) -> "TrainedRun":
        """Move learner and normalisation (in place) to a device."""
        self.recipe.learner.to(device)
        self.normalization.to(device)
        return self

    def source(self, images: LabelledImages, spec: EpisodeSpec, seed: int) -> EpisodeSource:
        """Episodes of images, normalised as the model was trained to see them.

        Raises:
            UserError: if the images cannot fill the episodes.
        """
        return EpisodeSource(images, spec, seed, self.normalization)


def load_trained(folder: RunFolder) -> TrainedRun:
    """The model with the weights of the best validation, on the CPU.

    Raises:
        UserError: if there is no run, or its configuration or checkpoint cannot be used.
    """
    folder.require()
    if not folder.best.exists():
        raise UserError(
            f"{folder.path}: the run stopped before its first validation; continue it with --resume --run_folder"
        )
    tensors, state = checkpoint.load_checkpoint(folder.best)
    _check_program(folder, state)
    parser = recipe_parser()
    recipe = configuration.instantiate(parser, configuration.load(parser, folder.config), MetaTraining)
    checkpoint.load_weights(recipe.learner, checkpoint.without_prefix("model", tensors), folder.best)
    statistics = checkpoint.without_prefix("normalization", tensors)
    normalization = Normalization(statistics["mean"], statistics["deviation"])
    described = yaml.safe_load(folder.config.read_text())
    return TrainedRun(folder, recipe, normalization, described, state["best"], tuple(state["image_shape"]))


def newest_run(root: Path) -> RunFolder:
    """The run of meta_train under a folder whose best checkpoint is the newest.

    Raises:
        UserError: if there is none.
    """
    found = sorted(root.rglob("best.safetensors"), key=lambda path: path.stat().st_mtime, reverse=True)
    for path in found:
        folder = RunFolder(path.parent)
        try:
            _check_program(folder, checkpoint.load_checkpoint(path)[1])
        except UserError:  # of another kind of training, or damaged
            continue
        if folder.config.exists():
            return folder
    raise UserError(
        f"there is no run of meta_train under {root.absolute()}; make one with make run, or name a run folder"
    )


def _check_program(folder: RunFolder, state: dict[str, Any]) -> None:
    """A run of another kind of training has another recipe."""
    if state.get("program") != "meta_train" or "image_shape" not in state:
        raise UserError(
            f"{folder.path}: this is not a run of this version's meta_train; "
            "runs of python -m fewshot_sla.train are tested with python -m fewshot_sla.test"
        )

"""Meta-training from a recipe to a trained model: everything is checked before the run folder is made."""

from contextlib import ExitStack
from dataclasses import dataclass

import torch
from lightning_fabric import Fabric
from lightning_fabric.utilities.rank_zero import rank_zero_only

from episodes.datasets.base import load_split
from episodes.errors import UserError
from episodes.images import LabelledImages
from episodes.placement import place
from fewshot_sla.engine import plain_values
from fewshot_sla.engine.loop import Loop
from fewshot_sla.engine.meta_training import EpisodicTask, check_sharing, episode_sources, rehearse
from fewshot_sla.engine.progress import show_progress
from fewshot_sla.engine.provenance import device_facts
from fewshot_sla.engine.recipe import Hardware, MetaTraining
from fewshot_sla.engine.run_folder import RunFolder, write_text
from fewshot_sla.engine.state import TrainingState


@dataclass(frozen=True)
class Training:
    """What is known when training is over.

    Attributes:
        fabric: the processes it ran on.
        recipe: by which.
        validation: the images that chose the best checkpoint, on the device.
        steps: steps made.
        seconds: wall time of the loop, all sessions of a resumed run together.
        best: validation figures of the best step, and that step.
        device: what it ran on.
    """

    fabric: Fabric
    recipe: MetaTraining
    validation: LabelledImages
    steps: int
    seconds: float
    best: dict[str, float]
    device: dict

    @property
    def is_first_process(self) -> bool:
        """Whether this process writes the files."""
        return self.fabric.is_global_zero


def train(recipe: MetaTraining, hardware: Hardware, folder: RunFolder, config: str, *, resuming: bool) -> Training:
    """Train by a recipe, into a run folder.

    Args:
        recipe: what to train and how; its learner is trained in place.
        hardware: what to run on.
        folder: where all files go.
        config: contents of ``config.yaml``.
        resuming: continue from the folder's last checkpoint.

    Raises:
        UserError: before anything is written, if something does not fit; later, if the loss is no longer finite.
        Interrupted: after Ctrl-C; the run can be resumed.
    """
    images = load_split(recipe.data, "train"), load_split(recipe.data, "val")
    rehearse(recipe, episode_sources(recipe, *images)[0])
    fabric = hardware.fabric()
    check_sharing(recipe, fabric.world_size)
    # Other processes are started by fabric.launch() and come through here again: only the first one makes the folder.
    with ExitStack() as stack:
        if not getattr(rank_zero_only, "rank", 0):
            if not resuming:
                folder.create()
            stack.enter_context(folder.in_use())
            if not resuming:
                write_text(folder.config, config)
        fabric.launch()
        return _train(recipe, hardware, folder, config, images, fabric, resuming=resuming)


def _train(
    recipe: MetaTraining,
    hardware: Hardware,
    folder: RunFolder,
    config: str,
    images: tuple[LabelledImages, LabelledImages],
    fabric: Fabric,
    *,
    resuming: bool,
) -> Training:
    device = fabric.device
    train_source, val_source = episode_sources(recipe, *(place(split, device, hardware.placement) for split in images))
    task = EpisodicTask(recipe, train_source, val_source, fabric)
    state = _initial_state(recipe, hardware, fabric, task)
    if resuming:
        state.restore(folder)
        if state.step > recipe.loop.steps:
            raise UserError(
                f"{folder.path}: the run has made {state.step} steps already, loop.steps ({recipe.loop.steps}) is less"
            )
        if fabric.is_global_zero:
            write_text(folder.config, config)  # it may be longer now, or on other hardware
    plain_values.dumps(state.contents()[1])  # what cannot be saved is said now and not at the first checkpoint
    with show_progress("training", silent=not fabric.is_global_zero) as progress:
        Loop(fabric, task, state, recipe.loop, folder, recipe.seed).run(progress)
    facts = device_facts(device, hardware.precision, fabric.world_size)
    return Training(fabric, recipe, val_source.images, state.step, state.seconds, state.best, facts)


def _initial_state(recipe: MetaTraining, hardware: Hardware, fabric: Fabric, task: EpisodicTask) -> TrainingState:
    learner = recipe.learner
    hardware.prepare(learner)
    optimizer = recipe.optimizer(learner.parameters())
    model, _ = fabric.setup(learner, optimizer)
    normalization = task.train.normalization
    return TrainingState(
        model=model,
        plain_model=learner,
        optimizer=optimizer,
        scheduler=recipe.schedule(optimizer),
        extras={
            "normalization.mean": normalization.mean,
            "normalization.deviation": normalization.deviation,
        },
        identity={
            "program": "meta_train",
            "train_images": task.train.images.name,
            "image_shape": list(task.train.images.image_shape),
            "fingerprint": task.train.images.fingerprint,
            "torch": torch.__version__,
        },
    )

"""Training from a plan to a trained model: everything is checked before the run folder is made."""

from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

import torch
from lightning_fabric import Fabric
from lightning_fabric.utilities.rank_zero import rank_zero_only

from episodes.errors import UserError
from episodes.images.base import Images
from episodes.progress import show_progress
from fewshot_sla.runs import checkpoint, plain_values
from fewshot_sla.runs.folder import OtherRunError, RunFolder, write_text
from fewshot_sla.runs.provenance import device_facts
from fewshot_sla.training.loop import Loop
from fewshot_sla.training.plan import Ready, TrainingPlan
from fewshot_sla.training.recipe import Hardware
from fewshot_sla.training.state import TrainingState


@dataclass(frozen=True)
class Training:
    """What is known when training is over.

    Attributes:
        fabric: the processes it ran on.
        validation: the images that chose the best checkpoint, on the device; None if none did.
        steps: steps made.
        seconds: wall time of the loop, all sessions of a resumed run together.
        best: validation figures of the best step, and that step.
        device: what it ran on.
    """

    fabric: Fabric
    validation: Images | None
    steps: int
    seconds: float
    best: dict[str, float]
    device: dict

    @property
    def is_first_process(self) -> bool:
        """Whether this process writes the files."""
        return self.fabric.is_global_zero


def train(plan: TrainingPlan, hardware: Hardware, folder: RunFolder, config: str, *, resuming: bool) -> Training:
    """Train by a plan, into a run folder.

    Args:
        plan: what to train and how; its model is trained in place.
        hardware: what to run on.
        folder: where all files go.
        config: contents of ``config.yaml``.
        resuming: continue from the folder's last checkpoint.

    Raises:
        UserError: before anything is written, if something does not fit; later, if the loss is no longer finite.
        Interrupted: after Ctrl-C; the run can be resumed.
    """
    plan.rehearse()
    fabric = hardware.fabric()
    plan.check_sharing(fabric.world_size)
    # Other processes are started by fabric.launch() and come through here again: only the first one makes the folder.
    with ExitStack() as stack:
        stack.callback(plan.close)
        if not getattr(rank_zero_only, "rank", 0):
            if not resuming:
                folder.create()
                folder.results.unlink(missing_ok=True)  # of a run whose checkpoints were removed
            stack.enter_context(folder.in_use())
            if not resuming:
                write_text(folder.config, config)
        fabric.launch()
        return _train(plan, hardware, folder, config, fabric, resuming=resuming)


def _train(
    plan: TrainingPlan, hardware: Hardware, folder: RunFolder, config: str, fabric: Fabric, *, resuming: bool
) -> Training:
    settings = plan.recipe.loop
    ready = plan.on_device(fabric, hardware)
    state = _initial_state(plan, hardware, fabric, ready)
    if resuming:
        _check_same_run(plan, folder, state.identity, ready.train.images)
        state.restore(folder)
        if fabric.is_global_zero:
            write_text(folder.config, config)  # it may be longer now, or on other hardware
    plain_values.dumps(state.contents()[1])  # what cannot be saved is said now and not at the first checkpoint
    with show_progress("training", silent=not fabric.is_global_zero) as on_progress:
        Loop(fabric, ready.task, state, settings, folder, plan.recipe.seed).run(on_progress)
    facts = device_facts(fabric.device, hardware.precision, fabric.world_size)
    return Training(fabric, ready.validation, state.step, state.seconds, state.best, facts)


def _check_same_run(plan: TrainingPlan, folder: RunFolder, identity: Mapping[str, Any], images: Images) -> None:
    """Raise OtherRunError unless the run in the folder can go on, on these images and to this length."""
    saved = checkpoint.load_checkpoint(folder.last)[1]
    content = ("fingerprint",) if images.fingerprint_is_of_content else ()
    for name in ("image_shape", "class_names", "class_counts", *content):
        if name in saved and saved[name] != identity.get(name):
            raise OtherRunError(
                f"{folder.path}: {images.name} is not what the run began with (another {name}); resume it with those "
                "images, or start anew in another --run_folder"
            )
    steps = plan.recipe.loop.steps
    if saved["step"] > steps:
        raise OtherRunError(
            f"{folder.path}: the run has made {saved['step']} steps already, loop.steps ({steps}) is less"
        )
    try:
        plan.check_resumed(saved)
    except UserError as error:
        raise OtherRunError(f"{folder.path}: {error}, or start anew in another --run_folder") from error


def _initial_state(plan: TrainingPlan, hardware: Hardware, fabric: Fabric, ready: Ready) -> TrainingState:
    hardware.prepare(plan.model)
    optimizer = plan.recipe.optimizer(plan.model.parameters())
    model, _ = fabric.setup(plan.model, optimizer)
    normalization, images = ready.train.normalization, ready.train.images
    return TrainingState(
        model=model,
        plain_model=plan.model,
        optimizer=optimizer,
        scheduler=plan.recipe.schedule(optimizer),
        extras={
            "normalization.mean": normalization.mean,
            "normalization.deviation": normalization.deviation,
        },
        identity={
            "program": plan.program,
            "train_images": images.name,
            "image_shape": list(images.image_shape),
            "fingerprint": images.fingerprint,
            "torch": torch.__version__,
            **plan.identity(),
        },
    )

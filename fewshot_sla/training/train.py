"""Training from a task to a trained model: everything is checked before the run folder is made."""

from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

import torch
import yaml
from lightning_fabric import Fabric
from lightning_fabric.utilities.rank_zero import rank_zero_only

from episodes.errors import UserError
from episodes.progress import show_progress
from fewshot_sla.runs import checkpoint, plain_values
from fewshot_sla.runs.folder import OtherRunError, RunFolder, write_text
from fewshot_sla.runs.loggers import Loggers
from fewshot_sla.runs.provenance import device_facts
from fewshot_sla.training.averaging import WeightAverage
from fewshot_sla.training.clock import first_difference
from fewshot_sla.training.kind import Kind
from fewshot_sla.training.loop import Loop
from fewshot_sla.training.optimizer import make_optimizer
from fewshot_sla.training.processes import check_together, launch
from fewshot_sla.training.recipe import Hardware
from fewshot_sla.training.state import TrainingState
from fewshot_sla.training.synced_batchnorm import synchronise
from fewshot_sla.training.task import TrainingTask


@dataclass(frozen=True)
class Training:
    """What is known when training is over.

    Attributes:
        fabric: the processes it ran on.
        task: what was trained, its images on the device.
        steps: steps made.
        seconds: wall time of the loop, all sessions of a resumed run together.
        best: validation figures of the best step, and that step.
        device: what it ran on.
    """

    fabric: Fabric
    task: TrainingTask
    steps: int
    seconds: float
    best: dict[str, float]
    device: dict[str, Any]

    @property
    def is_first_process(self) -> bool:
        """Whether this process writes the files."""
        return self.fabric.is_global_zero


def train(
    kind: Kind[Any, Any],
    task: TrainingTask,
    hardware: Hardware,
    folder: RunFolder,
    config: str,
    *,
    resuming: bool,
) -> Training:
    """Train into a run folder.

    Args:
        kind: of training; its doors stand in the checkpoints.
        task: what to train and how; its model is trained in place.
        hardware: what to run on.
        folder: where all files go.
        config: contents of ``config.yaml``.
        resuming: continue from the folder's last checkpoint.

    Raises:
        UserError: before anything is written, if something does not fit; later, if the loss is no longer finite.
        Interrupted: after Ctrl-C; the run can be resumed.
    """
    Loggers(task.recipe.loggers).check()
    task.rehearse()
    fabric = hardware.fabric()
    task.check_sharing(fabric.world_size, hardware)
    # Other processes are started by launch() and come through here again: only the first one makes the folder.
    with ExitStack() as stack:
        stack.callback(task.close)
        if not getattr(rank_zero_only, "rank", 0):
            if not resuming:
                folder.create()
                folder.forget()
            stack.enter_context(folder.in_use())
            if not resuming:
                write_text(folder.config, config)
        launch(fabric, hardware.wait_s)
        return _train(kind, task, hardware, folder, config, fabric, resuming=resuming)


def _train(
    kind: Kind[Any, Any],
    task: TrainingTask,
    hardware: Hardware,
    folder: RunFolder,
    config: str,
    fabric: Fabric,
    *,
    resuming: bool,
) -> Training:
    task.on_device(fabric, hardware)
    hardware.prepare(task.model)
    if not resuming:
        task.model.to(fabric.device)
        task.calibrate()
    synchronise(task.model, task.team)
    state = _initial_state(kind, task, fabric)
    if resuming:
        _check_same_run(task, folder, state.identity)
        state.restore(folder)
        if fabric.is_global_zero:
            write_text(folder.config, config)  # it may be longer now, or on other hardware
    check_together(fabric, state.step)
    plain_values.dumps(state.contents()[1])  # what cannot be saved is said now and not at the first checkpoint
    with show_progress("training", silent=not fabric.is_global_zero) as on_progress:
        Loop(fabric, task, state, folder, yaml.safe_load(config)).run(on_progress)
    facts = device_facts(fabric.device, hardware.used_precision, fabric.world_size)
    return Training(fabric, task, state.step, state.seconds, state.best, facts)


def _check_same_run(task: TrainingTask, folder: RunFolder, identity: Mapping[str, Any]) -> None:
    """Raise OtherRunError unless the run in the folder can go on, on these images and to this length."""
    saved = checkpoint.load_state(folder.last)
    images = task.train
    content = ("fingerprint",) if images.fingerprint_is_of_content else ()
    for name in ("image_shape", "class_names", "class_counts", *content):
        if name in saved and saved[name] != identity.get(name):
            raise OtherRunError(
                f"{folder.path}: {images.name} is not what the run began with (another {name}); resume it with those "
                "images, or start anew in another --run_folder"
            )
    steps = task.recipe.loop.steps
    if saved["step"] > steps:
        raise OtherRunError(
            f"{folder.path}: the run has made {saved['step']} steps already, loop.steps ({steps}) is less"
        )
    before = saved.get("steps", steps)
    differs = first_difference(task.scheduled, saved["step"], before, steps)
    if differs is not None:
        raise OtherRunError(
            f"{folder.path}: the recipe goes by the share of the training that is done, and step {differs} of {before} "
            f"was not made as it would be in a run of {steps} steps; keep loop.steps ({before}), or start anew in "
            "another --run_folder"
        )
    try:
        task.check_resumed(saved)
    except UserError as error:
        raise OtherRunError(f"{folder.path}: {error}, or start anew in another --run_folder") from error


def _initial_state(kind: Kind[Any, Any], task: TrainingTask, fabric: Fabric) -> TrainingState:
    optimizer = make_optimizer(task.recipe, task.model)
    model, _ = fabric.setup(task.model, optimizer)
    average = task.recipe.updates.average
    images, normalization = task.train, task.normalization
    return TrainingState(
        model=model,
        plain_model=task.model,
        optimizer=optimizer,
        average=WeightAverage(task.model, average) if average else None,
        extras={
            "normalization.mean": normalization.mean,
            "normalization.deviation": normalization.deviation,
        },
        identity={
            "program": kind.program,
            "tester": kind.tester,
            "train_images": images.name,
            "image_shape": list(images.image_shape),
            "fingerprint": images.fingerprint,
            "steps": task.recipe.loop.steps,
            "torch": torch.__version__,
            **task.identity(),
        },
    )

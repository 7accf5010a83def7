"""What every recipe of a training has: how long it goes on, and the hardware it runs on."""

import os
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Protocol

import torch
from jsonargparse import ArgumentParser
from torch import nn
from torch.optim import Optimizer

from episodes.errors import UserError
from episodes.images.placement import Placement
from fewshot_sla.runs.loggers import Logger
from fewshot_sla.training.precision import Precision, UsedPrecision, fast_precision
from fewshot_sla.training.schedules import Schedule
from fewshot_sla.training.updates import Updates

if TYPE_CHECKING:
    from lightning_fabric import Fabric


@dataclass
class LoopSettings:
    """How long training goes on, and how often it looks up.

    Args:
        steps: steps of the optimiser in all.
        validate_every: steps between validations; the last step is always followed by one.
        log_every: steps between rows of metrics.csv; a non-finite loss is found out there.
        checkpoint_every: steps between checkpoints to resume from; 0 means at every validation.
        snapshot_every: steps between snapshots of the weights, which are all kept, that of the last step too; 0 means
            none.
    """

    steps: int = 600
    validate_every: int = 200
    log_every: int = 20
    checkpoint_every: int = 0
    snapshot_every: int = 0

    def __post_init__(self) -> None:
        """Refuse counts that cannot be counted to."""
        for name in ("steps", "validate_every", "log_every"):
            if getattr(self, name) < 1:
                raise UserError(f"loop.{name} must be at least 1, got {getattr(self, name)}")
        for name in ("checkpoint_every", "snapshot_every"):
            if getattr(self, name) < 0:
                raise UserError(f"loop.{name} must not be negative, got {getattr(self, name)}")


class Recipe(Protocol):
    """What the recipes of all kinds of training have in common; each is a dataclass of its own, read from YAML.

    Attributes:
        loop: how long to train, and how often to look up.
        updates: what is done to gradients and weights around each step.
        seed: fixes initial weights, batches and everything random in training.
    """

    loop: LoopSettings
    updates: Updates
    seed: int

    @property
    def optimizer(self) -> Callable[[Iterable], Optimizer]:
        """Makes the optimiser of the weights."""

    @property
    def schedule(self) -> Schedule:
        """Sets its learning rate, by the share of the training that is done."""

    @property
    def loggers(self) -> Sequence[Logger]:
        """What the figures of the training are written to."""


@dataclass
class Hardware:
    """What to run on; does not sway the result beyond rounding, but for dropout where a pass is divided.

    Args:
        accelerator: "auto", "cpu", "cuda" or "mps".
        devices: number of devices, and so of processes, on this machine.
        num_nodes: number of machines.
        sync_batchnorm: where there are not enough passes for each process to take whole ones, let several divide each
            pass, with the statistics of BatchNorm those of the whole pass: the result is that of one process.
        strategy: how processes work together: "auto", "ddp", ...
        precision: what backbones compute in: "32-true", "bf16-mixed", or "auto": bf16-mixed on a device that
            has instructions for it, else 32-true; heads and solvers never go below float32.
        channels_last: keep weights in the memory order that convolutions are fastest in.
        compile: compile the backbone (the whole model, if it has none) with torch.compile; pays in long runs.
        placement: where the bytes of the data set live: "device", "pinned" (this process's memory), "mmap" (the
            file), or "auto", the first of these for which there is room.
        wait_s: how many seconds several processes wait for one another, at the start and whenever they meet.
    """

    accelerator: str = "auto"
    devices: int = 1
    num_nodes: int = 1
    sync_batchnorm: bool = False
    strategy: str = "auto"
    precision: Precision = "32-true"
    channels_last: bool = True
    compile: bool = False
    placement: Placement = "auto"
    wait_s: float = 1800.0

    def fabric(self) -> "Fabric":
        """Fabric for this hardware, not launched yet.

        Raises:
            UserError: if the machine does not have it.
        """
        # Both take seconds to import, and --help does not need them.
        from lightning_fabric import Fabric
        from lightning_fabric.strategies import DDPStrategy

        from fewshot_sla.training.processes import check_launcher

        check_launcher(self.devices, self.num_nodes)
        strategy: str | DDPStrategy = self.strategy
        if self.strategy in ("auto", "ddp") and self.devices * self.num_nodes > 1:
            # Buffers are averaged once a step (StepBuffers); the first process's must not replace those of the others.
            strategy = DDPStrategy(broadcast_buffers=False, timeout=timedelta(seconds=self.wait_s))
        try:
            fabric = Fabric(
                accelerator=self.accelerator,
                devices=self.devices,
                num_nodes=self.num_nodes,
                strategy=strategy,
                precision=self.used_precision,
            )
        except (TypeError, ValueError, RuntimeError, ImportError) as error:
            raise UserError(f"this machine cannot run with the accelerator asked for: {error}") from error
        most = max(2, os.cpu_count() or 1)
        if fabric.device.type == "cpu" and self.devices > most:  # Fabric would start them all
            raise UserError(f"devices must be at most {most} on this machine's CPU, got {self.devices}")
        return fabric

    @property
    def used_precision(self) -> UsedPrecision:
        """The precision that is computed in: what was asked for, or what "auto" comes to on this machine."""
        if self.precision != "auto":
            return self.precision
        kinds = {"auto": "cuda" if torch.cuda.is_available() else "cpu", "gpu": "cuda"}
        return fast_precision(kinds.get(self.accelerator, self.accelerator))

    def prepare(self, model: nn.Module) -> None:
        """Memory format and compilation, in place; names and values of the weights stay as they are."""
        model.to(memory_format=torch.channels_last if self.channels_last else torch.contiguous_format)
        if self.compile:
            getattr(model, "backbone", model).compile()


def add_run_options(parser: ArgumentParser, run_folder: str) -> None:
    """The options of every training that are no part of its recipe: where its files go, and whether to go on."""
    parser.add_argument("--run_folder", type=str, default=run_folder, help="Folder that all files of the run go to.")
    parser.add_argument(
        "--resume",
        action="store_true",
        help="Continue the run in the run folder, without --config by its own config.yaml; start one if there is none.",
    )

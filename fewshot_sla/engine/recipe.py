"""What a user writes down: the recipe of a training, and the hardware to run it on."""

import os
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import torch
from jsonargparse import ArgumentParser
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler

from episodes.datasets.base import DataSource
from episodes.episode import EpisodeSpec
from episodes.errors import UserError
from episodes.image_augmentation import ImageAugmentation
from episodes.placement import Placement
from fewshot_sla.engine.configuration import build_parser
from fewshot_sla.learners.base import MetaLearner
from fewshot_sla.objectives.episodic import EpisodeObjective

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
    """

    steps: int = 600
    validate_every: int = 200
    log_every: int = 20
    checkpoint_every: int = 0

    def __post_init__(self) -> None:
        """Refuse counts that cannot be counted to."""
        for name in ("steps", "validate_every", "log_every"):
            if getattr(self, name) < 1:
                raise UserError(f"loop.{name} must be at least 1, got {getattr(self, name)}")
        if self.checkpoint_every < 0:
            raise UserError(f"loop.checkpoint_every must not be negative, got {self.checkpoint_every}")


@dataclass
class MetaTraining:
    """The recipe of a meta-training: everything that sways its result.

    Args:
        data: where the images come from; the train split is trained on, the val split chooses the best checkpoint.
        learner: the meta-learner to train.
        objective: Plain, DA or SLA, with its transformations.
        train: size of the training episodes, before label augmentation.
        augmentation: random changes of every training image, drawn anew each time it is used.
        validation: size of the validation episodes.
        optimizer: any torch optimiser.
        schedule: learning-rate schedule, counted in steps.
        loop: how long to train, and how often to look up.
        episodes_per_step: episodes whose mean loss makes a step of the optimiser (T).
        episodes_per_forward: episodes that go through the learner together; the gradients of the passes of a step are
            summed before the optimiser steps. They share the statistics of BatchNorm, so this is part of the recipe:
            memory grows with it, and with 1 the result is the same however the episodes are spread over processes.
        validation_episodes: number of validation episodes, the same ones each time.
        seed: fixes initial weights, episodes and everything random in training.
    """

    data: DataSource
    learner: MetaLearner
    objective: EpisodeObjective
    train: EpisodeSpec
    augmentation: ImageAugmentation
    validation: EpisodeSpec
    optimizer: Callable[[Iterable], Optimizer]
    schedule: Callable[[Optimizer], LRScheduler]
    loop: LoopSettings
    episodes_per_step: int = 1
    episodes_per_forward: int = 1
    validation_episodes: int = 200
    seed: int = 0

    def __post_init__(self) -> None:
        """Refuse counts that cannot be counted to."""
        for name in ("episodes_per_step", "episodes_per_forward", "validation_episodes"):
            if getattr(self, name) < 1:
                raise UserError(f"{name} must be at least 1, got {getattr(self, name)}")


DEFAULTS: dict[str, Any] = {
    "data": {"class_path": "episodes.datasets.Glyphs"},
    "learner": {
        "class_path": "fewshot_sla.learners.EmbeddingLearner",
        "init_args": {
            "backbone": {"class_path": "fewshot_sla.backbones.Conv4", "init_args": {"in_channels": 1}},
            "head": {"class_path": "fewshot_sla.heads.ProtoNetHead"},
        },
    },
    "objective": {
        "class_path": "fewshot_sla.objectives.SLA",
        "init_args": {"transformations": {"class_path": "episodes.Rotation"}},
    },
    "train": {"n_way": 5, "k_shot": 1, "n_query": 15},
    "augmentation": {"class_path": "episodes.image_augmentation.NoAugmentation"},
    "validation": {"n_way": 5, "k_shot": 1, "n_query": 15},
    "optimizer": {"class_path": "torch.optim.Adam", "init_args": {"lr": 0.001}},
    "schedule": {
        "class_path": "fewshot_sla.engine.schedules.PiecewiseConstant",
        "init_args": {"milestones": [], "factors": []},
    },
}


@dataclass
class Hardware:
    """What to run on; does not sway the result beyond rounding.

    Args:
        accelerator: "auto", "cpu", "cuda" or "mps".
        devices: number of devices, and so of processes, on this machine.
        num_nodes: number of machines.
        strategy: how processes work together: "auto", "ddp", ...
        precision: what backbones compute in: "32-true" or "bf16-mixed"; heads and solvers never go below float32.
        channels_last: keep weights in the memory order that convolutions are fastest in.
        compile: compile the backbone (the whole learner, if it has none) with torch.compile; pays in long runs.
        placement: where the bytes of the data set live: "device", "pinned" (this process's memory), "mmap" (the
            file), or "auto", the first of these for which there is room.
    """

    accelerator: str = "auto"
    devices: int = 1
    num_nodes: int = 1
    strategy: str = "auto"
    precision: Literal["32-true", "bf16-mixed"] = "32-true"
    channels_last: bool = True
    compile: bool = False
    placement: Placement = "auto"

    def fabric(self) -> "Fabric":
        """Fabric for this hardware, not launched yet.

        Raises:
            UserError: if the machine does not have it.
        """
        from lightning_fabric import Fabric  # takes seconds to import, and --help does not need it

        try:
            fabric = Fabric(
                accelerator=self.accelerator,
                devices=self.devices,
                num_nodes=self.num_nodes,
                strategy=self.strategy,
                precision=self.precision,
            )
        except (TypeError, ValueError, RuntimeError, ImportError) as error:
            raise UserError(f"this machine cannot run with the accelerator asked for: {error}") from error
        most = max(2, os.cpu_count() or 1)
        if fabric.device.type == "cpu" and self.devices > most:  # Fabric would start them all
            raise UserError(f"devices must be at most {most} on this machine's CPU, got {self.devices}")
        return fabric

    def prepare(self, learner: MetaLearner) -> None:
        """Memory format and compilation, in place; names and values of the weights stay as they are."""
        learner.to(memory_format=torch.channels_last if self.channels_last else torch.contiguous_format)
        if self.compile:
            getattr(learner, "backbone", learner).compile()


def recipe_parser() -> ArgumentParser:
    """The command line of meta_train, and the schema of ``config.yaml`` in a run folder."""
    parser = build_parser(
        "python -m fewshot_sla.meta_train",
        "Meta-train a few-shot learner, with or without label augmentation. Without arguments: ProtoNet + SLA on "
        "letters rendered from fonts.",
        MetaTraining,
        Hardware,
        defaults=DEFAULTS,
    )
    parser.add_argument(
        "--run_folder", type=str, default="runs/meta_train", help="Folder that all files of the run go to."
    )
    parser.add_argument(
        "--resume",
        action="store_true",
        help="Continue the run in the run folder, without --config by its own config.yaml; start one if there is none.",
    )
    return parser

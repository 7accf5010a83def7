"""The recipe of a classification training: everything that sways its result."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Literal

from jsonargparse import ArgumentParser
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler

from episodes.datasets.base import DataSource
from episodes.errors import UserError
from episodes.images.augmentation import Augmentation
from fewshot_sla.backbones.base import Backbone
from fewshot_sla.classification.objectives import ClassificationObjective
from fewshot_sla.cli.configuration import build_parser
from fewshot_sla.training.recipe import Hardware, LoopSettings, add_run_options


@dataclass
class Classification:
    """The recipe of a classification training: everything that sways its result.

    Args:
        data: where the images come from; its splits hold the same classes.
        backbone: turns images into features; the linear layers that the objective needs are put on top.
        objective: Baseline, DA, MT, SLA or SLASD, with its transformations and the loss of its labels.
        augmentation: random changes of every training image, drawn anew each time it is used.
        optimizer: any torch optimiser.
        schedule: learning-rate schedule, counted in steps.
        loop: how long to train, and how often to look up.
        batch_size: images of a step, each of which becomes M views.
        images_per_forward: images that go through the network together, with all their views; the gradients of the
            passes of a step are averaged before the optimiser steps. They share the statistics of BatchNorm, and the
            sum of weights that a re-weighted loss is divided by. 0: all images of this process at once.
        keep: "best": the weights that do best on the val split, by the primary inference; "last": the last ones, as in
            the papers; the val split is then not opened.
        seed: fixes initial weights, batches and everything random in training.
    """

    data: DataSource
    backbone: Backbone
    objective: ClassificationObjective
    augmentation: Augmentation
    optimizer: Callable[[Iterable], Optimizer]
    schedule: Callable[[Optimizer], LRScheduler]
    loop: LoopSettings
    batch_size: int = 128
    images_per_forward: int = 0
    keep: Literal["best", "last"] = "best"
    seed: int = 0

    def __post_init__(self) -> None:
        """Refuse counts that cannot be counted to."""
        if self.batch_size < 1:
            raise UserError(f"batch_size must be at least 1, got {self.batch_size}")
        if self.images_per_forward < 0:
            raise UserError(f"images_per_forward must not be negative, got {self.images_per_forward}")


DEFAULTS: dict[str, Any] = {
    "data": {"class_path": "episodes.datasets.Digits"},
    "backbone": {"class_path": "fewshot_sla.backbones.ConvNet", "init_args": {"in_channels": 1, "channels": 32}},
    "objective": {
        "class_path": "fewshot_sla.classification.SLA",
        "init_args": {"transformations": {"class_path": "episodes.Rotation"}},
    },
    "augmentation": {"class_path": "episodes.images.augmentation.NoAugmentation"},
    "optimizer": {"class_path": "torch.optim.SGD", "init_args": {"lr": 0.1, "momentum": 0.9, "weight_decay": 0.0001}},
    "schedule": {
        "class_path": "fewshot_sla.training.schedules.PiecewiseConstant",
        "init_args": {"milestones": [400, 600], "factors": [0.1, 0.01]},
    },
    "loop": {"steps": 800},
    "batch_size": 50,
}


def classification_parser() -> ArgumentParser:
    """The command line of train, and the schema of ``config.yaml`` in its run folders."""
    parser = build_parser(
        "python -m fewshot_sla.train",
        "Train a classifier, with or without label augmentation, on balanced or long-tailed data. Without any "
        "argument: all objectives on handwritten digits, compared over several seeds (see python -m "
        "fewshot_sla.study).",
        Classification,
        Hardware,
        defaults=DEFAULTS,
    )
    add_run_options(parser, "runs/train")
    return parser

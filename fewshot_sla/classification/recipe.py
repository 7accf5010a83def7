"""The recipe of a classification training, everything that sways its result; and of a test of what came of it."""

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any, Literal

from torch.optim import Optimizer

from episodes.datasets.base import DataSource
from episodes.errors import UserError
from episodes.images.augmentation import Augmentation
from fewshot_sla.backbones.base import Backbone
from fewshot_sla.classification.objectives import ClassificationObjective
from fewshot_sla.runs.loggers import Logger
from fewshot_sla.training.recipe import LoopSettings
from fewshot_sla.training.schedules import Schedule
from fewshot_sla.training.updates import Updates


@dataclass
class Distillation:
    """Whether, and how, a trained classifier teaches this one; see ``fewshot_sla/classification/distillation.py``.

    Args:
        teacher: folder of a run of train on the same classes, with the same objective; empty for none.
        temperature: softens both distributions; positive.
        weight: of the divergence from the teacher.
        label_weight: of the loss of the labels beside it.

    Raises:
        UserError: if a number is out of its range.
    """

    teacher: str = ""
    temperature: float = 4.0
    weight: float = 1.0
    label_weight: float = 1.0

    def __post_init__(self) -> None:
        """Refuse what teaches nothing."""
        if not 0 < self.temperature < math.inf:
            raise UserError(f"distillation.temperature must be positive and finite, got {self.temperature}")
        for name in ("weight", "label_weight"):
            if not 0 <= getattr(self, name) < math.inf:
                raise UserError(f"distillation.{name} must be a finite number of at least 0, got {getattr(self, name)}")


@dataclass
class Classification:
    """The recipe of a classification training: everything that sways its result.

    Args:
        data: where the images come from; its splits hold the same classes.
        backbone: turns images into features; the linear layers that the objective needs are put on top.
        objective: Baseline, DA, MT, SLA or SLASD, with its transformations and the loss of its labels.
        augmentation: random changes of every training image, drawn anew each time it is used.
        optimizer: any torch optimiser.
        schedule: learning-rate schedule, by the share of the training that is done.
        loop: how long to train, and how often to look up.
        loggers: what the figures of the training are written to.
        updates: what is done to gradients and weights around each step: clipping, what decays, averaged weights.
        distillation: whether a trained run teaches this one, beside the labels.
        batch_size: images of a step, each of which becomes M views.
        images_per_forward: images that go through the network together, with all their views; the gradients of the
            passes of a step are averaged before the optimiser steps. They share the statistics of BatchNorm, and the
            sum of weights that a re-weighted loss is divided by. 0: all images of this process at once; with
            ``sync_batchnorm`` all images of the step.
        keep: "best": the weights that do best on the val split, by the primary inference; "last": the last ones, as in
            the papers; the val split is then not opened.
        seed: fixes initial weights, batches and everything random in training.
    """

    data: DataSource
    backbone: Backbone
    objective: ClassificationObjective
    augmentation: Augmentation
    optimizer: Callable[[Iterable], Optimizer]
    schedule: Schedule
    loop: LoopSettings
    loggers: list[Logger]
    updates: Updates = field(default_factory=Updates)
    distillation: Distillation = field(default_factory=Distillation)
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


_LOGGERS = "fewshot_sla.runs.loggers"
DEFAULTS: dict[str, Any] = {
    "loggers": [{"class_path": f"{_LOGGERS}.CSVLogger"}, {"class_path": f"{_LOGGERS}.TensorBoardLogger"}],
    "data": {"class_path": "episodes.datasets.Digits"},
    "backbone": {"class_path": "fewshot_sla.backbones.ConvNet", "init_args": {"in_channels": 1, "channels": 32}},
    "objective": {
        "class_path": "fewshot_sla.classification.SLA",
        "init_args": {"transformations": {"class_path": "episodes.Rotation"}},
    },
    "augmentation": {"class_path": "episodes.images.augmentation.NoAugmentation"},
    "optimizer": {"class_path": "torch.optim.SGD", "init_args": {"lr": 0.1, "momentum": 0.9, "weight_decay": 0.0001}},
    "schedule": {
        "class_path": "fewshot_sla.training.PiecewiseConstant",
        "init_args": {"milestones": [0.5, 0.75], "factors": [0.1, 0.01]},
    },
    "loop": {"steps": 800},
    "batch_size": 50,
}


@dataclass
class ClassificationTest:
    """What to test on, and how.

    Args:
        split: "test", "val" or "train".
        inference: name of one inference, for instance aggregated; by default all that the model has.
        padding: pixels of black added on each side for the ten crops.
    """

    split: str = "test"
    inference: str = ""
    padding: int = 4

    def __post_init__(self) -> None:
        """Refuse what cannot be cropped."""
        if self.padding < 1:
            raise UserError(f"padding must be at least 1, got {self.padding}")

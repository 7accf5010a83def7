"""The recipe of a meta-training: everything that sways its result."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from jsonargparse import ArgumentParser
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler

from episodes.datasets.base import DataSource
from episodes.episode import EpisodeSpec
from episodes.errors import UserError
from episodes.images.augmentation import Augmentation
from fewshot_sla.cli.configuration import build_parser
from fewshot_sla.meta.learners.base import MetaLearner
from fewshot_sla.meta.objectives import EpisodeObjective
from fewshot_sla.training.recipe import Hardware, LoopSettings, add_run_options


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
    augmentation: Augmentation
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
        "class_path": "fewshot_sla.meta.EmbeddingLearner",
        "init_args": {
            "backbone": {"class_path": "fewshot_sla.backbones.Conv4", "init_args": {"in_channels": 1}},
            "head": {"class_path": "fewshot_sla.heads.ProtoNetHead"},
        },
    },
    "objective": {
        "class_path": "fewshot_sla.meta.SLA",
        "init_args": {"transformations": {"class_path": "episodes.Rotation"}},
    },
    "train": {"n_way": 5, "k_shot": 1, "n_query": 15},
    "augmentation": {"class_path": "episodes.images.augmentation.NoAugmentation"},
    "validation": {"n_way": 5, "k_shot": 1, "n_query": 15},
    "optimizer": {"class_path": "torch.optim.Adam", "init_args": {"lr": 0.001}},
    "schedule": {
        "class_path": "fewshot_sla.training.schedules.PiecewiseConstant",
        "init_args": {"milestones": [], "factors": []},
    },
}


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
    add_run_options(parser, "runs/meta_train")
    return parser

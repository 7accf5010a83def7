"""The recipe of a meta-training, everything that sways its result; and of a test of what came of it."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any, Literal

from torch.optim import Optimizer

from episodes.datasets.base import DataSource
from episodes.episode import EpisodeSpec
from episodes.errors import UserError
from episodes.images.augmentation import Augmentation
from fewshot_sla.meta.learners.base import MetaLearner
from fewshot_sla.meta.objectives import EpisodeObjective
from fewshot_sla.runs.loggers import Logger
from fewshot_sla.training.recipe import LoopSettings
from fewshot_sla.training.schedules import Schedule
from fewshot_sla.training.updates import Updates

VALIDATION_SEED = 0  # of the validation episodes: the same for every recipe, so that its figures can be compared


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
        schedule: learning-rate schedule, by the share of the training that is done.
        loop: how long to train, and how often to look up.
        loggers: what the figures of the training are written to.
        updates: what is done to gradients and weights around each step: clipping, what decays, averaged weights.
        episodes_per_step: episodes whose mean loss makes a step of the optimiser (T).
        episodes_per_forward: episodes that go through the learner together; the gradients of the passes of a step are
            summed before the optimiser steps. They share the statistics of BatchNorm, so this is part of the recipe:
            memory grows with it, and with 1 the result is the same however the episodes are spread over processes.
        validation_episodes: number of validation episodes, the same ones each time.
        start: "calibrated": before the first step the head's scale is set so that the logits of the first episodes
            have a fixed spread (see docs/calibration.md); "as_given": it starts as the recipe says, as in the papers.
        weights: folder of a run of train or meta_train whose backbone the learner's starts from, and whose
            normalisation it keeps; the start is validated too, and kept unless training improves it. Empty for weights
            drawn at random.
        seed: fixes initial weights, episodes and everything random in training.
    """

    data: DataSource
    learner: MetaLearner
    objective: EpisodeObjective
    train: EpisodeSpec
    augmentation: Augmentation
    validation: EpisodeSpec
    optimizer: Callable[[Iterable], Optimizer]
    schedule: Schedule
    loop: LoopSettings
    loggers: list[Logger]
    updates: Updates = field(default_factory=Updates)
    episodes_per_step: int = 1
    episodes_per_forward: int = 1
    validation_episodes: int = 200
    start: Literal["calibrated", "as_given"] = "calibrated"
    weights: str = ""
    seed: int = 0

    def __post_init__(self) -> None:
        """Refuse counts that cannot be counted to."""
        for name in ("episodes_per_step", "episodes_per_forward", "validation_episodes"):
            if getattr(self, name) < 1:
                raise UserError(f"{name} must be at least 1, got {getattr(self, name)}")


_LOGGERS = "fewshot_sla.runs.loggers"
DEFAULTS: dict[str, Any] = {
    "loggers": [{"class_path": f"{_LOGGERS}.CSVLogger"}, {"class_path": f"{_LOGGERS}.TensorBoardLogger"}],
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
    "schedule": {"class_path": "fewshot_sla.training.Constant"},
}


@dataclass
class MetaTest:
    """Which episodes to test on.

    Args:
        n_way: classes of an episode (N).
        k_shot: one or more numbers of support images a class (K); each is a test of its own.
        n_query: query images of each class (Q).
        episodes: episodes of each test.
        seed: which episodes; runs that are to be compared need the same.
        split: "test", "val" or "train".
        disjoint: also run episodes of which no two share an image, as many as there are images for, at most
            ``episodes``: the interval over them covers which images there are.
        padding: pixels of black added on each side for the ten crops.
        unknown_ways: classes outside each episode (U) whose queries are asked too, ``n_query`` of each: how well scores
            tell that their class is unknown. The episodes stay the same; with 0 nothing of the kind is asked.
    """

    n_way: int = 5
    k_shot: list[int] = field(default_factory=lambda: [1, 5])
    n_query: int = 15
    episodes: int = 1000
    seed: int = 0
    split: str = "test"
    disjoint: bool = True
    padding: int = 4
    unknown_ways: int = 0

    def __post_init__(self) -> None:
        """Refuse what no test can be."""
        for name in ("episodes", "padding"):
            if getattr(self, name) < 1:
                raise UserError(f"{name} must be at least 1, got {getattr(self, name)}")
        if self.unknown_ways < 0:
            raise UserError(f"unknown_ways must be at least 0, got {self.unknown_ways}")
        if len(set(self.k_shot)) < len(self.k_shot):
            raise UserError(f"k_shot must be numbers each given once, got {self.k_shot}")
        if not self.k_shot:
            raise UserError("k_shot needs at least one number")

    def specs(self) -> list[EpisodeSpec]:
        """One size of episodes a test."""
        return [EpisodeSpec(self.n_way, k_shot, self.n_query) for k_shot in self.k_shot]

"""Meta-training as the training loop sees it: from numbers of episodes to a loss, and what is checked before."""

from typing import Any

import torch
from lightning_fabric import Fabric
from torch import Tensor, nn

from episodes.datasets.base import check_transformations, load_split
from episodes.errors import UserError
from episodes.images.labelled import LabelledImages
from episodes.source import EpisodeSource
from fewshot_sla.meta.distributed import Processes, evaluate_together
from fewshot_sla.meta.features import base_mean
from fewshot_sla.meta.learners.base import CALIBRATION_EPISODES, MetaLearner, WithLoss
from fewshot_sla.meta.recipe import VALIDATION_SEED, MetaTraining
from fewshot_sla.runs.folder import RunFolder
from fewshot_sla.training.clock import Clock
from fewshot_sla.training.mixtures import check_mixtures
from fewshot_sla.training.modes import evaluation_mode
from fewshot_sla.training.optimizer import check_optimizer
from fewshot_sla.training.randomness import seeded
from fewshot_sla.training.recipe import Hardware
from fewshot_sla.training.sharing import StepSize
from fewshot_sla.training.starting import TrainedBackbone, trained_backbone
from fewshot_sla.training.task import Outcome, TrainingTask

TOLD = 2
"""Key of the seed of what a learner draws when it is told the shape of the images."""


class MetaTask(TrainingTask):
    """Meta-training. A step is T episodes, shared out over passes and processes; the test split is never opened.

    Pass g of step s (counted over all processes) trains on episodes s*T + g*P ... s*T + g*P + P - 1, where T is
    ``episodes_per_step`` and P is ``episodes_per_forward``. Where several processes divide a pass, each draws and
    augments all of its episodes and keeps its part, so episodes and augmentation are those of one process; what the
    learner draws at random (dropout, DropBlock) is so in distribution only.

    Args:
        recipe: what to train and how; its learner is trained in place.

    Raises:
        UserError: if the images cannot be loaded, cannot fill the episodes, or are none that the learner takes; or the
            run that is started from does not fit the learner or the images.
    """

    recipe: MetaTraining
    model: MetaLearner
    train: LabelledImages
    validation: LabelledImages

    def __init__(self, recipe: MetaTraining) -> None:
        self.recipe, self.model, self.score = recipe, recipe.learner, recipe.objective.primary
        self.train, self.validation = load_split(recipe.data, "train"), load_split(recipe.data, "val")
        if self.train.image_shape != self.validation.image_shape:
            raise UserError(
                f"{self.train.name} has images of shape {list(self.train.image_shape)}, "
                f"{self.validation.name} of {list(self.validation.image_shape)}; they must be equal"
            )
        self.normalization = self.train.normalization()
        if recipe.weights:
            self._start_from(trained_backbone(RunFolder(recipe.weights)))
        with seeded(recipe.seed, TOLD):
            self.model.told(self.train.image_shape)
        self._make_sources()

    def _start_from(self, trained: TrainedBackbone) -> None:
        """Weights of a run, and the normalisation that they were trained with."""
        trained.check_images(self.train)
        trained.check_new(self.train, self.validation)
        trained.put_into(self.model)
        self.normalization, self.starts_trained = trained.normalization, True

    def _make_sources(self) -> None:
        """Where training and validation episodes come from, both normalised as the training images are."""
        recipe, normalization = self.recipe, self.normalization
        self.episodes = EpisodeSource(self.train, recipe.train, recipe.seed, normalization, recipe.augmentation)
        self.validation_episodes = EpisodeSource(self.validation, recipe.validation, VALIDATION_SEED, normalization)

    def rehearse(self) -> None:
        """One training episode through everything.

        Raises:
            UserError: if augmentation, transformations, learner, optimiser or schedule do not fit the images or one
                another.
        """
        recipe = self.recipe
        check_transformations(recipe.data, recipe.objective.transformations)
        recipe.objective.transformations.check(*self.train.image_shape)
        with evaluation_mode(self.model):
            episodes = recipe.objective.episodes(self.episodes, [0])
            logits = self.model(episodes)
        _check_logits(logits, [*episodes.query.shape[:2], episodes.ways])
        objective = recipe.objective
        # Those of an untrained learner may be the same for all labels, and would tell nothing.
        uneven = torch.arange(logits.numel(), dtype=logits.dtype, device=logits.device).sin().view_as(logits)
        check_mixtures(
            lambda targets: objective.loss(uneven, targets),
            episodes.query_targets,
            episodes.ways,
            type(objective).__name__,
        )
        check_optimizer(recipe, self.model)

    @property
    def step_size(self) -> StepSize:
        """T episodes, P at once."""
        names = ("episodes", "episodes_per_step", "episodes_per_forward")
        return StepSize(self.recipe.episodes_per_step, self.recipe.episodes_per_forward, *names)

    def on_device(self, fabric: Fabric, hardware: Hardware) -> None:
        """Episodes from images on the device."""
        super().on_device(fabric, hardware)
        self.train, self.validation = (
            images.on(fabric.device, hardware.placement) for images in (self.train, self.validation)
        )
        self.normalization.to(fabric.device)
        self._make_sources()
        self.own_episodes = self.episodes.of_part(self.sharing.part)

    def calibrate(self) -> None:
        """Set the scale of the logits by the first training episodes, unless the recipe has it start as given."""
        recipe = self.recipe
        if recipe.start == "calibrated":
            with seeded(recipe.seed, 1, device=self.fabric.device):  # for what the augmentation draws
                episodes = recipe.objective.episodes(self.episodes, range(CALIBRATION_EPISODES))
            self.model.calibrate(episodes)

    def outcome(self, model: nn.Module, clock: Clock, number: int) -> Outcome:
        """Loss and accuracy, on the labels that are trained on, of a part of pass ``number`` of a step."""
        objective, at_once = self.recipe.objective, self.sharing.items
        first = clock.step * self.recipe.episodes_per_step + number * at_once
        episodes = objective.episodes(self.own_episodes, range(first, first + at_once))
        with self.own_draws():
            answer, targets = model(episodes), episodes.query_targets
        logits, auxiliary = answer if isinstance(answer, WithLoss) else (answer, None)
        loss = objective.loss(logits, targets)
        return Outcome(loss if auxiliary is None else loss + _scalar(auxiliary), objective.accuracy(logits, targets))

    def validate(self, model: nn.Module) -> dict[str, float]:
        """Mean accuracy on the validation episodes by every inference of the objective."""
        assert isinstance(model, MetaLearner)
        if model.needs_base_mean:
            views, autocast = self.recipe.objective.transformations, self.fabric.autocast
            model.keep_base_mean(base_mean(Processes(self.fabric), model, self.episodes, views, autocast))
        numbers = range(self.recipe.validation_episodes)
        outcomes = evaluate_together(self.fabric, model, self.recipe.objective, self.validation_episodes, numbers)
        # By numpy, as the results are: torch adds up in another order, and the last digit may differ.
        return {name: float(outcome.accuracies.numpy().mean()) for name, outcome in outcomes.items()}

    def identity(self) -> dict[str, Any]:
        """Which inference chose the best checkpoint."""
        return {"primary": self.recipe.objective.primary}


def _scalar(loss: Tensor) -> Tensor:
    if not isinstance(loss, Tensor) or loss.ndim:
        what = f"a tensor {list(loss.shape)}" if isinstance(loss, Tensor) else f"a {type(loss).__name__}"
        raise UserError(f"an auxiliary loss must be a scalar, the mean over the episodes; the learner gave {what}")
    return loss


def _check_logits(logits: object, expected: list[int]) -> None:
    if not isinstance(logits, Tensor) or list(logits.shape) != expected:
        got = list(logits.shape) if isinstance(logits, Tensor) else type(logits).__name__
        raise UserError(f"the learner must give logits [T, R, ways] = {expected}, it gave {got}")
    if not bool(logits.isfinite().all()):
        raise UserError("the learner gives NaN or infinite logits before any training")

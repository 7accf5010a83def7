"""Classification as the training loop sees it: from the number of a batch to a loss, and what is checked before."""

from collections.abc import Callable
from contextlib import nullcontext
from typing import Any

import torch
from lightning_fabric import Fabric
from torch import Tensor, nn

from episodes.batches.batch import ImageBatch
from episodes.batches.source import Batches
from episodes.datasets.base import DataSource, check_transformations, open_split
from episodes.errors import UserError
from episodes.images.augmentation.apply import augment_batch
from episodes.images.base import Images
from episodes.images.normalization import Normalization
from episodes.targets import Targets
from episodes.views import normalized_views
from fewshot_sla.classification.classifier import Classifier, build_classifier
from fewshot_sla.classification.distillation import Teacher
from fewshot_sla.classification.objectives import ClassificationObjective, Standing
from fewshot_sla.classification.predictions import images_per_pass, predicted_batches
from fewshot_sla.classification.recipe import Classification
from fewshot_sla.training.clock import Clock
from fewshot_sla.training.mixtures import check_mixtures
from fewshot_sla.training.modes import evaluation_mode
from fewshot_sla.training.optimizer import check_optimizer
from fewshot_sla.training.randomness import seeded
from fewshot_sla.training.recipe import Hardware
from fewshot_sla.training.sharing import StepSize
from fewshot_sla.training.task import Outcome, TrainingTask
from fewshot_sla.training.trained import TrainedRun


class ClassificationTask(TrainingTask):
    """Classification. A step is one batch, shared out over passes and processes.

    Where several processes divide a pass, the augmentation of images in memory is that of one process; of images that
    are read from files, and what the network draws at random (dropout), it is so in distribution only.

    The test split is never opened, nor is val if the last weights are kept.

    Args:
        recipe: what to train and how; its backbone is trained in place.
        teacher: the run that the recipe names to be taught by, if it names one.

    Raises:
        UserError: if the images cannot be loaded, the splits do not hold the same classes, or the teacher does not fit.
    """

    recipe: Classification
    model: Classifier

    def __init__(self, recipe: Classification, teacher: TrainedRun[Classification, Classifier] | None = None) -> None:
        self.recipe = recipe
        self.train = open_split(recipe.data, "train")
        self.validation = _validation_images(recipe.data) if recipe.keep == "best" else None
        if self.validation is not None:
            check_same_classes(self.train, self.validation)
        self.score = recipe.objective.primary if self.validation is not None else ""
        self.counts = self.train.class_counts
        self.normalization = self.train.normalization()
        self.augmentation = recipe.augmentation.adapted(self.normalization)
        self._opened: list[Batches] = []
        recipe.objective.transformations.check(*self.train.image_shape)
        self.teacher = Teacher(teacher, recipe, self.train, self.normalization) if teacher else None
        with seeded(recipe.seed, 1):  # the backbone's weights were drawn when it was made
            self.model = build_classifier(
                recipe.backbone, recipe.objective, self.train.image_shape, len(self.train.class_names)
            )

    def rehearse(self) -> None:
        """A few training images through everything.

        Raises:
            UserError: if augmentation, transformations, network, losses or optimiser do not fit the images or one
                another.
        """
        recipe = self.recipe
        check_transformations(recipe.data, recipe.objective.transformations)
        self._check_counts()
        source = self.train.batches(1, recipe.seed)
        few = torch.arange(min(2, self.step_size.at_once or self.step_size.items)) % len(self.train)
        with evaluation_mode(self.model), seeded(recipe.seed, 2):  # for what the augmentation draws
            plain = next(source.in_order(few, batch_size=len(few)))
            batch = ImageBatch(*augment_batch(plain.pixels, plain.targets, self.augmentation))
            standing = Standing(self.counts, 0.0)
            loss = self._loss(self.model, batch, standing).loss
            if not bool(loss.isfinite()):
                raise UserError("the loss is NaN or infinite before any training")
            self._check_mixtures(batch, standing)
        check_optimizer(recipe, self.model)

    def _check_counts(self) -> None:
        try:
            self.recipe.objective.check(self.counts)
        except UserError as error:
            empty = [name for name, count in zip(self.train.class_names, self.counts, strict=True) if not count]
            raise UserError(f"{error} ({self.train.name}: {empty[0]!r})" if empty else str(error)) from error

    def _check_mixtures(self, batch: ImageBatch, standing: Standing) -> None:
        def loss_of(targets: Targets) -> Tensor:
            return self._loss(self.model, batch._replace(targets=targets), standing).loss

        who = type(self.recipe.objective).__name__
        check_mixtures(loss_of, batch.targets, len(self.train.class_names), who)

    @property
    def step_size(self) -> StepSize:
        """The images of a batch."""
        names = ("images", "batch_size", "images_per_forward")
        return StepSize(self.recipe.batch_size, self.recipe.images_per_forward, *names)

    def on_device(self, fabric: Fabric, hardware: Hardware) -> None:
        """Batches from images on the device."""
        super().on_device(fabric, hardware)
        if self.teacher is not None:
            self.teacher.on_device(fabric, hardware)
        recipe, device, sharing = self.recipe, fabric.device, self.sharing
        self.counts = self.counts.to(device)
        self.normalization.to(device)
        self.train = self.train.on(device, hardware.placement)
        self.batches = self.train.batches(
            sharing.items, recipe.seed, self.augmentation, stride=sharing.teams, part=sharing.part
        )
        self._opened = [self.batches]
        if self.validation is not None:
            self.validation = self.validation.on(device, hardware.placement)
            # Validation images are gathered in order: batch size and seed have no say.
            self.validation_batches = self.validation.batches(1, 0)
            self._opened.append(self.validation_batches)

    def close(self) -> None:
        """End the processes that read images ahead."""
        for batches in self._opened:
            batches.close()

    def outcome(self, model: nn.Module, clock: Clock, number: int) -> Outcome:
        """Loss and accuracy, on the labels that are trained on, of a part of pass ``number`` of a step."""
        with nullcontext() if self.batches.draws_alike else self.own_draws():
            batch = self.batches.batch(clock.step * self.sharing.passes + number)
        with self.own_draws():
            return self._loss(model, batch, Standing(self.counts, clock.done, self._over_pass))

    @property
    def _over_pass(self) -> Callable[[Tensor], Tensor] | None:
        """The mean over a pass, from the means over the parts that the team has of it; None if passes stay whole."""
        if self.team.size == 1:
            return None
        return lambda mean: self.team.sum(mean * self.sharing.weight) / self.team.size

    def _loss(self, model: nn.Module, batch: ImageBatch, standing: Standing) -> Outcome:
        objective = self.recipe.objective
        views = normalized_views(batch.pixels, objective.transformations, self.normalization)
        logits = model(views)
        loss = objective.loss(logits, batch.targets, standing)
        if self.teacher is not None:
            loss = self.teacher.loss(loss, logits, views)
        return Outcome(loss, objective.accuracy(logits, batch.targets))

    def validate(self, model: nn.Module) -> dict[str, float]:
        """Accuracy on the validation images by every inference of the objective."""
        if self.validation is None:
            return {}
        assert isinstance(model, Classifier)
        return accuracies(self.fabric, model, self.recipe.objective, self.validation_batches, self.normalization)

    def identity(self) -> dict[str, Any]:
        """The classes, in the order of the outputs, how many training images each has, and the primary inference."""
        return {
            "class_names": list(self.train.class_names),
            "class_counts": self.counts.tolist(),
            "primary": self.recipe.objective.primary,
        }

    def scheduled(self, clock: Clock) -> list[Any]:
        """The weights of the classes too."""
        weights = self.recipe.objective.label_loss.reweighting.weights(self.counts, clock.done)
        return [*super().scheduled(clock), None if weights is None else weights.tolist()]


def accuracies(
    fabric: Fabric,
    classifier: Classifier,
    objective: ClassificationObjective,
    source: Batches,
    normalization: Normalization,
) -> dict[str, float]:
    """Accuracy by every inference; process r of P takes every P-th image, all get the accuracy on all."""
    numbers = torch.arange(len(source.images))[fabric.global_rank :: fabric.world_size]
    batches = source.in_order(numbers, images_per_pass(objective, source.images.image_shape))
    right = torch.zeros(len(objective.inferences), dtype=torch.int64)
    for found in predicted_batches(classifier, objective, batches, normalization, autocast=fabric.autocast):
        right += torch.stack([found.right(name).sum() for name in objective.inferences])
    if fabric.world_size > 1:
        right = torch.as_tensor(fabric.all_reduce(right.to(fabric.device), reduce_op="sum")).cpu()
    return dict(zip(objective.inferences, (right.double() / len(source.images)).tolist(), strict=True))


def check_same_classes(train: Images, other: Images) -> None:
    """Raise UserError unless two splits have the same classes and the same kind of images."""
    if train.image_shape != other.image_shape:
        raise UserError(
            f"{train.name} has images of shape {list(train.image_shape)}, {other.name} of {list(other.image_shape)}; "
            "they must be equal"
        )
    if train.class_names != other.class_names:
        only = sorted(set(train.class_names) ^ set(other.class_names)) or ["their order"]
        raise UserError(
            f"{train.name} and {other.name} do not hold the same classes (first difference: {only[0]!r}); "
            "few-shot data goes to python -m fewshot_sla.meta_train"
        )


def _validation_images(data: DataSource) -> Images:
    """The split val, which chooses the best weights.

    Raises:
        UserError: if there is none, or no image in it.
    """
    hint = "or keep the last weights (--keep last)"
    try:
        images = open_split(data, "val")
    except UserError as error:
        raise UserError(f"{error}; {hint}") from error
    if not len(images):
        raise UserError(f"{images.name}: there are no images to validate on; give some, {hint}")
    return images

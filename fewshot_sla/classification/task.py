"""Classification as the training loop sees it, and what is checked before it starts."""

from collections.abc import Mapping
from typing import Any

import torch
from lightning_fabric import Fabric
from torch import Tensor, nn

from episodes.batches.batch import ImageBatch
from episodes.batches.opening import SplitImages, normalization_of, open_batches, placed
from episodes.batches.source import Batches
from episodes.datasets.base import DataSource, check_transformations
from episodes.errors import UserError
from episodes.images.normalization import Normalization
from episodes.views import normalized_views
from fewshot_sla.backbones.base import check_images
from fewshot_sla.classification.classifier import Classifier, check_layers
from fewshot_sla.classification.objectives import ClassificationObjective, Standing
from fewshot_sla.classification.predictions import VIEWS_PER_PASS, predict_classes
from fewshot_sla.classification.recipe import Classification
from fewshot_sla.training.loop import Outcome
from fewshot_sla.training.modes import evaluation_mode
from fewshot_sla.training.plan import Ready, TrainingPlan, check_optimizer
from fewshot_sla.training.randomness import seeded
from fewshot_sla.training.recipe import Hardware


class ClassificationPlan(TrainingPlan):
    """A classification training, put together; the test split is not opened, nor is val if the last weights are kept.

    Args:
        recipe: what to train and how; its backbone is trained in place.

    Raises:
        UserError: if the images cannot be loaded, or the splits do not hold the same classes.
    """

    program = "train"
    recipe: Classification
    model: Classifier

    def __init__(self, recipe: Classification) -> None:
        self.recipe = recipe
        self.train = recipe.data.open("train")
        self.validation = _validation_images(recipe.data) if recipe.keep == "best" else None
        if self.validation is not None:
            check_same_classes(self.train, self.validation)
        self.counts = self.train.class_counts
        self._opened: list[Batches] = []
        self._normalization = normalization_of(self.train)
        recipe.objective.transformations.check(*self.train.image_shape)
        with seeded(recipe.seed, 1):  # the backbone's weights were drawn when it was made
            self.model = build_classifier(recipe, self.train.image_shape, len(self.train.class_names))

    def rehearse(self) -> None:
        """A few training images through everything.

        Raises:
            UserError: if transformations, network, losses or optimiser do not fit the images or one another.
        """
        recipe = self.recipe
        check_transformations(recipe.data, recipe.objective.transformations)
        self._check_counts()
        check_layers(recipe.objective, self.model)
        source = open_batches(self.train, 1, recipe.seed, self._normalization)
        few = torch.arange(min(2, len(self.train)))
        with evaluation_mode(self.model):
            batch = next(source.in_order(few, batch_size=len(few)))
            loss = _loss(recipe.objective, self.model, batch, self._normalization, Standing(self.counts, 0.0)).loss
        if not bool(loss.isfinite()):
            raise UserError("the loss is NaN or infinite before any training")
        check_optimizer(recipe, self.model)

    def _check_counts(self) -> None:
        try:
            self.recipe.objective.check(self.counts)
        except UserError as error:
            empty = [name for name, count in zip(self.train.class_names, self.counts, strict=True) if not count]
            raise UserError(f"{error} ({self.train.name}: {empty[0]!r})" if empty else str(error)) from error

    def check_sharing(self, processes: int) -> None:
        """Raise UserError unless the images of a step can be shared out evenly over passes and processes."""
        recipe = self.recipe
        if recipe.batch_size % (max(1, recipe.images_per_forward) * processes):
            raise UserError(
                f"batch_size ({recipe.batch_size}) must be a multiple of images_per_forward times the number of "
                f"processes ({max(1, recipe.images_per_forward)} x {processes})"
            )

    def on_device(self, fabric: Fabric, hardware: Hardware) -> Ready:
        """Batches from images on the device."""
        recipe, device = self.recipe, fabric.device
        normalization = self._normalization.to(device)
        train = open_batches(
            placed(self.train, device, hardware.placement),
            recipe.images_per_forward or recipe.batch_size // fabric.world_size,
            recipe.seed,
            normalization,
            recipe.augmentation,
            stride=fabric.world_size,
        )
        validation = None
        if self.validation is not None:
            # Validation images are gathered in order: batch size and seed have no say.
            validation = open_batches(placed(self.validation, device, hardware.placement), 1, 0, normalization)
        self._opened = [train, *([validation] if validation else [])]
        task = ClassificationTask(recipe, train, validation, self.counts.to(device), fabric)
        return Ready(task, train, validation.images if validation else None)

    def close(self) -> None:
        """End the processes that read images ahead."""
        for batches in self._opened:
            batches.close()

    def identity(self) -> dict[str, Any]:
        """The classes, in the order of the outputs, how many training images each has, and the length of the run."""
        return {
            "class_names": list(self.train.class_names),
            "class_counts": self.counts.tolist(),
            "steps": self.recipe.loop.steps,
        }

    def check_resumed(self, saved: Mapping[str, Any]) -> None:
        """Raise UserError if a step was made with other class weights than it has in a run of the new length."""
        now = self.recipe.loop.steps
        before = saved.get("steps", now)
        if before == now:
            return
        reweighting = self.recipe.objective.label_loss.reweighting
        for step in range(saved["step"]):
            weights = (reweighting.weights(self.counts, step / steps) for steps in (before, now))
            if not _equal(*weights):
                raise UserError(
                    f"{type(reweighting).__name__} goes by the share of the training that is done, and step {step} of "
                    f"{before} was weighted as it would not be in a run of {now} steps; keep loop.steps"
                )


class ClassificationTask:
    """Classification as the loop sees it. A step is one batch, shared out over passes and processes.

    Args:
        recipe: what to train and how.
        train: training batches of the size of one pass.
        validation: where the images come from that choose the best checkpoint; None to keep the last weights.
        counts: [N] int64, training images of each class, on the device.
        fabric: processes and precision.
    """

    def __init__(
        self,
        recipe: Classification,
        train: Batches,
        validation: Batches | None,
        counts: Tensor,
        fabric: Fabric,
    ) -> None:
        self.recipe, self.train, self.validation, self.counts, self.fabric = recipe, train, validation, counts, fabric
        per_pass = train.sampler.batch_size
        self.passes = recipe.batch_size // (per_pass * fabric.world_size)
        self.score = recipe.objective.primary if validation else ""

    def outcome(self, model: nn.Module, step: int, number: int) -> Outcome:
        """Loss and accuracy, on the labels that are trained on, of pass ``number`` (over all processes) of a step."""
        batch = self.train.batch(step * self.passes * self.fabric.world_size + number)
        standing = Standing(self.counts, step / self.recipe.loop.steps)
        return _loss(self.recipe.objective, model, batch, self.train.normalization, standing)

    def validate(self, model: nn.Module) -> dict[str, float]:
        """Accuracy on the validation images by every inference of the objective."""
        if not self.validation:
            return {}
        assert isinstance(model, Classifier)
        return accuracies(self.fabric, model, self.recipe.objective, self.validation)


def accuracies(
    fabric: Fabric, classifier: Classifier, objective: ClassificationObjective, source: Batches
) -> dict[str, float]:
    """Accuracy by every inference; process r of P takes every P-th image, all get the accuracy on all."""
    numbers = torch.arange(len(source.images))[fabric.global_rank :: fabric.world_size]
    batches = source.in_order(numbers, images_per_pass(objective))
    found = predict_classes(classifier, objective, batches, source.normalization, autocast=fabric.autocast)
    right = torch.stack([found.right(name).sum() for name in objective.inferences])
    if fabric.world_size > 1:
        right = torch.as_tensor(fabric.all_reduce(right.to(fabric.device), reduce_op="sum")).cpu()
    return dict(zip(objective.inferences, (right.double() / len(source.images)).tolist(), strict=True))


def images_per_pass(objective: ClassificationObjective, crops: int = 1) -> int:
    """How many images go through the network at once when nothing is learnt."""
    return max(1, VIEWS_PER_PASS // (objective.transformations.m * crops))


def build_classifier(recipe: Classification, image_shape: tuple[int, int, int], classes: int) -> Classifier:
    """The network of a recipe: its backbone, and the layers that its objective needs.

    Raises:
        UserError: if the backbone cannot take the images.
    """
    channels, height, width = image_shape
    backbone, objective = recipe.backbone, recipe.objective
    check_images(torch.empty(1, channels, height, width, device="meta"), backbone.in_channels, backbone.least_size)
    normalized = objective.label_loss.needs_normalized_layer
    return Classifier(backbone, objective.outputs(classes), (height, width), normalized)


def check_same_classes(train: SplitImages, other: SplitImages) -> None:
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


def _validation_images(data: DataSource) -> SplitImages:
    """The split val, which chooses the best weights.

    Raises:
        UserError: if there is none, or no image in it.
    """
    hint = "or keep the last weights (--keep last)"
    try:
        images = data.open("val")
    except UserError as error:
        raise UserError(f"{error}; {hint}") from error
    if not len(images):
        raise UserError(f"{images.name}: there are no images to validate on; give some, {hint}")
    return images


def _equal(
    one: Tensor | None,  # [N] float
    other: Tensor | None,  # [N] float
) -> bool:
    return one is other or (one is not None and other is not None and torch.equal(one, other))


def _loss(
    objective: ClassificationObjective,
    model: nn.Module,
    batch: ImageBatch,
    normalization: Normalization,
    standing: Standing,
) -> Outcome:
    logits = model(normalized_views(batch.pixels, objective.transformations, normalization))
    return Outcome(objective.loss(logits, batch.targets, standing), objective.accuracy(logits, batch.targets))

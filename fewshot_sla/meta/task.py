"""Meta-training as the training loop sees it, and what is checked before it starts."""

from lightning_fabric import Fabric
from torch import Tensor, nn

from episodes.datasets.base import check_transformations, load_split
from episodes.errors import UserError
from episodes.images.labelled import LabelledImages
from episodes.images.normalization import Normalization
from episodes.images.placement import place
from episodes.source import EpisodeSource
from fewshot_sla.meta.distributed import evaluate_together
from fewshot_sla.meta.learners.base import MetaLearner
from fewshot_sla.meta.recipe import MetaTraining
from fewshot_sla.training.loop import Outcome
from fewshot_sla.training.modes import evaluation_mode
from fewshot_sla.training.plan import Ready, TrainingPlan, check_optimizer
from fewshot_sla.training.recipe import Hardware


class MetaTrainingPlan(TrainingPlan):
    """A meta-training, put together; only train and val are ever loaded.

    Args:
        recipe: what to train and how; its learner is trained in place.

    Raises:
        UserError: if the images cannot be loaded.
    """

    program = "meta_train"
    recipe: MetaTraining

    def __init__(self, recipe: MetaTraining) -> None:
        self.recipe = recipe
        self.model = recipe.learner
        self._images = load_split(recipe.data, "train"), load_split(recipe.data, "val")

    def rehearse(self) -> None:
        """One training episode through everything."""
        check_transformations(self.recipe.data, self.recipe.objective.transformations)
        rehearse(self.recipe, episode_sources(self.recipe, *self._images)[0])

    def check_sharing(self, processes: int) -> None:
        """Raise UserError unless the episodes of a step can be shared out evenly over passes and processes."""
        check_sharing(self.recipe, processes)

    def on_device(self, fabric: Fabric, hardware: Hardware) -> Ready:
        """Episodes from images on the device."""
        train, val = (place(images, fabric.device, hardware.placement) for images in self._images)
        sources = episode_sources(self.recipe, train, val)
        return Ready(EpisodicTask(self.recipe, *sources, fabric), sources[0], val)


class EpisodicTask:
    """Meta-training as the loop sees it. A step is T episodes, shared out over passes and processes.

    Pass g of a step (counted over all processes) trains on episodes s*T + g*P ... s*T + g*P + P - 1, where P is
    ``episodes_per_forward``.

    Args:
        recipe: what to train and how.
        train: training episodes, on the device.
        validation: validation episodes, on the device.
        fabric: processes and precision.

    Raises:
        UserError: if the episodes of a step cannot be shared out evenly.
    """

    def __init__(self, recipe: MetaTraining, train: EpisodeSource, validation: EpisodeSource, fabric: Fabric) -> None:
        self.recipe, self.train, self.validation, self.fabric = recipe, train, validation, fabric
        check_sharing(recipe, fabric.world_size)
        at_once = recipe.episodes_per_forward * fabric.world_size
        self.passes = recipe.episodes_per_step // at_once
        self.score = recipe.objective.primary

    def outcome(self, model: nn.Module, step: int, number: int) -> Outcome:
        """Loss and accuracy, on the labels that are trained on, of pass ``number`` (over all processes) of a step."""
        recipe = self.recipe
        first = step * recipe.episodes_per_step + number * recipe.episodes_per_forward
        episodes = recipe.objective.episodes(self.train, range(first, first + recipe.episodes_per_forward))
        logits = model(episodes)
        targets = episodes.query_targets
        return Outcome(recipe.objective.loss(logits, targets), recipe.objective.accuracy(logits, targets))

    def validate(self, model: nn.Module) -> dict[str, float]:
        """Mean accuracy on the validation episodes by every inference of the objective."""
        assert isinstance(model, MetaLearner)
        numbers = range(self.recipe.validation_episodes)
        outcomes = evaluate_together(self.fabric, model, self.recipe.objective, self.validation, numbers)
        return {name: float(outcome.accuracies.mean()) for name, outcome in outcomes.items()}


def episode_sources(
    recipe: MetaTraining, train: LabelledImages, validation: LabelledImages
) -> tuple[EpisodeSource, EpisodeSource]:
    """Sources of training and validation episodes; only train and val are ever loaded for training.

    Both are normalised by the mean and deviation of the training images.

    Raises:
        UserError: if the images cannot fill the episodes.
    """
    if train.image_shape != validation.image_shape:
        raise UserError(
            f"{train.name} has images of shape {list(train.image_shape)}, "
            f"{validation.name} of {list(validation.image_shape)}; they must be equal"
        )
    normalization = Normalization.of(train).to(train.target)
    # Validation episodes come from a stream of their own, the same for every recipe with this validation spec.
    return (
        EpisodeSource(train, recipe.train, recipe.seed, normalization, recipe.augmentation),
        EpisodeSource(validation, recipe.validation, 0, normalization),
    )


def rehearse(recipe: MetaTraining, source: EpisodeSource) -> None:
    """Try everything once on one training episode, so that what does not fit is said before training starts.

    Raises:
        UserError: if the transformations cannot take the images, the learner cannot, or the optimiser or the schedule
            refuses its arguments.
    """
    recipe.objective.transformations.check(*source.images.image_shape)
    with evaluation_mode(recipe.learner):
        episodes = recipe.objective.episodes(source, [0])
        logits = recipe.learner(episodes)
    _check_logits(logits, [*episodes.query.shape[:2], episodes.ways])
    check_optimizer(recipe, recipe.learner)


def _check_logits(logits: object, expected: list[int]) -> None:
    if not isinstance(logits, Tensor) or list(logits.shape) != expected:
        got = list(logits.shape) if isinstance(logits, Tensor) else type(logits).__name__
        raise UserError(f"the learner must give logits [T, R, ways] = {expected}, it gave {got}")
    if not bool(logits.isfinite().all()):
        raise UserError("the learner gives NaN or infinite logits before any training")


def check_sharing(recipe: MetaTraining, processes: int) -> None:
    """Raise UserError unless the episodes of a step can be shared out evenly over passes and processes."""
    if recipe.episodes_per_step % (recipe.episodes_per_forward * processes):
        raise UserError(
            f"episodes_per_step ({recipe.episodes_per_step}) must be a multiple of episodes_per_forward times the "
            f"number of processes ({recipe.episodes_per_forward} x {processes})"
        )

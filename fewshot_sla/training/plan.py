"""The contract of a kind of training: what :func:`fewshot_sla.training.training.train` needs to know of it."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any, ClassVar, NamedTuple, Protocol

from lightning_fabric import Fabric
from torch import nn
from torch.optim import LBFGS
from torch.optim.lr_scheduler import ReduceLROnPlateau

from episodes.errors import UserError
from episodes.images.base import Images
from episodes.images.normalization import Normalization
from fewshot_sla.training.loop import TrainingTask
from fewshot_sla.training.recipe import Hardware, Recipe


class TrainingImages(Protocol):
    """What a trained model keeps of the images it was trained on."""

    normalization: Normalization

    @property
    def images(self) -> Images:
        """The images."""


class Ready(NamedTuple):
    """A kind of training on its device.

    Attributes:
        task: what a step and a validation are.
        train: the training images, on the device.
        validation: the images that choose the best checkpoint; None if the last weights are kept.
    """

    task: TrainingTask
    train: TrainingImages
    validation: Images | None


class TrainingPlan(ABC):
    """One training, put together from its recipe: images loaded, model built, nothing written yet.

    Attributes:
        program: the door it came through: ``"meta_train"`` or ``"train"``.
        recipe: by which.
        model: what is trained, in place.
    """

    program: ClassVar[str]
    recipe: Recipe
    model: nn.Module

    @abstractmethod
    def rehearse(self) -> None:
        """Try everything once, so that what does not fit is said before training starts.

        Raises:
            UserError: if something does not fit.
        """

    @abstractmethod
    def check_sharing(self, processes: int) -> None:
        """Raise UserError unless a step can be shared out evenly over passes and processes."""

    @abstractmethod
    def on_device(self, fabric: Fabric, hardware: Hardware) -> Ready:
        """The task, its images on the device."""

    def close(self) -> None:  # noqa: B027 - a hook: most plans start nothing
        """End what runs beside the training, such as processes that read ahead; called however training ends."""

    def check_resumed(self, saved: Mapping[str, Any]) -> None:  # noqa: B027 - a hook: most plans can go on
        """Raise UserError unless a run whose checkpoint says this can go on by this plan."""

    def identity(self) -> dict[str, Any]:
        """What a checkpoint says about the model beside program, images and versions: plain values."""
        return {}


def check_optimizer(recipe: Recipe, model: nn.Module) -> None:
    """Raise UserError if the optimiser or the schedule refuses its arguments, or does not go with steps on batches."""
    try:
        optimizer = recipe.optimizer(model.parameters())
        schedule = recipe.schedule(optimizer)
    except (TypeError, ValueError) as error:
        raise UserError(f"optimizer or schedule: {error}") from error
    for thing, kind in ((optimizer, LBFGS), (schedule, ReduceLROnPlateau)):
        if isinstance(thing, kind):
            raise UserError(f"{kind.__name__} does not go with steps on batches; choose another one")

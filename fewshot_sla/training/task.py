"""The contract of one training: its images, its model, what a step is, and how it is validated."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from typing import Any, NamedTuple

from lightning_fabric import Fabric
from torch import Tensor, nn

from episodes.images.base import Images
from episodes.images.normalization import Normalization
from fewshot_sla.backbones.scheduled import strengths
from fewshot_sla.training.clock import Clock
from fewshot_sla.training.randomness import apart
from fewshot_sla.training.recipe import Hardware, Recipe
from fewshot_sla.training.sharing import Sharing, StepSize, share_out
from fewshot_sla.training.team import Team, form_team


class Outcome(NamedTuple):
    """What one forward pass of a training step came to."""

    loss: Tensor  # scalar, mean over this process's part of the pass
    accuracy: Tensor  # scalar, share of right answers in that part, 0..1


class TrainingTask(ABC):
    """One training, put together from its recipe: images loaded, model built, nothing written yet.

    It is used in this order: :meth:`rehearse`, :meth:`check_sharing`, :meth:`on_device`, :meth:`calibrate` (new runs
    only), then :meth:`outcome` and :meth:`validate` as the loop goes on, and :meth:`close` however it ends.

    Attributes:
        recipe: by which.
        model: what is trained, in place.
        train: the training images.
        validation: the images that choose the best checkpoint; None if the last weights are kept.
        normalization: mean and deviation of the training images; saved with the model.
        fabric: the processes, once the task is on its device.
        sharing: which passes of a step, and which part of them, this process computes; likewise.
        team: the processes that it divides a pass with; likewise.
        score: which of the validation figures chooses the best checkpoint; "" to keep the last weights.
        starts_trained: whether the model starts from a trained one: then it is validated before the first step too, and
            what it started from is kept unless training makes it better.
    """

    recipe: Recipe
    model: nn.Module
    train: Images
    validation: Images | None
    normalization: Normalization
    fabric: Fabric
    sharing: Sharing
    team: Team
    score: str
    starts_trained: bool = False

    @abstractmethod
    def rehearse(self) -> None:
        """Try everything once, so that what does not fit is said before training starts.

        Raises:
            UserError: if something does not fit.
        """

    @property
    @abstractmethod
    def step_size(self) -> StepSize:
        """What a step is made of."""

    def check_sharing(self, processes: int, hardware: Hardware) -> None:
        """Raise UserError unless a step can be shared out evenly over passes and processes."""
        share_out(self.step_size, processes, divide=hardware.sync_batchnorm)

    def on_device(self, fabric: Fabric, hardware: Hardware) -> None:
        """Share out the steps; what overrides this puts the images where batches are made. All processes call it."""
        self.fabric = fabric
        self.sharing = share_out(self.step_size, fabric.world_size, fabric.global_rank, divide=hardware.sync_batchnorm)
        self.team = form_team(self.sharing, hardware.wait_s)

    def calibrate(self) -> None:  # noqa: B027 - a hook: most trainings start as their weights were drawn
        """Adapt the model's start to the first training data; called once, before step 0 of a new run."""

    @abstractmethod
    def outcome(
        self,
        model: nn.Module,  # as Fabric wrapped it
        clock: Clock,
        number: int,
    ) -> Outcome:
        """Loss and accuracy of this process's part of pass ``number`` of a step, counted over all processes.

        What is drawn at random for the whole pass is drawn alike by the team, for it comes first and from generators
        that stand alike; for what each member draws for its own part there is :meth:`own_draws`.
        """

    @abstractmethod
    def validate(self, model: nn.Module) -> dict[str, float]:
        """Validation figures by name, larger is better, the same on every process."""

    @abstractmethod
    def identity(self) -> dict[str, Any]:
        """What a checkpoint says about the model beside program, images and versions: plain values."""

    def own_draws(self) -> AbstractContextManager[None]:
        """Inside, torch's generators give this process other numbers than the rest of its team; see ``apart``."""
        return nullcontext() if self.team.size == 1 else apart(self.sharing.place, device=self.fabric.device)

    def scheduled(self, clock: Clock) -> list[Any]:
        """Whatever depends on the clock; a run can be resumed to another length while this would have been the same."""
        return [self.recipe.schedule.value(clock), *strengths(self.model, clock.done)]

    def check_resumed(self, saved: Mapping[str, Any]) -> None:  # noqa: B027 - a hook: most runs can go on
        """Raise UserError unless a run whose checkpoint says this can go on by this recipe."""

    def close(self) -> None:  # noqa: B027 - a hook: most trainings start nothing
        """End what runs beside the training, such as processes that read ahead; called however training ends."""

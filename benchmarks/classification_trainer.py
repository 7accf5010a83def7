"""Our contestant of ``benchmarks.classification``: the trainer behind ``python -m fewshot_sla.train``, with a clock."""

import tempfile
from typing import Any

from torch import nn

from benchmarks.classification_setting import PADDING, Clock, RandomImages, Setting, sgd
from episodes.images.augmentation import CropFlipJitter
from episodes.transformations import Rotation
from fewshot_sla.backbones import ResNetCifar
from fewshot_sla.classification.objectives import SLA
from fewshot_sla.classification.recipe import Classification
from fewshot_sla.classification.task import ClassificationPlan
from fewshot_sla.cli.memory import keep_freed_memory
from fewshot_sla.runs.folder import RunFolder
from fewshot_sla.training.loop import Outcome, TrainingTask
from fewshot_sla.training.plan import Ready
from fewshot_sla.training.recipe import Hardware, LoopSettings
from fewshot_sla.training.schedules import PiecewiseConstant
from fewshot_sla.training.training import train


class TimedTask(TrainingTask):
    """A task whose steps are timed, from the beginning of one to that of the next."""

    def __init__(self, task: TrainingTask, clock: Clock) -> None:
        self.task, self.clock = task, clock
        self.passes, self.score = task.passes, task.score

    def outcome(self, model: nn.Module, step: int, number: int) -> Outcome:
        """That of the task."""
        self.clock.tick()
        return self.task.outcome(model, step, number)

    def validate(self, model: nn.Module) -> dict[str, float]:
        """That of the task."""
        return self.task.validate(model)


class TimedPlan(ClassificationPlan):
    """A training as ``python -m fewshot_sla.train`` makes it, with a clock."""

    def __init__(self, recipe: Classification, clock: Clock) -> None:
        super().__init__(recipe)
        self.clock = clock
        if not clock.given.compiled:  # hooks would break the graph into pieces
            clock.watch_backbone(self.model.backbone)

    def on_device(self, fabric: Any, hardware: Hardware) -> Ready:
        """Its task is timed."""
        ready = super().on_device(fabric, hardware)
        return ready._replace(task=TimedTask(ready.task, self.clock))


def run_trainer(given: Setting, clock: Clock) -> None:
    """Batches, objective, network, optimiser, schedule, metrics; ends when the clock does."""
    keep_freed_memory()  # as every door does
    forever = 10**7
    recipe = Classification(
        data=RandomImages(given.images),
        backbone=ResNetCifar(depth=given.depth),
        objective=SLA(Rotation()),
        augmentation=CropFlipJitter(PADDING, 0.5, 0.0),
        optimizer=lambda parameters: clock.watch(sgd(parameters)),
        schedule=lambda optimizer: PiecewiseConstant(optimizer, [], []),
        loop=LoopSettings(steps=forever, validate_every=forever),
        batch_size=given.batch_size,
        keep="last",
    )
    hardware = Hardware(
        accelerator=given.device.type,
        precision="bf16-mixed" if given.bf16 else "32-true",
        compile=given.compiled,
    )
    with tempfile.TemporaryDirectory() as folder:
        train(TimedPlan(recipe, clock), hardware, RunFolder(folder), "", resuming=False)

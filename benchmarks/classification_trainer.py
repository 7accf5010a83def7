"""Our contestant of ``benchmarks.classification``: the trainer behind ``python -m fewshot_sla.train``, with a clock."""

import tempfile

from torch import nn

from benchmarks.classification_setting import PADDING, Clock, RandomImages, Setting, sgd
from episodes.images.augmentation import CropFlipJitter
from episodes.transformations import Rotation
from fewshot_sla.backbones import ResNetCifar
from fewshot_sla.classification.kind import CLASSIFICATION
from fewshot_sla.classification.objectives import SLA
from fewshot_sla.classification.recipe import Classification
from fewshot_sla.classification.task import ClassificationTask
from fewshot_sla.cli.memory import keep_freed_memory
from fewshot_sla.runs.folder import RunFolder
from fewshot_sla.runs.loggers import CSVLogger, TensorBoardLogger
from fewshot_sla.training.clock import Clock as TrainingClock
from fewshot_sla.training.recipe import Hardware, LoopSettings
from fewshot_sla.training.schedules import Constant
from fewshot_sla.training.task import Outcome
from fewshot_sla.training.train import train


class TimedTask(ClassificationTask):
    """A training as ``python -m fewshot_sla.train`` makes it; its steps are timed from one beginning to the next."""

    def __init__(self, recipe: Classification, timer: Clock) -> None:
        super().__init__(recipe)
        self.timer = timer
        if not timer.given.compiled:  # hooks would break the graph into pieces
            timer.watch_backbone(self.model.backbone)

    def outcome(self, model: nn.Module, clock: TrainingClock, number: int) -> Outcome:
        """That of the task."""
        self.timer.tick()
        return super().outcome(model, clock, number)


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
        schedule=Constant(),
        loop=LoopSettings(steps=forever, validate_every=forever),
        loggers=[CSVLogger(), TensorBoardLogger()],
        batch_size=given.batch_size,
        keep="last",
    )
    hardware = Hardware(
        accelerator=given.device.type,
        precision="bf16-mixed" if given.bf16 else "32-true",
        compile=given.compiled,
    )
    with tempfile.TemporaryDirectory() as folder:
        train(CLASSIFICATION, TimedTask(recipe, clock), hardware, RunFolder(folder), "{}", resuming=False)

"""How a step's images and a validation are shared out over passes and processes, each played in turn by this one."""

from contextlib import nullcontext
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor

from episodes.batches.source import BatchSource
from episodes.images.augmentation import NoAugmentation
from episodes.images.labelled import LabelledImages
from episodes.images.normalization import Normalization
from episodes.targets import Targets
from episodes.transformations import Rotation
from fewshot_sla.classification.classifier import Classifier
from fewshot_sla.classification.objectives import SLA, Standing
from fewshot_sla.classification.task import ClassificationTask, accuracies
from fewshot_sla.training.clock import Clock
from fewshot_sla.training.recipe import Hardware
from tests.integration.plugins import LinearBackbone
from tests.tiny import TinyClasses

CLASSES, SIDE = 3, 6
PLAIN = Normalization(torch.zeros(1), torch.ones(1))


def source(count: int, batch_size: int = 4) -> BatchSource:
    generator = torch.Generator().manual_seed(count)
    pixels = torch.randint(0, 256, (count, 1, SIDE, SIDE), generator=generator, dtype=torch.uint8)
    labels = torch.randint(CLASSES, (count,), generator=generator)
    images = LabelledImages(pixels, labels, ("a", "b", "c"), "made-up/val")
    return BatchSource(images, batch_size, 0)


def process(rank: int, processes: int, others: Tensor | None = None) -> Any:
    """A Fabric that is one process of several, and knows what the others sum up to."""
    return SimpleNamespace(
        global_rank=rank,
        world_size=processes,
        device=torch.device("cpu"),
        autocast=nullcontext,
        all_reduce=lambda tensor, reduce_op: tensor if others is None else tensor + others,
    )


@pytest.mark.parametrize("count", [1, 5, 8])
@pytest.mark.parametrize("processes", [2, 3])
def test_every_process_validates_its_share_and_all_get_the_accuracy_of_all(count: int, processes: int) -> None:
    """Also where there are fewer images than processes."""
    objective = SLA(Rotation())
    with torch.random.fork_rng():
        torch.manual_seed(0)
        classifier = Classifier(LinearBackbone(size=SIDE), objective.outputs(CLASSES), (SIDE, SIDE))
    alone = accuracies(process(0, 1), classifier, objective, source(count), PLAIN)
    summed: list[Tensor] = []
    for rank in range(processes):
        fabric = process(rank, processes)
        fabric.all_reduce = lambda tensor, reduce_op: summed.append(tensor) or tensor  # type: ignore[func-returns-value]
        accuracies(fabric, classifier, objective, source(count), PLAIN)
    total = torch.stack(summed).sum(0)
    assert dict(zip(objective.inferences, (total / count).tolist(), strict=True)) == pytest.approx(alone)
    shared = accuracies(process(0, processes, total - summed[0]), classifier, objective, source(count), PLAIN)
    assert shared == pytest.approx(alone)


class Recorded(SLA):
    """Notes the images and the standing of every loss."""

    def loss(self, logits: Any, targets: Targets, standing: Standing) -> Tensor:
        self.seen.append((targets.labels.tolist(), standing.done))
        return torch.zeros(())


def test_passes_and_processes_share_the_batch_of_a_step_and_know_how_far_training_is() -> None:
    objective = Recorded(Rotation())
    objective.seen = []
    data = TinyClasses(height=SIDE, width=SIDE, classes=CLASSES)
    recipe: Any = SimpleNamespace(
        batch_size=12,
        images_per_forward=3,
        objective=objective,
        data=data,
        keep="last",
        seed=0,
        backbone=LinearBackbone(size=SIDE),
        augmentation=NoAugmentation(),
    )
    whole = data.open("train").batches(12, 0)
    for step in (0, 4):
        objective.seen = []
        for rank in (0, 1):
            task = ClassificationTask(recipe)
            task.on_device(process(rank, 2), Hardware(accelerator="cpu"))
            assert task.sharing.own_passes == 2
            assert task.score == ""
            for number in range(2):
                task.outcome(task.model, Clock(step, 5), number * 2 + rank)
        batch = whole.batch(step)
        shares = [labels for labels, _ in objective.seen]
        in_order = [shares[rank * 2 + number] for number in range(2) for rank in range(2)]
        assert [label for share in in_order for label in share] == batch.labels.tolist()
        assert {done for _, done in objective.seen} == {step / 5}

"""How a step's images and a validation are shared out over passes and processes, each played in turn by this one."""

from contextlib import nullcontext
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor

from episodes.batches.source import BatchSource
from episodes.images.labelled import LabelledImages
from episodes.images.normalization import Normalization
from episodes.targets import Targets
from episodes.transformations import Rotation
from fewshot_sla.classification.classifier import Classifier
from fewshot_sla.classification.objectives import SLA, Standing
from fewshot_sla.classification.task import ClassificationTask, accuracies
from tests.integration.plugins import LinearBackbone

CLASSES, SIDE = 3, 6


def source(count: int, batch_size: int = 4) -> BatchSource:
    generator = torch.Generator().manual_seed(count)
    pixels = torch.randint(0, 256, (count, 1, SIDE, SIDE), generator=generator, dtype=torch.uint8)
    labels = torch.randint(CLASSES, (count,), generator=generator)
    images = LabelledImages(pixels, labels, ("a", "b", "c"), "made-up/val")
    return BatchSource(images, batch_size, 0, Normalization(torch.zeros(1), torch.ones(1)))


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
    alone = accuracies(process(0, 1), classifier, objective, source(count))
    summed: list[Tensor] = []
    for rank in range(processes):
        fabric = process(rank, processes)
        fabric.all_reduce = lambda tensor, reduce_op: summed.append(tensor) or tensor  # type: ignore[func-returns-value]
        accuracies(fabric, classifier, objective, source(count))
    total = torch.stack(summed).sum(0)
    assert dict(zip(objective.inferences, (total / count).tolist(), strict=True)) == pytest.approx(alone)
    shared = accuracies(process(0, processes, total - summed[0]), classifier, objective, source(count))
    assert shared == pytest.approx(alone)


class Recorded(SLA):
    """Notes the images and the standing of every loss."""

    def loss(self, logits: Any, targets: Targets, standing: Standing) -> Tensor:
        self.seen.append((targets.labels.tolist(), standing.done))
        return torch.zeros(())


def test_passes_and_processes_share_the_batch_of_a_step_and_know_how_far_training_is() -> None:
    objective = Recorded(Rotation())
    objective.seen = []
    whole, parts = source(40, batch_size=12), source(40, batch_size=3)
    recipe: Any = SimpleNamespace(batch_size=12, objective=objective, loop=SimpleNamespace(steps=5))
    classifier = Classifier(LinearBackbone(size=SIDE), objective.outputs(CLASSES), (SIDE, SIDE))
    for step in (0, 4):
        objective.seen = []
        for rank in (0, 1):
            task = ClassificationTask(recipe, parts, None, torch.ones(CLASSES), process(rank, 2))
            assert task.passes == 2
            assert task.score == ""
            for number in range(task.passes):
                task.outcome(classifier, step, number * 2 + rank)
        batch = whole.batch(step)
        shares = [labels for labels, _ in objective.seen]
        in_order = [shares[rank * 2 + number] for number in range(2) for rank in range(2)]
        assert [label for share in in_order for label in share] == batch.labels.tolist()
        assert {done for _, done in objective.seen} == {step / 5}

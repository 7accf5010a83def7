"""Evaluation shared out over the processes of a Fabric: the figures are those of a single process."""

from collections.abc import Sequence

import torch
from lightning_fabric import Fabric
from torch import Tensor
from torch.nn import functional

from episodes.images.crops import Crops, as_is
from episodes.progress import OnProgress, no_progress
from episodes.source import EpisodeSource
from fewshot_sla.meta.learners.base import MetaLearner
from fewshot_sla.meta.objectives import EpisodeObjective
from fewshot_sla.meta.predictions import Selection
from fewshot_sla.meta.protocol import EpisodeOutcomes, evaluate_all
from fewshot_sla.meta.team import EvaluationTeam


class Processes(EvaluationTeam):
    """The processes of a Fabric that was launched.

    Args:
        fabric: of this process.
    """

    def __init__(self, fabric: Fabric) -> None:
        self.rank, self.size = fabric.global_rank, fabric.world_size
        self._fabric = fabric

    def gather(self, own: Tensor, rows: int) -> Tensor:
        """By one message, on the device of the process; collectives need equal shapes, and know few types."""
        padded = functional.pad(own, (0, 0) * (own.ndim - 1) + (0, rows - len(own)))
        as_bytes = padded.to(self._fabric.device).contiguous().view(torch.uint8)
        gathered = torch.as_tensor(self._fabric.all_gather(as_bytes)).view(self.size, *as_bytes.shape)
        return gathered.view(own.dtype).to(own.device)


def evaluate_all_together(
    fabric: Fabric,
    learner: MetaLearner,
    objective: EpisodeObjective,
    asked: Sequence[Selection],
    *,
    crops: Crops = as_is,
    on_progress: OnProgress = no_progress,
) -> list[dict[str, EpisodeOutcomes]]:
    """Like :func:`fewshot_sla.meta.protocol.evaluate_all`, shared out over all processes; all get all."""
    return evaluate_all(
        learner,
        objective,
        asked,
        crops=crops,
        autocast=fabric.autocast,
        on_progress=on_progress,
        team=Processes(fabric),
    )


def evaluate_together(
    fabric: Fabric,
    learner: MetaLearner,
    objective: EpisodeObjective,
    source: EpisodeSource,
    numbers: Sequence[int] | range,
    on_progress: OnProgress = no_progress,
) -> dict[str, EpisodeOutcomes]:
    """Like :func:`fewshot_sla.meta.protocol.evaluate`, shared out over all processes; all get all."""
    (outcomes,) = evaluate_all_together(
        fabric, learner, objective, [Selection(source, numbers)], on_progress=on_progress
    )
    return outcomes

"""Evaluation shared out over the processes of a Fabric: the figures are those of a single process."""

from collections.abc import Sequence

import torch
from lightning_fabric import Fabric
from torch import Tensor
from torch.nn import functional

from episodes.source import EpisodeSource
from fewshot_sla.meta.features import OnProgress, no_progress
from fewshot_sla.meta.learners.base import MetaLearner
from fewshot_sla.meta.objectives import EpisodeObjective
from fewshot_sla.meta.protocol import EpisodeOutcomes, evaluate


def evaluate_together(
    fabric: Fabric,
    learner: MetaLearner,
    objective: EpisodeObjective,
    source: EpisodeSource,
    numbers: Sequence[int] | range,
    on_progress: OnProgress = no_progress,
) -> dict[str, EpisodeOutcomes]:
    """Like :func:`fewshot_sla.meta.protocol.evaluate`; process r of P takes every P-th episode; all get all."""
    rank, processes = fabric.global_rank, fabric.world_size
    own = numbers[rank::processes]
    outcomes = evaluate(learner, objective, source, own, autocast=fabric.autocast, on_progress=on_progress)
    if processes == 1:
        return outcomes
    return {
        name: EpisodeOutcomes(
            _interleave(fabric, outcome.correct, len(numbers)),
            _interleave(fabric, outcome.classes, len(numbers)),
            outcome.n_query,
        )
        for name, outcome in outcomes.items()
    }


def _interleave(
    fabric: Fabric,
    own: Tensor,  # [ceil or floor of E / P, N]
    total: int,  # E
) -> Tensor:  # [E, N] on the CPU
    """Gather every process's rows and put them back in order."""
    rows = -(-total // fabric.world_size)
    padded = functional.pad(own, (0, 0, 0, rows - len(own))).to(fabric.device)  # collectives need equal shapes
    gathered = torch.as_tensor(fabric.all_gather(padded)).cpu()  # [P, rows, N]
    return gathered.transpose(0, 1).flatten(0, 1)[:total]

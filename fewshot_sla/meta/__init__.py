"""The few-shot wing: meta-learners, what they are trained on (plain, DA, SLA), and how they are tested."""

from fewshot_sla.meta.learners import MAML, EmbeddingLearner, MetaLearner
from fewshot_sla.meta.objectives import DA, SLA, EpisodeObjective, Inference, Plain

__all__ = ["DA", "MAML", "SLA", "EmbeddingLearner", "EpisodeObjective", "Inference", "MetaLearner", "Plain"]

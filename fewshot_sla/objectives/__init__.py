"""What is trained on (plain, DA, SLA) and how joint logits become a prediction (SI, AG)."""

from fewshot_sla.objectives.episodic import DA, SLA, EpisodeObjective, Inference, Plain

__all__ = ["DA", "SLA", "EpisodeObjective", "Inference", "Plain"]

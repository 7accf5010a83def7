"""The second of two stages: few-shot learners made of runs of either wing, without more training."""

from fewshot_sla.stages.laying import lay_heads

__all__ = ["lay_heads"]

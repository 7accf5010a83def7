"""The training loop and all that training of any kind needs."""

from fewshot_sla.training.modes import evaluation_mode
from fewshot_sla.training.randomness import seeded
from fewshot_sla.training.schedules import PiecewiseConstant

__all__ = ["PiecewiseConstant", "evaluation_mode", "seeded"]

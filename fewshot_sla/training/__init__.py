"""The training loop and all that training of any kind needs."""

from fewshot_sla.training.clock import Clock
from fewshot_sla.training.modes import evaluation_mode
from fewshot_sla.training.randomness import seeded
from fewshot_sla.training.schedules import Constant, Cosine, FactorSchedule, PiecewiseConstant, Schedule
from fewshot_sla.training.torch_schedule import TorchSchedule

__all__ = [
    "Clock",
    "Constant",
    "Cosine",
    "FactorSchedule",
    "PiecewiseConstant",
    "Schedule",
    "TorchSchedule",
    "evaluation_mode",
    "seeded",
]

"""What is done to gradients and weights around each step of the optimiser; the same for every kind of training."""

import math
from dataclasses import dataclass
from typing import get_args

from episodes.errors import UserError
from fewshot_sla.training.decay import Decay


@dataclass
class Updates:
    """What is done to gradients and weights around each step of the optimiser.

    Args:
        clip_norm: a step's gradient, the mean over its passes on all processes, is shortened to this 2-norm over all
            parameters if it is longer; 0: it is left as it is.
        decay: which parameters the optimiser's ``weight_decay`` is of. "all"; "not_norm": all but those of
            normalisation layers; "weights": neither these, nor biases, nor single numbers.
        average: share of itself that an exponential moving average of the weights keeps at each step, such as 0.999;
            validation, tests and predictions then go by the average. 0: there is none.

    Raises:
        UserError: if a value is out of its range.
    """

    clip_norm: float = 0.0
    decay: Decay = "all"
    average: float = 0.0

    def __post_init__(self) -> None:
        """Refuse what no update can go by."""
        if not 0 <= self.clip_norm < math.inf:
            raise UserError(f"updates.clip_norm must be a finite number of at least 0, got {self.clip_norm}")
        if self.decay not in get_args(Decay):
            raise UserError(f"updates.decay must be one of {', '.join(get_args(Decay))}, got {self.decay!r}")
        if not 0 <= self.average < 1:
            raise UserError(f"updates.average must be at least 0 and less than 1, got {self.average}")

"""Learning-rate schedules, one value a training step; any torch scheduler serves as well."""

from bisect import bisect_right
from collections.abc import Sequence

from torch.optim import Optimizer
from torch.optim.lr_scheduler import LambdaLR

from episodes.errors import UserError


class PiecewiseConstant(LambdaLR):
    """The learning rate times a factor that changes at given steps.

    MetaOptNet (Lee et al., CVPR 2019) trains 60 epochs of 1000 steps at lr 0.1 with factors 1, 0.06, 0.012, 0.0024 from
    epochs 0, 20, 40 and 50 on: milestones [20000, 40000, 50000], factors [0.06, 0.012, 0.0024].

    Args:
        optimizer: the optimiser whose learning rate is set.
        milestones: steps at which the factor changes, increasing.
        factors: the factor from each of these steps on; before the first it is 1.
        warmup: over so many steps from the first one on, the factor grows evenly to what it would be.

    Raises:
        UserError: if there are not as many factors as milestones, the milestones do not increase, or the warm-up is
            negative.
    """

    def __init__(
        self, optimizer: Optimizer, milestones: Sequence[float] = (), factors: Sequence[float] = (), warmup: float = 0.0
    ) -> None:
        if len(milestones) != len(factors) or list(milestones) != sorted(set(milestones)):
            raise UserError(
                f"PiecewiseConstant needs one factor for each of its increasing milestones, "
                f"got milestones {list(milestones)} and factors {list(factors)}"
            )
        if warmup < 0:
            raise UserError(f"PiecewiseConstant warmup must not be negative, got {warmup}")
        values = [1.0, *factors]

        def factor(step: int) -> float:
            return values[bisect_right(milestones, step)] * min(1.0, (step + 1) / max(1, warmup))

        super().__init__(optimizer, factor)

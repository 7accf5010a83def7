"""What every solver returns: the value, whether it solves the problem, and the residuals that say so."""

from dataclasses import dataclass
from enum import IntEnum

from torch import Tensor

from fewshot_sla.solvers.errors import NotConvergedError, raise_unless


class Status(IntEnum):
    """How the solve of one batch element ended."""

    CONVERGED = 0
    """Every residual is at most the tolerance."""
    NOT_CONVERGED = 1
    """A residual is above the tolerance or not finite: infeasible, ill-conditioned, or too few iterations."""


@dataclass(frozen=True)
class Solution:
    """The solution of a batch of problems.

    Residuals are relative (dimensionless, 0 is exact), carry no gradient, and are computed from the returned point by
    the code that returns it, not reported by the iteration. `Solution.value` carries the gradient.
    """

    value: Tensor  # [*batch, ...]
    status: Tensor  # [*batch] int64, values of Status
    primal_residual: Tensor  # [*batch] violation of the constraints
    dual_residual: Tensor  # [*batch] violation of stationarity
    gap: Tensor  # [*batch] duality gap
    tolerance: float
    iterations: Tensor | None = None  # [*batch] int64; None where the solver has none or does not tell

    @property
    def converged(self) -> Tensor:  # [*batch] bool
        """Whether each element solves its problem to the tolerance."""
        return self.status == Status.CONVERGED

    @property
    def worst_residual(self) -> Tensor:  # [*batch]
        """The largest of the three residuals of each element."""
        return self.primal_residual.maximum(self.dual_residual).maximum(self.gap)

    def raise_if_failed(self, solver: str, advice: str) -> "Solution":
        """Return self, or raise.

        Raises:
            NotConvergedError: names the batch elements above the tolerance and the worst residual.
        """
        if not bool(self.converged.all()):
            failed = ~self.converged
            primal, dual, gap = (
                float(residual[failed].amax()) for residual in (self.primal_residual, self.dual_residual, self.gap)
            )
            reason = (
                f"not converged to {self.tolerance:.0e}: relative primal residual {primal:.1e}, "
                f"dual residual {dual:.1e}, gap {gap:.1e}"
            )
            raise_unless(self.converged, NotConvergedError, solver, reason, advice)
        return self


def status_of(
    worst_residual: Tensor,  # [*batch]
    tolerance: float,
) -> Tensor:  # [*batch] int64
    """Status by comparison with the tolerance; NaN does not compare and so does not converge."""
    return (~(worst_residual <= tolerance)).long() * int(Status.NOT_CONVERGED)

"""What solvers raise: which solver, which episode of the batch, why, and what to do, in one line."""

import torch
from torch import Tensor


class SolverError(RuntimeError):
    """A solve failed; the message is one line, the parts of it are attributes.

    Attributes:
        solver: name of the solver.
        reason: what went wrong.
        advice: what to do about it.
        episodes: positions in the (flattened) batch that failed; empty if the failure cannot be told apart.
    """

    def __init__(self, solver: str, reason: str, advice: str = "", episodes: tuple[int, ...] = (), batch: int = 0):
        self.solver, self.reason, self.advice, self.episodes, self.batch = solver, reason, advice, episodes, batch
        where = f"episode {episodes[0]} of {batch}: " if episodes else ""
        others = f" (also in {len(episodes) - 1} other episodes of the batch)" if len(episodes) > 1 else ""
        super().__init__(f"{solver}: {where}{reason}{others}" + (f"; {advice}" if advice else ""))

    def __reduce__(self) -> tuple[type["SolverError"], tuple[str, str, str, tuple[int, ...], int]]:
        # The default would rebuild the error from its message alone and fail in a worker process.
        return type(self), (self.solver, self.reason, self.advice, self.episodes, self.batch)


class NonFiniteInputError(SolverError):
    """A coefficient holds NaN or infinity."""


class NotPositiveDefiniteError(SolverError):
    """A matrix that must be positive definite is not."""


class SingularSystemError(SolverError):
    """A linear system has no unique solution: constraints depend on each other."""


class NotConvergedError(SolverError):
    """The residuals of the returned point are above the tolerance; the problem may be infeasible."""


def raise_unless(
    ok: Tensor,  # [*batch] bool
    error: type[SolverError],
    solver: str,
    reason: str,
    advice: str,
) -> None:
    """Raise `error` naming the batch elements that are not ok; one host synchronisation when all are."""
    if bool(ok.all()):
        return
    episodes = tuple(int(i) for i in torch.nonzero(~ok.reshape(-1)).flatten().tolist())
    raise error(solver, reason, advice, episodes, ok.numel())


def all_finite(
    tensor: Tensor,  # [*batch, ...]
    core: int,  # how many trailing axes belong to one element
) -> Tensor:  # [*batch] bool
    """Whether each batch element is free of NaN and infinity."""
    return torch.isfinite(tensor).flatten(-core).all(-1) if core else torch.isfinite(tensor)

"""Linear algebra and quadratic programs, batched and differentiable; no learning in here."""

from fewshot_sla.solvers.errors import (
    NonFiniteInputError,
    NotConvergedError,
    NotPositiveDefiniteError,
    SingularSystemError,
    SolverError,
)
from fewshot_sla.solvers.qp.dense import solve_dense_qp
from fewshot_sla.solvers.ridge import ridge_regression
from fewshot_sla.solvers.solution import Solution, Status
from fewshot_sla.solvers.svm.crammer_singer import crammer_singer

__all__ = [
    "NonFiniteInputError",
    "NotConvergedError",
    "NotPositiveDefiniteError",
    "SingularSystemError",
    "Solution",
    "SolverError",
    "Status",
    "crammer_singer",
    "ridge_regression",
    "solve_dense_qp",
]

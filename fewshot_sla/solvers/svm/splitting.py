"""Operator splitting (ADMM) for the multi-class SVM's dual: soon knows which variables are free."""

import torch

from fewshot_sla.solvers.svm.rows import project
from fewshot_sla.solvers.svm.state import State

RELAXATION = 1.6
"""Over-relaxation of the splitting; Boyd et al. 2011 (section 3.4.3) recommend 1.5 to 1.8."""


def split(
    state: State,
    iterations: int,
) -> None:
    """Iterations of the alternating direction method of multipliers, in place (Boyd et al. 2011, eq. 3.5-3.7).

    One multiplication by the inverse and one projection each. The method converges from anywhere, and soon finds which
    variables are free, long before their values.
    """
    rows, a, u = state.rows, state.a, state.u
    pull = state.inverse @ state.linear
    spring = state.weight * state.inverse
    for _ in range(iterations):
        x = torch.baddbmm(pull, spring, a - u)
        v = u.add(x, alpha=RELAXATION).add_(a, alpha=1 - RELAXATION)
        a, free = project(v, rows)
        u = v - a
    state.a, state.u, state.p, state.free = a, u, a, free
    state.iterations += iterations

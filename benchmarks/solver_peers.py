"""Solvers of the multi-class SVM's dual under one interface: features in, dual variables out, gradients back.

Each maker is called once a problem shape, untimed, and returns the function that is timed. A peer that is not installed
raises ImportError.
"""

from collections.abc import Callable

import torch
from torch import Tensor

from benchmarks.peers import learn2learn
from fewshot_sla.solvers.svm.crammer_singer import crammer_singer

C, REGULARIZATION = 0.1, 1.0
"""MetaOptNet's settings."""

Solve = Callable[[Tensor], Tensor]  # features [T, S, D] float32 -> alpha [T, S, W]


def structured(labels: Tensor, ways: int) -> Solve:  # labels [S] int64
    """This project's."""
    one_hot = torch.nn.functional.one_hot(labels, ways).double()

    def solve(features: Tensor) -> Tensor:
        rows = features.double()
        return crammer_singer(rows @ rows.mT, one_hot, C, regularization=REGULARIZATION, check=False).value

    return solve


def qpth(labels: Tensor, ways: int) -> Solve:
    """qpth in float64 with its own defaults, on the matrices that MetaOptNet builds."""
    from qpth.qp import QPFunction

    def solve(features: Tensor) -> Tensor:
        Q, p, G, h, A, b = _matrices(features, labels, ways)
        return QPFunction(verbose=-1)(Q, p, G, h, A, b).view(len(features), -1, ways)

    return solve


def learn2learn_svm(labels: Tensor, ways: int) -> Solve:
    """learn2learn's SVClassifier: qpth in the features' float32, an episode at a time, 15 iterations."""
    machine = learn2learn().nn.SVClassifier(C_reg=C)

    def solve(features: Tensor) -> Tensor:
        solutions = []
        for episode in features:
            machine.fit_(episode, labels, ways)
            solutions.append(machine.qp_solution)
        return torch.stack(solutions)

    return solve


def proxsuite(labels: Tensor, ways: int) -> Solve:
    """proxsuite's QPLayer (C++, CPU only) with its own defaults."""
    from proxsuite.torch.qplayer import QPFunction

    def solve(features: Tensor) -> Tensor:
        Q, p, G, h, A, b = (
            x.expand(len(features), *x.shape[x.ndim - d :])
            for x, d in zip(_matrices(features, labels, ways), (2, 1, 2, 1, 2, 1), strict=True)
        )
        below = torch.full_like(h, -1e20)
        return QPFunction(structural_feasibility=True)(Q, p, A, b, G, below, h)[0].view(len(features), -1, ways)

    return solve


def cvxpylayers(labels: Tensor, ways: int) -> Solve:
    """cvxpylayers with its own defaults; the kernel enters as its Cholesky factor, as disciplined programming asks."""
    import cvxpy
    from cvxpylayers.torch import CvxpyLayer

    one_hot = torch.nn.functional.one_hot(labels, ways).double().numpy()
    rows = len(labels)
    factor, alpha = cvxpy.Parameter((rows, rows)), cvxpy.Variable((rows, ways))
    objective = 0.5 * cvxpy.sum_squares(factor @ alpha) - cvxpy.sum(cvxpy.multiply(one_hot, alpha))
    constraints = [alpha <= C * one_hot, cvxpy.sum(alpha, axis=1) == 0]
    layer = CvxpyLayer(cvxpy.Problem(cvxpy.Minimize(objective), constraints), parameters=[factor], variables=[alpha])

    def solve(features: Tensor) -> Tensor:
        return layer(torch.linalg.cholesky(_kernel(features)).mT)[0]

    return solve


SOLVERS: dict[str, Callable[[Tensor, int], Solve]] = {
    "structured": structured,
    "qpth": qpth,
    "learn2learn": learn2learn_svm,
    "proxsuite": proxsuite,
    "cvxpylayers": cvxpylayers,
}
CPU_ONLY = {"proxsuite", "cvxpylayers"}


def _kernel(features: Tensor) -> Tensor:  # [T, S, D] -> [T, S, S] float64
    rows = features.double()
    return rows @ rows.mT + REGULARIZATION * torch.eye(rows.shape[-2], dtype=rows.dtype, device=rows.device)


def _matrices(features: Tensor, labels: Tensor, ways: int) -> tuple[Tensor, ...]:
    """Q, p, G, h, A, b with S * W variables; all but Q without a batch axis."""
    rows = len(labels)
    target = torch.nn.functional.one_hot(labels, ways).double().flatten()
    identity = torch.eye(ways, dtype=torch.float64, device=labels.device)
    Q = (_kernel(features)[:, :, None, :, None] * identity[:, None, :]).reshape(-1, rows * ways, rows * ways)
    G = torch.eye(rows * ways, dtype=torch.float64, device=labels.device)
    A = torch.kron(torch.eye(rows, dtype=torch.float64, device=labels.device), torch.ones_like(identity[:1]))
    return Q, -target, G, C * target, A, A.new_zeros(rows)

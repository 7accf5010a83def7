"""The dense QP against cvxpy, its gradients against finite differences, its failures by name."""

import builtins
import pickle
from typing import Any

import cvxpy
import pytest
import torch
from torch import Tensor

from episodes.errors import UserError
from fewshot_sla.solvers.errors import (
    NonFiniteInputError,
    NotConvergedError,
    NotPositiveDefiniteError,
    SingularSystemError,
)
from fewshot_sla.solvers.qp.dense import solve_dense_qp
from fewshot_sla.solvers.solution import Status

KINDS = {"free": "Qp", "inequality": "QpGh", "equality": "QpAb", "both": "QpGhAb"}


def problem(names: str, batch: int = 3, shared: str = "", seed: int = 0) -> dict[str, Tensor]:
    """A feasible random QP with 6 variables, some of whose constraints bind; `shared` ones have no batch axis."""
    generator = torch.Generator().manual_seed(seed)

    def normal(*shape: int) -> Tensor:
        return torch.randn(batch, *shape, generator=generator, dtype=torch.float64)

    root, inside = normal(6, 6), normal(6)[:1].expand(batch, -1)
    qp = {"Q": root @ root.mT + torch.eye(6), "p": 3 * normal(6), "G": normal(8, 6), "A": normal(2, 6)}
    qp = {name: value[0] if name in shared else value for name, value in qp.items()}
    inside = inside[0] if "h" in shared or "b" in shared else inside
    G = qp["G"][0] if "h" in shared and qp["G"].ndim == 3 else qp["G"]
    A = qp["A"][0] if "b" in shared and qp["A"].ndim == 3 else qp["A"]
    qp["h"] = (G @ inside[..., None])[..., 0] + 0.3
    qp["b"] = (A @ inside[..., None])[..., 0]
    for name in "hb":  # shared rows with a batched right-hand side and the other way round
        if name in shared and qp[name].ndim == 2:
            qp[name] = qp[name][0]
    return {name: qp[name] for name in names}


def by_cvxpy(qp: dict[str, Tensor], element: int) -> Tensor:
    def numpy(name: str) -> Any:
        value = qp[name]
        return (value if value.ndim == (2 if name in "QGA" else 1) else value[element]).numpy()

    z = cvxpy.Variable(6)
    constraints = [numpy("G") @ z <= numpy("h")] if "G" in qp else []
    constraints += [numpy("A") @ z == numpy("b")] if "A" in qp else []
    objective = 0.5 * cvxpy.quad_form(z, cvxpy.psd_wrap(numpy("Q"))) + numpy("p") @ z
    cvxpy.Problem(cvxpy.Minimize(objective), constraints).solve(
        "CLARABEL", tol_gap_abs=1e-12, tol_gap_rel=1e-12, tol_feas=1e-12
    )
    return torch.from_numpy(z.value)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("shared", ["", "QG", "Q", "pGA"])
def test_equals_cvxpy(kind: str, shared: str) -> None:
    qp = problem(KINDS[kind], shared=shared)
    solution = solve_dense_qp(**qp)
    assert solution.value.shape == (3, 6)
    assert solution.status.tolist() == [Status.CONVERGED] * 3
    assert float(solution.worst_residual.max()) <= solution.tolerance
    expected = torch.stack([by_cvxpy(qp, element) for element in range(3)])
    torch.testing.assert_close(solution.value, expected, rtol=1e-6, atol=1e-7)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("shared", ["", "Q", "p", "G", "A", "QpGhAb"])
@pytest.mark.parametrize("batch", [1, 3])
def test_gradient_of_every_coefficient(kind: str, shared: str, batch: int) -> None:
    """qpth itself averages the gradient of a shared coefficient over the batch; it must be the sum."""
    qp = problem(KINDS[kind], batch=batch, shared=shared, seed=4)
    inputs = [value.requires_grad_() for value in qp.values()]

    def solve(*values: Tensor) -> Tensor:
        return solve_dense_qp(**dict(zip(qp, values, strict=True))).value

    assert torch.autograd.gradcheck(solve, inputs, eps=1e-5, atol=1e-5, rtol=1e-4, fast_mode=True)


def test_only_the_symmetric_part_of_the_hessian_counts() -> None:
    qp = problem("QpGh")
    skew = torch.triu(torch.ones(6, 6, dtype=torch.float64), 1)
    twisted = {**qp, "Q": qp["Q"] + skew - skew.T}
    torch.testing.assert_close(solve_dense_qp(**twisted).value, solve_dense_qp(**qp).value)


@pytest.mark.parametrize("names", ["Qp", "QpGh", "QpAb", "QpGhAb"])
def test_one_problem_without_batch_axis_and_many_axes(names: str) -> None:
    qp = problem(names)
    batched = solve_dense_qp(**qp).value
    single = solve_dense_qp(**{name: value[1] for name, value in qp.items()})
    assert single.value.shape == (6,)
    assert single.status.shape == ()
    torch.testing.assert_close(single.value, batched[1], rtol=1e-6, atol=1e-8)
    grid = solve_dense_qp(**{name: value[:, None].repeat_interleave(2, 1) for name, value in qp.items()})
    torch.testing.assert_close(grid.value, batched[:, None].expand(3, 2, 6), rtol=1e-6, atol=1e-8)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_low_precision_is_solved_in_float64_and_cast_back(dtype: torch.dtype) -> None:
    qp = {name: value.to(dtype) for name, value in problem("QpGhAb").items()}
    solution = solve_dense_qp(**qp)
    assert solution.value.dtype == torch.float32
    exact = solve_dense_qp(**{name: value.double() for name, value in qp.items()})
    assert torch.equal(solution.value, exact.value.float())


@pytest.mark.parametrize("factor", [1e-6, 1e6])
def test_units_do_not_matter(factor: float) -> None:
    qp = problem("QpGhAb")
    reference = solve_dense_qp(**qp).value
    dearer = solve_dense_qp(**{**qp, "Q": qp["Q"] * factor, "p": qp["p"] * factor}).value
    torch.testing.assert_close(dearer, reference, rtol=1e-6, atol=1e-8)
    larger = {**qp, "p": qp["p"] * factor, "h": qp["h"] * factor, "b": qp["b"] * factor}
    torch.testing.assert_close(solve_dense_qp(**larger).value, reference * factor, rtol=1e-6, atol=1e-8 * factor)


@pytest.mark.parametrize("name", list("QpGhAb"))
def test_nan_is_named_with_its_coefficient_and_episode(name: str) -> None:
    qp = problem("QpGhAb")
    qp[name][1].view(-1)[0] = torch.nan
    with pytest.raises(NonFiniteInputError, match=f"dense QP: episode 1 of 3: {name} is not finite") as caught:
        solve_dense_qp(**qp)
    assert caught.value.episodes == (1,)


def test_indefinite_is_named() -> None:
    qp = problem("QpGh")
    qp["Q"][1:] -= 20 * torch.eye(6)
    with pytest.raises(NotPositiveDefiniteError, match=r"episode 1 of 3: Q .* \(also in 1 other") as caught:
        solve_dense_qp(**qp)
    assert caught.value.episodes == (1, 2)


def test_infeasible_is_named_not_answered(capfd: pytest.CaptureFixture[str]) -> None:
    qp = problem("QpGh")
    qp["G"][1, 1], qp["h"][1, 0], qp["h"][1, 1] = -qp["G"][1, 0], -1.0, -1.0  # g z <= -1 and -g z <= -1
    with pytest.raises(NotConvergedError, match="episode 1 of 3: not converged to 1e-08"):
        solve_dense_qp(**qp)
    solution = solve_dense_qp(**qp, check=False)
    assert solution.status.tolist() == [Status.CONVERGED, Status.NOT_CONVERGED, Status.CONVERGED]
    good = solve_dense_qp(**problem("QpGh")).value
    torch.testing.assert_close(solution.value[[0, 2]], good[[0, 2]], rtol=1e-6, atol=1e-8)
    assert capfd.readouterr().out == ""  # qpth would print a paragraph


@pytest.mark.parametrize("names", ["QpAb", "QpGhAb"])
def test_dependent_equalities_are_named(names: str) -> None:
    qp = problem(names)
    qp["A"][2, 1] = 2 * qp["A"][2, 0]
    with pytest.raises(SingularSystemError, match="episode 2 of 3: equality constraints depend"):
        solve_dense_qp(**qp)


def test_too_few_iterations_is_named() -> None:
    with pytest.raises(NotConvergedError, match="not converged"):
        solve_dense_qp(**problem("QpGh"), max_iterations=2)


@pytest.mark.parametrize(
    "change",
    [
        {"h": None},
        {"G": None},
        {"p": torch.ones(5)},
        {"Q": torch.eye(6)[:5]},
        {"h": torch.ones(7)},
        {"p": torch.ones(2, 6)},
    ],
)
def test_shapes_that_do_not_fit(change: dict[str, Tensor | None]) -> None:
    with pytest.raises(UserError, match="QP"):
        solve_dense_qp(**{**problem("QpGhAb"), **change})


def test_a_missing_qpth_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    real = builtins.__import__

    def without_qpth(name: str, *rest: Any, **options: Any) -> Any:
        if name.startswith("qpth"):
            raise ImportError(name)
        return real(name, *rest, **options)

    monkeypatch.setattr(builtins, "__import__", without_qpth)
    with pytest.raises(UserError, match="pip install qpth"):
        solve_dense_qp(**problem("QpGh"))


def test_a_second_derivative_is_refused() -> None:
    qp = problem("QpGh")
    p = qp["p"].requires_grad_()
    (gradient,) = torch.autograd.grad(solve_dense_qp(**qp).value.sum(), p, create_graph=True)
    with pytest.raises(RuntimeError, match="no second derivative"):
        gradient.sum().backward()


def test_gradient_is_finite_where_constraints_are_degenerate() -> None:
    """Twice the same active constraint: the multipliers are not unique, the solution and its derivative in p are."""
    p = torch.tensor([-3.0, 1.0], dtype=torch.float64, requires_grad=True)
    G, h = torch.tensor([[1.0, 0.0], [1.0, 0.0]]), torch.tensor([1.0, 1.0])
    z = solve_dense_qp(torch.eye(2), p, G, h).value
    torch.testing.assert_close(z, torch.tensor([1.0, -1.0], dtype=torch.float64))
    jacobian = torch.stack([torch.autograd.grad(z[i], p, retain_graph=True)[0] for i in range(2)])
    torch.testing.assert_close(jacobian, torch.diag(torch.tensor([0.0, -1.0], dtype=torch.float64)))


def test_errors_survive_a_process_border() -> None:
    error = NotConvergedError("dense QP", "why", "what to do", (1,), 3)
    again = pickle.loads(pickle.dumps(error))
    assert (type(again), str(again), again.episodes) == (NotConvergedError, str(error), (1,))

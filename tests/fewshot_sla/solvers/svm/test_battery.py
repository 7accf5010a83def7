"""Whatever the structured solver is given, it solves to its tolerance or says by name that it did not."""

import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st
from torch import Tensor

from fewshot_sla.solvers.errors import NonFiniteInputError, NotConvergedError
from fewshot_sla.solvers.positive_definite import inverse_by_triangles, positive_definite_inverse
from fewshot_sla.solvers.solution import Solution
from fewshot_sla.solvers.svm.crammer_singer import crammer_singer
from fewshot_sla.solvers.svm.dense import crammer_singer_dense
from tests.fewshot_sla.solvers.svm.problems import KINDS, draw, gram, worst_violation


def shuffled(X: Tensor, Y: Tensor, seed: int) -> tuple[Tensor, Tensor]:
    order = torch.randperm(X.shape[1], generator=torch.Generator().manual_seed(seed))
    return X[:, order], Y[:, order]


def agree(ours: Tensor, theirs: Tensor, tolerance: float = 1e-9) -> None:
    size = float(theirs.abs().max())
    torch.testing.assert_close(ours, theirs, rtol=0, atol=tolerance * size)


@given(
    shots=st.lists(st.integers(1, 6), min_size=2, max_size=7),
    dimension=st.sampled_from([4, 16, 64]),
    kind=st.sampled_from(KINDS),
    exponent=st.floats(-4, 4),
    regularization=st.sampled_from([0.0, 1e-3, 1.0, 100.0]),
    seed=st.integers(0, 99),
)
@example(shots=[1, 1], dimension=4, kind="zero", exponent=4.0, regularization=0.0, seed=0)
@example(shots=[50, 1], dimension=16, kind="ordinary", exponent=-1.0, regularization=1.0, seed=0)
@example(shots=[1] * 120, dimension=64, kind="ordinary", exponent=-1.0, regularization=1.0, seed=0)
@example(shots=[3] * 5, dimension=4, kind="identical", exponent=-1.0, regularization=0.0, seed=0)
@settings(max_examples=120)
def test_solved_or_named(
    shots: list[int], dimension: int, kind: str, exponent: float, regularization: float, seed: int
) -> None:
    X, Y = draw(len(shots), shots, dimension, batch=2, seed=seed, kind=kind)
    C, kernel = 10.0**exponent, gram(X).requires_grad_()
    solution = crammer_singer(kernel, Y, C, regularization=regularization, check=False)
    assert bool(torch.isfinite(solution.value).all())
    if not bool(solution.converged.all()):
        # Only where the rows depend on each other and the regulariser is lost in the rounding of their kernel.
        assert dimension < sum(shots) or kind in ("identical", "duplicated")
        assert regularization == 0 or kind == "huge"
        with pytest.raises(NotConvergedError):
            crammer_singer(kernel, Y, C, regularization=regularization)
        return
    assert solution.value.dtype == torch.float64
    assert float(solution.worst_residual.max()) <= 1e-8
    (gradient,) = torch.autograd.grad(solution.value.square().sum(), kernel)
    assert bool(torch.isfinite(gradient).all())
    if sum(shots) <= 20:
        matrix = kernel[0].detach() + regularization * torch.eye(len(Y[0]), dtype=kernel.dtype)
        assert worst_violation(matrix, Y[0], C, solution.value[0].detach()) <= 1e-7


@pytest.mark.parametrize("regularization", [1.0, 0.1])
@pytest.mark.parametrize("C", [1e-4, 0.1, 1.0, 1e4])
@pytest.mark.parametrize("kind", KINDS)
def test_solved_for_certain(kind: str, C: float, regularization: float) -> None:
    """Nothing here is too hard, where features outnumber rows."""
    X, Y = draw(4, (3, 1, 2, 4), 20, kind=kind)
    solution = crammer_singer(gram(X), Y, C, regularization=regularization)
    assert float(solution.worst_residual.max()) <= 1e-8


@pytest.mark.parametrize("C", [1e-4, 0.1, 1.0, 1e4])
@pytest.mark.parametrize("kind", KINDS)
def test_the_dense_solver_solves_or_names(kind: str, C: float) -> None:
    X, Y = draw(4, (3, 1, 2, 4), 20, kind=kind)
    try:
        solution = crammer_singer_dense(gram(X), Y, C, regularization=1.0)
    except NotConvergedError:
        # qpth divides by a step that is exactly 0 on perfectly symmetric data, and stalls on scales 1e12 apart.
        assert (kind, C) not in {(easy, price) for easy in ("ordinary", "tiny", "orthogonal") for price in (0.1, 1e-4)}
        return
    assert bool(torch.isfinite(solution.value).all())
    assert float(solution.worst_residual.max()) <= 1e-8


@given(
    shots=st.lists(st.integers(1, 5), min_size=2, max_size=6),
    exponent=st.integers(-2, 2),
    seed=st.integers(0, 99),
    data=st.data(),
)
@settings(max_examples=30)
def test_neither_companions_nor_orders_matter(shots: list[int], exponent: int, seed: int, data: st.DataObject) -> None:
    ways = len(shots)
    X, Y = shuffled(*draw(ways, shots, 12, seed=seed), seed)
    C = 10.0**exponent
    # Companions that are harder and easier: more, fewer and degenerate iterations beside it.
    kernel = torch.stack([gram(X[0], 0.1), gram(100 * X[1], 0.1), gram(0 * X[2], 1.0), gram(X[1][:, :1], 1e-3)])
    one_hot = Y[:1].expand(4, -1, -1)
    together = crammer_singer(kernel, one_hot, C)
    for t in range(4):
        alone = crammer_singer(kernel[t], one_hot[t], C)
        agree(together.value[t], alone.value, 1e-9 if t < 3 else 1e-5)
        assert int(together.iterations[t]) == int(alone.iterations)
    rows = torch.tensor(data.draw(st.permutations(range(sum(shots)))))
    classes = torch.tensor(data.draw(st.permutations(range(ways))))
    moved = crammer_singer(kernel[0][rows][:, rows], one_hot[0][rows][:, classes], C)
    agree(moved.value, together.value[0][rows][:, classes])


def test_an_unsolved_episode_does_not_spoil_the_others() -> None:
    X, Y = draw(3, (4, 4, 4), 4)
    kernel = gram(X, 1.0)
    kernel[1] = gram(1e7 * X[1], 1.0)  # four dimensions, and a regulariser below the kernel's last digit
    with pytest.raises(NotConvergedError, match="episode 1 of 3: not converged") as caught:
        crammer_singer(kernel, Y, 0.1)
    assert caught.value.episodes == (1,)
    solution = crammer_singer(kernel, Y, 0.1, check=False)
    assert solution.converged.tolist() == [True, False, True]
    assert bool(torch.isfinite(solution.value).all())
    agree(solution.value[[0, 2]], crammer_singer(kernel[[0, 2]], Y[[0, 2]], 0.1).value)
    kernel[2, 0, 0] = torch.inf
    with pytest.raises(NonFiniteInputError, match="episode 2 of 3"):
        crammer_singer(kernel, Y, 0.1, check=False)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_low_precision_is_solved_in_float64_and_cast_back(dtype: torch.dtype) -> None:
    X, Y = draw(4, (3, 1, 2, 4), 20)
    kernel = gram(X, 1.0).to(dtype).requires_grad_()
    solution = crammer_singer(kernel, Y.to(dtype), 0.1)
    assert solution.value.dtype == torch.float32
    exact = crammer_singer(kernel.double(), Y, 0.1)
    assert torch.equal(solution.value, exact.value.float())
    assert worst_violation(kernel[0].detach().double(), Y[0], 0.1, solution.value[0].detach().double()) <= 1e-4
    (gradient,) = torch.autograd.grad(solution.value.sum(), kernel)
    assert gradient.dtype == dtype


def test_autocast_changes_nothing() -> None:
    X, Y = draw(4, (3, 1, 2, 4), 20)
    values, gradients = [], []
    for enabled in (False, True):
        kernel = gram(X.float()).requires_grad_()
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=enabled):
            values.append(crammer_singer(kernel, Y, 0.1, regularization=1.0).value)
            gradients += torch.autograd.grad(values[-1].square().sum(), kernel)
    assert torch.equal(*values)
    assert torch.equal(*gradients)


def test_any_leading_axes_and_one_class() -> None:
    X, Y = draw(3, (2, 1, 2), 8, batch=6)
    kernel = gram(X, 1.0)
    flat = crammer_singer(kernel, Y, 0.1)
    grid = crammer_singer(kernel.unflatten(0, (2, 3)), Y.unflatten(0, (2, 3)), 0.1)
    assert grid.status.shape == grid.iterations.shape == grid.gap.shape == (2, 3)
    agree(grid.value.flatten(0, 1), flat.value)
    single = crammer_singer(kernel[2], Y[2], 0.1)
    assert single.status.shape == ()
    agree(single.value, flat.value[2])
    assert crammer_singer(kernel, torch.ones(5, 1), 0.1).value.abs().max() == 0


@pytest.mark.parametrize("memory", [1, 20_000, 200_000])
def test_the_memory_budget_changes_nothing(memory: int) -> None:
    """One byte: an episode and a class at a time."""
    X, Y = draw(6, (2, 1, 3, 2, 4, 1), 12, batch=5)

    def run(**options: int) -> tuple[Solution, Tensor]:
        kernel = gram(X, 1.0).requires_grad_()
        solution = crammer_singer(kernel, Y, 0.1, **options)
        return solution, torch.autograd.grad(solution.value.square().sum(), kernel)[0]

    (small, small_gradient), (large, large_gradient) = run(memory=memory), run()
    agree(small.value.detach(), large.value.detach())
    agree(small_gradient, large_gradient)


@pytest.mark.parametrize("kind", KINDS)
def test_the_gradient_of_degenerate_problems_is_finite(kind: str) -> None:
    """Where bounds are weakly active any one-sided derivative will do, but not NaN, and not another one each time."""
    X, Y = draw(4, (2,) * 4, 12, kind=kind)
    kernel = gram(X).requires_grad_()
    weights = torch.randn(Y.shape, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    gradients = [
        torch.autograd.grad((crammer_singer(kernel, Y, 0.1, regularization=1.0).value * weights).sum(), kernel)[0]
        for _ in range(2)
    ]
    assert bool(torch.isfinite(gradients[0]).all())
    assert torch.equal(*gradients)


def test_a_weakly_active_bound_gets_a_one_sided_derivative() -> None:
    """Two rows of two classes at the very C where they meet it: alpha = min(C, 1 / 2k) (1, -1) has a kink there."""
    kernel = (2.0 * torch.eye(2, dtype=torch.float64)).requires_grad_()
    solution = crammer_singer(kernel, torch.eye(2), 0.25)
    torch.testing.assert_close(solution.value.detach(), 0.25 * torch.tensor([[1.0, -1], [-1, 1]]).double())
    (gradient,) = torch.autograd.grad(solution.value[0, 0], kernel)
    slope = -1 / (2 * 2.0**2)  # of 1 / 2k; that of C is 0
    assert float(gradient[0, 0]) == pytest.approx(0.0, abs=1e-9) or float(gradient[0, 0]) == pytest.approx(slope)


def test_both_ways_to_invert_agree() -> None:
    """The one for the GPU, tested on the CPU."""
    X, _ = draw(4, (3, 1, 2, 4), 20, batch=6)
    matrix = gram(X, 1.0).unflatten(0, (2, 3))
    inverse = positive_definite_inverse(matrix)
    agree(inverse @ matrix, torch.eye(10).double().expand_as(matrix))
    agree(inverse_by_triangles(torch.linalg.cholesky(matrix)), inverse)


@pytest.mark.cuda
@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no CUDA device")
@pytest.mark.parametrize("kind", KINDS)
def test_a_gpu_gives_the_same(kind: str) -> None:
    X, Y = draw(6, (2, 1, 3, 2, 4, 1), 24, batch=5, kind=kind)
    there, here = X.cuda().requires_grad_(), X.clone().requires_grad_()
    values = [crammer_singer(gram(x), Y.to(x.device), 0.1, regularization=1.0).value for x in (there, here)]
    agree(values[0].detach().cpu(), values[1].detach(), 1e-7)
    gradients = [torch.autograd.grad(v.sum(), x)[0].cpu() for v, x in zip(values, (there, here), strict=True)]
    assert all(bool(torch.isfinite(g).all()) for g in gradients)

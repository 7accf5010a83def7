"""What the contract's own checks refuse, each with a line that names it."""

import copy
import subprocess
import sys
from contextlib import nullcontext

import pytest
import torch

from episodes.errors import UserError
from fewshot_sla.heads import (
    CosineHead,
    GradientHead,
    Head,
    LogisticRegressionHead,
    MatchingHead,
    NormalizedHead,
    ProtoNetHead,
    R2D2Head,
    RidgeHead,
    SVMHead,
    check_support_labels,
    logistic,
    r2d2,
    ridge,
    svm,
)
from fewshot_sla.solvers.solution import Solution

HEADS: list[Head] = [
    ProtoNetHead(),
    RidgeHead(),
    SVMHead(),
    R2D2Head(),
    LogisticRegressionHead(),
    CosineHead(),
    MatchingHead(),
    GradientHead(),
    NormalizedHead(ProtoNetHead()),
]
SUPPORT, LABELS, QUERY = torch.randn(2, 4, 3), torch.tensor([[0, 1, 0, 1]] * 2), torch.randn(2, 5, 3)


@pytest.mark.parametrize("head", HEADS)
def test_a_class_without_support_is_named(head: torch.nn.Module) -> None:
    labels = torch.tensor([[0, 1, 2, 0], [0, 0, 2, 2]])
    with pytest.raises(UserError, match=r"episode 1 has no support row of class 1 \(ways=3\)"):
        head(SUPPORT, labels, QUERY, 3)


@pytest.mark.parametrize(
    ("support", "labels", "query", "message"),
    [
        (SUPPORT[0], LABELS, QUERY, "support .T, S, D."),
        (SUPPORT, LABELS[:, :3], QUERY, "support_labels .T, S."),
        (SUPPORT, LABELS, QUERY[..., :2], "differ in episodes"),
        (SUPPORT, LABELS, QUERY[:1], "differ in episodes"),
        (SUPPORT, LABELS.float(), QUERY, "must be integers"),
        (SUPPORT, LABELS + 1, QUERY, "reach from 1 to 2"),
        (SUPPORT, LABELS - 1, QUERY, "reach from -1 to 0"),
        (SUPPORT[:, :0], LABELS[:, :0], QUERY, "needs support rows"),
    ],
)
def test_inputs_that_do_not_fit_are_named(
    support: torch.Tensor, labels: torch.Tensor, query: torch.Tensor, message: str
) -> None:
    with pytest.raises(UserError, match=message):
        ProtoNetHead()(support, labels, query, 2)


@pytest.mark.parametrize("labels", [LABELS, LABELS.to(torch.uint8)])
def test_labels_from_outside_can_be_checked_alone(labels: torch.Tensor) -> None:
    check_support_labels(labels, 2)
    with pytest.raises(UserError, match=r"episode 0 has no support row of class 2 \(ways=3\)"):
        check_support_labels(labels, 3)
    with pytest.raises(UserError, match="reach from 0 to 1"):
        check_support_labels(labels, 1)


def _unsolved(*problem: torch.Tensor, **_: float) -> Solution:
    """In place of a solver, which may read back whether it is done: numbers of the right shape."""
    left, right = problem[:2]
    value = torch.empty(left.shape[0], left.shape[-1], right.shape[-1], dtype=left.dtype, device=left.device)
    return Solution(value, *[value[:, 0, 0]] * 4, tolerance=0.0)


def _unfitted(kernel: torch.Tensor, *problem: torch.Tensor, **_: float) -> Solution:
    """The same with a row for the intercept."""
    return _unsolved(torch.nn.functional.pad(kernel, (0, 1)), problem[0])


@pytest.mark.parametrize("head", HEADS)
def test_off_the_cpu_a_head_reads_no_value_back(head: Head, monkeypatch: pytest.MonkeyPatch) -> None:
    """On a GPU each read makes the host wait in each training step. The meta device has no values at all to read."""
    monkeypatch.setattr(ridge, "ridge_regression", _unsolved)
    monkeypatch.setattr(r2d2, "ridge_regression", _unsolved)
    monkeypatch.setattr(logistic, "logistic_regression", _unfitted)
    monkeypatch.setitem(svm.SOLVERS, "structured", _unsolved)
    monkeypatch.setattr(torch, "autocast", lambda device, enabled: nullcontext())  # there is none for this device
    support, labels, query = (tensor.to("meta") for tensor in (SUPPORT, LABELS, QUERY))
    with pytest.raises(RuntimeError, match="meta tensors"):  # the test can fail
        check_support_labels(labels, 2)
    assert copy.deepcopy(head).to("meta")(support, labels, query, 2).shape == (2, 5, 2)
    with pytest.raises(UserError, match="differ in episodes"):  # shapes cost nothing
        head(support, labels, query[:1], 2)


def test_narrow_integer_labels_are_fine() -> None:
    torch.testing.assert_close(
        ProtoNetHead()(SUPPORT, LABELS.to(torch.uint8), QUERY, 2), ProtoNetHead()(SUPPORT, LABELS, QUERY, 2)
    )


def test_no_query_gives_no_logits() -> None:
    assert ProtoNetHead()(SUPPORT, LABELS, QUERY[:, :0], 2).shape == (2, 0, 2)


def test_importing_the_heads_brings_in_no_solver_package() -> None:
    code = "import sys, fewshot_sla.heads; print([m for m in ('qpth', 'cvxpy', 'sklearn') if m in sys.modules])"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "[]"

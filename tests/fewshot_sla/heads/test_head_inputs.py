"""What the contract's own checks refuse, each with a line that names it."""

import subprocess
import sys

import pytest
import torch

from episodes.errors import UserError
from fewshot_sla.heads import ProtoNetHead, RidgeHead, SVMHead

SUPPORT, LABELS, QUERY = torch.randn(2, 4, 3), torch.tensor([[0, 1, 0, 1]] * 2), torch.randn(2, 5, 3)


@pytest.mark.parametrize("head", [ProtoNetHead(), RidgeHead(), SVMHead()])
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

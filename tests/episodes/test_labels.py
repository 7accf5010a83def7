"""The joint-label codec: its order is the paper's, and nobody else knows it."""

import ast
from pathlib import Path

import pytest
import torch

from episodes.labels import flatten_pairs, joint_label, split_joint_label, unflatten_pairs

ROOT = Path(__file__).parents[2]
HOME = ROOT / "episodes" / "labels.py"


def test_the_order_is_class_by_class() -> None:
    expected = [y * 4 + j for y in range(3) for j in range(4)]
    assert expected == list(range(12))
    classes, views = torch.arange(3)[:, None], torch.arange(4)
    assert joint_label(classes, views, 4).flatten().tolist() == expected
    assert joint_label(torch.tensor([0, 2]), 3, m=4).tolist() == [3, 11]


def test_splitting_says_class_and_transformation() -> None:
    label, view = split_joint_label(torch.arange(6), m=3)
    assert label.tolist() == [0, 0, 0, 1, 1, 1]
    assert view.tolist() == [0, 1, 2, 0, 1, 2]


@pytest.mark.parametrize("dim", [0, 1, 2])
def test_flattened_pairs_stand_where_their_joint_label_says(dim: int) -> None:
    shape = [3, 2, 5, 4]
    pairs = torch.randn(shape)
    n, m = shape[dim], shape[dim + 1]
    joint = flatten_pairs(pairs, dim)
    for y in range(n):
        for j in range(m):
            assert torch.equal(joint.select(dim, y * m + j), pairs.select(dim, y).select(dim, j))
    assert torch.equal(unflatten_pairs(joint, dim, m), pairs)


def test_an_axis_that_does_not_divide_is_refused() -> None:
    with pytest.raises(RuntimeError):
        unflatten_pairs(torch.zeros(7), 0, m=2)


class _Convention(ast.NodeVisitor):
    """Finds expressions that pair a class and a transformation, or take the pair apart, by the number M."""

    def __init__(self) -> None:
        self.lines: list[int] = []

    def visit_BinOp(self, node: ast.BinOp) -> None:
        joins = isinstance(node.op, ast.Add) and any(_times_m(side) for side in (node.left, node.right))
        splits = isinstance(node.op, ast.Mod | ast.FloorDiv) and _is_m(node.right) and not _is_constant(node.left)
        if joins or splits:
            self.lines.append(node.lineno)
        self.generic_visit(node)

    def visit_Call(self, node: ast.Call) -> None:
        reshapes = ("unflatten", "view", "reshape", "repeat_interleave", "divmod", "div", "remainder", "chunk")
        name = getattr(node.func, "attr", getattr(node.func, "id", None))
        if name in reshapes and any(_is_m(part) for argument in node.args for part in ast.walk(argument)):
            self.lines.append(node.lineno)
        self.generic_visit(node)


def _is_m(node: ast.AST) -> bool:
    return getattr(node, "id", getattr(node, "attr", None)) in ("m", "M")


def _is_constant(node: ast.AST) -> bool:
    """A budget shared out among views, as in ``_VIEWS_PER_PASS // m``, is no label."""
    return isinstance(node, ast.Name) and node.id.isupper()


def _times_m(node: ast.AST) -> bool:
    return isinstance(node, ast.BinOp) and isinstance(node.op, ast.Mult) and (_is_m(node.left) or _is_m(node.right))


def uses_of_the_convention(code: str) -> list[int]:
    visitor = _Convention()
    visitor.visit(ast.parse(code))
    return visitor.lines


@pytest.mark.parametrize(
    "code",
    [
        "y * m + j",
        "j + y * self.m",
        "t.m * y + j",
        "joint % m",
        "joint // t.m",
        "divmod(joint, m)",
        "x.view(-1, m)",
        "x.unflatten(1, (n, t.m))",
        "labels.repeat_interleave(m)",
    ],
)
def test_the_search_for_the_convention_finds_it(code: str) -> None:
    assert uses_of_the_convention(code)


@pytest.mark.parametrize("code", ["ways * m", "n + m", "_VIEWS // t.m", "x.view(-1, d)", "image % width"])
def test_the_search_for_the_convention_finds_nothing_else(code: str) -> None:
    assert not uses_of_the_convention(code)


def test_the_convention_occurs_in_one_file_only() -> None:
    files = [path for package in ("episodes", "fewshot_sla") for path in (ROOT / package).rglob("*.py")]
    found = {path: lines for path in files if (lines := uses_of_the_convention(path.read_text(encoding="utf-8")))}
    assert list(found) == [HOME], found

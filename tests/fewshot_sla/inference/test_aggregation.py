"""Single and aggregated inference against naive loops over queries, classes and views."""

import pytest
import torch
from torch import Tensor

from fewshot_sla.inference.aggregation import (
    aggregated_inference,
    as_they_are,
    conditional_logits,
    mean_over_views,
    single_inference,
)

SIZES = [(1, 1, 2, 1), (2, 3, 5, 4), (1, 4, 2, 24), (3, 2, 3, 3)]  # T, R, N, M


def joint_logits(t: int, r: int, n: int, m: int) -> Tensor:
    return torch.randn(t, r * m, n * m, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


@pytest.mark.parametrize(("t", "r", "n", "m"), SIZES)
def test_equal_the_loops(t: int, r: int, n: int, m: int) -> None:
    joint = joint_logits(t, r, n, m)
    single, aggregated = torch.empty(t, r, n, dtype=torch.float64), torch.empty(t, r, n, dtype=torch.float64)
    conditional = torch.empty(t, r, n, m, dtype=torch.float64)
    for episode in range(t):
        for query in range(r):
            for y in range(n):
                # Of view j, only the joint label (y, j) is looked at: row r * M + j, column y * M + j.
                logits = [joint[episode, query * m + j, y * m + j] for j in range(m)]
                conditional[episode, query, y] = torch.stack(logits)
                single[episode, query, y] = logits[0]
                aggregated[episode, query, y] = sum(logits) / m
    assert torch.equal(conditional_logits(joint, m), conditional)
    assert torch.equal(single_inference(joint, m), single)
    torch.testing.assert_close(aggregated_inference(joint, m), aggregated, rtol=1e-12, atol=1e-12)


def test_one_view_is_the_prediction_itself() -> None:
    joint = joint_logits(2, 3, 5, 1)
    for read_out in (single_inference, aggregated_inference, mean_over_views, as_they_are):
        assert torch.equal(read_out(joint, 1), joint)


def test_conditional_logits_are_those_of_the_conditional_probability() -> None:
    """P(y | view, j) = P(y, j | view) / sum_y' P(y', j | view), by the rule itself (Lee et al., section 2.2)."""
    n, m = 3, 4
    joint = joint_logits(1, 2, n, m)
    probability = joint.softmax(-1)
    for query in range(2):
        for j in range(m):
            with_j = [probability[0, query * m + j, y * m + j] for y in range(n)]
            expected = torch.stack(with_j) / sum(with_j)
            torch.testing.assert_close(conditional_logits(joint, m)[0, query, :, j].softmax(-1), expected)


def test_other_joint_labels_have_no_say() -> None:
    joint = joint_logits(1, 1, 2, 3)
    rows, columns = torch.meshgrid(torch.arange(3), torch.arange(6), indexing="ij")
    elsewhere = joint.masked_fill(columns % 3 != rows, 1e9)
    assert torch.equal(aggregated_inference(elsewhere, 3), aggregated_inference(joint, 3))


def test_the_mean_over_views_of_a_model_that_knows_no_views() -> None:
    logits = torch.randn(2, 3 * 4, 5, dtype=torch.float64)
    for query in range(3):
        expected = sum(logits[:, query * 4 + j] for j in range(4)) / 4
        torch.testing.assert_close(mean_over_views(logits, 4)[:, query], expected)


def test_no_leading_axis_and_several_are_fine() -> None:
    joint = joint_logits(6, 2, 3, 4)
    assert torch.equal(aggregated_inference(joint[0], 4), aggregated_inference(joint, 4)[0])
    stacked = joint.unflatten(0, (2, 3))
    assert torch.equal(aggregated_inference(stacked, 4), aggregated_inference(joint, 4).unflatten(0, (2, 3)))


def test_gradients_reach_the_conditional_logits_only() -> None:
    joint = joint_logits(1, 1, 2, 2).requires_grad_()
    aggregated_inference(joint, 2).sum().backward()
    assert joint.grad is not None
    assert joint.grad[0].tolist() == [[0.5, 0, 0.5, 0], [0, 0.5, 0, 0.5]]

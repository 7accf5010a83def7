"""Single and aggregated inference against naive loops over queries, classes and views."""

import itertools

import pytest
import torch
from torch import Tensor

from fewshot_sla.inference import (
    CLASS_AGGREGATED,
    CLASS_SINGLE,
    JOINT_AGGREGATED,
    JOINT_SINGLE,
    Inference,
    conditional_logits,
    inference_title,
    of_views,
)

SIZES = [(1, 1, 2, 1), (2, 3, 5, 4), (1, 4, 2, 24), (3, 2, 3, 3)]  # T, R, N, M


def joint_logits(t: int, r: int, n: int, m: int) -> Tensor:
    return torch.randn(t, r * m, n * m, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


@pytest.mark.parametrize(("t", "r", "n", "m"), SIZES)
def test_equal_the_loops(t: int, r: int, n: int, m: int) -> None:
    joint = joint_logits(t, r, n, m)
    single, aggregated = torch.empty(t, r, n, dtype=torch.float64), torch.empty(t, r, n, dtype=torch.float64)
    conditional = torch.empty(t, r, m, n, dtype=torch.float64)
    for episode in range(t):
        for query in range(r):
            for y in range(n):
                # Of view j, only the joint label (y, j) is looked at: row r * M + j, column y * M + j.
                logits = [joint[episode, query * m + j, y * m + j] for j in range(m)]
                conditional[episode, query, :, y] = torch.stack(logits)
                single[episode, query, y] = logits[0]
                aggregated[episode, query, y] = sum(logits) / m
    assert torch.equal(conditional_logits(joint, m), conditional)
    assert torch.equal(JOINT_SINGLE.predict(joint, m), single)
    torch.testing.assert_close(JOINT_AGGREGATED.predict(joint, m), aggregated, rtol=1e-12, atol=1e-12)


def test_one_view_is_the_prediction_itself() -> None:
    joint = joint_logits(2, 3, 5, 1)
    for inference in (CLASS_SINGLE, CLASS_AGGREGATED, JOINT_SINGLE, JOINT_AGGREGATED):
        assert torch.equal(inference.predict(joint, 1), joint)
        assert torch.equal(inference.votes(joint, 1), joint.argmax(-1, keepdim=True))


def test_conditional_logits_are_those_of_the_conditional_probability() -> None:
    """P(y | view, j) = P(y, j | view) / sum_y' P(y', j | view), by the rule itself (Lee et al., section 2.2)."""
    n, m = 3, 4
    joint = joint_logits(1, 2, n, m)
    probability = joint.softmax(-1)
    for query in range(2):
        for j in range(m):
            with_j = [probability[0, query * m + j, y * m + j] for y in range(n)]
            expected = torch.stack(with_j) / sum(with_j)
            torch.testing.assert_close(conditional_logits(joint, m)[0, query, j].softmax(-1), expected)


def test_other_joint_labels_have_no_say() -> None:
    joint = joint_logits(1, 1, 2, 3)
    rows, columns = torch.meshgrid(torch.arange(3), torch.arange(6), indexing="ij")
    elsewhere = joint.masked_fill(columns % 3 != rows, 1e9)
    assert torch.equal(JOINT_AGGREGATED.predict(elsewhere, 3), JOINT_AGGREGATED.predict(joint, 3))


def test_the_mean_over_views_of_a_model_that_knows_no_views() -> None:
    logits = torch.randn(2, 3 * 4, 5, dtype=torch.float64)
    for query in range(3):
        expected = sum(logits[:, query * 4 + j] for j in range(4)) / 4
        torch.testing.assert_close(CLASS_AGGREGATED.predict(logits, 4)[:, query], expected)


def test_no_leading_axis_and_several_are_fine() -> None:
    joint = joint_logits(6, 2, 3, 4)
    assert torch.equal(JOINT_AGGREGATED.predict(joint[0], 4), JOINT_AGGREGATED.predict(joint, 4)[0])
    stacked = joint.unflatten(0, (2, 3))
    assert torch.equal(JOINT_AGGREGATED.predict(stacked, 4), JOINT_AGGREGATED.predict(joint, 4).unflatten(0, (2, 3)))


def test_gradients_reach_the_conditional_logits_only() -> None:
    joint = joint_logits(1, 1, 2, 2).requires_grad_()
    JOINT_AGGREGATED.predict(joint, 2).sum().backward()
    assert joint.grad is not None
    assert joint.grad[0].tolist() == [[0.5, 0, 0.5, 0], [0, 0.5, 0, 0.5]]


def test_a_part_of_the_views_is_the_mean_over_it() -> None:
    joint = joint_logits(2, 3, 4, 6)
    views = conditional_logits(joint, 6)
    some = of_views(JOINT_AGGREGATED, [0, 4, 1])
    expected = (views[:, :, 0] + views[:, :, 4] + views[:, :, 1]) / 3
    torch.testing.assert_close(some.predict(joint, 6), expected, rtol=1e-12, atol=1e-12)
    assert torch.equal(some.votes(joint, 6), JOINT_AGGREGATED.votes(joint, 6)[..., [0, 4, 1]])
    whole = of_views(JOINT_AGGREGATED, range(6))
    torch.testing.assert_close(whole.predict(joint, 6), JOINT_AGGREGATED.predict(joint, 6), rtol=1e-12, atol=1e-12)


def test_votes_are_of_the_views_whatever_combines_them() -> None:
    joint = joint_logits(2, 3, 4, 6)
    largest = Inference(JOINT_AGGREGATED.labelling, conditional_logits, lambda by_view: by_view.amax(dim=-2))
    predicted = largest.predict(joint, 6)
    for t, r, y in itertools.product(range(2), range(3), range(4)):
        assert predicted[t, r, y] == max(joint[t, r * 6 + j, y * 6 + j] for j in range(6))
    assert torch.equal(largest.votes(joint, 6), JOINT_AGGREGATED.votes(joint, 6))
    assert CLASS_SINGLE.votes(joint, 6).shape == (2, 18, 1)


def test_the_papers_inferences_have_titles_and_others_their_names() -> None:
    names = ("single", "aggregated", "distilled", "largest")
    assert [inference_title(name) for name in names] == [
        "single (SI)", "aggregated (AG)", "distilled (SD)", "largest"
    ]  # fmt: skip

"""ANIL against learn2learn's inner loop on a linear layer, an episode at a time."""

import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from episodes.errors import UserError
from episodes.optional import learn2learn
from fewshot_sla.heads import GradientHead
from fewshot_sla.heads.gradient import smoothness
from tests.fewshot_sla.heads.problems import problem


def inner_loops(support: Tensor, labels: Tensor, query: Tensor, ways: int, start: float, first_order: bool) -> Tensor:
    layer = nn.Linear(support.shape[-1], ways).double()
    nn.init.constant_(layer.weight, start)  # one vector for all classes
    nn.init.zeros_(layer.bias)
    logits = []
    for rows, of_rows, queries in zip(support, labels, query, strict=True):
        adapted = learn2learn().algorithms.MAML(layer, lr=0.3, first_order=first_order).clone()
        for _ in range(3):
            adapted.adapt(cross_entropy(adapted(rows), of_rows))
        logits.append(adapted(queries))
    return torch.stack(logits)


@pytest.mark.parametrize("first_order", [False, True])
def test_logits_and_gradients_equal_learn2learns(first_order: bool) -> None:
    pytest.importorskip("learn2learn", exc_type=ImportError)
    support, labels, query, ways = problem()
    inputs = support.requires_grad_(), query.requires_grad_()
    head = GradientHead(3, 0.3, first_order=first_order).double()
    logits, expected = head(support, labels, query, ways), inner_loops(support, labels, query, ways, 0.0, first_order)
    torch.testing.assert_close(logits, expected, rtol=1e-6, atol=1e-7)  # the learning rate is rounded to float32
    ours, theirs = (
        torch.autograd.grad(cross_entropy(found.flatten(0, 1), torch.arange(12) % 3), inputs, allow_unused=True)
        for found in (logits, expected)
    )
    torch.testing.assert_close(ours[1], theirs[1], rtol=1e-5, atol=1e-7)
    if first_order:
        assert ours[0] is None
    else:
        torch.testing.assert_close(ours[0], theirs[0], rtol=1e-5, atol=1e-7)


def test_a_start_that_all_classes_share_changes_no_probability() -> None:
    """Why the head learns none."""
    pytest.importorskip("learn2learn", exc_type=ImportError)
    zero, shared = (inner_loops(*problem(), start, False).softmax(-1) for start in (0.0, 2.0))
    torch.testing.assert_close(zero, shared)


@pytest.mark.parametrize("size", [0.1, 1.0, 30.0])
def test_a_calibrated_rate_never_goes_up_and_a_larger_one_may(size: float) -> None:
    support, labels, _, ways = problem()
    support = size * support[:1]
    problem_of_one = support, labels[:1], support, ways  # its queries are its support, so logits show the inner loss

    def losses(factor: float) -> list[float]:
        found = []
        for steps in range(1, 8):
            head = GradientHead(steps).double()
            head.calibrate(*problem_of_one)
            head.log_rate.data += torch.tensor(factor).log()
            found.append(float(cross_entropy(head(*problem_of_one)[0].detach(), labels[0])))
        return found

    safe = losses(1.0)
    assert safe == sorted(safe, reverse=True)
    if size == 30.0:
        assert losses(50.0) != sorted(losses(50.0), reverse=True)


def test_smoothness_bounds_the_curvature() -> None:
    support, labels, _, ways = problem(2)
    rows = nn.functional.pad(support[0], (0, 1), value=1.0)

    def loss(weights: Tensor) -> Tensor:
        return cross_entropy(rows @ weights.view(3, ways), labels[0])

    curvature = torch.autograd.functional.hessian(loss, torch.zeros(9, dtype=torch.float64))
    assert float(torch.linalg.eigvalsh(curvature)[-1]) <= float(smoothness(support)[0])


@pytest.mark.parametrize(
    ("options", "message"), [({"steps": 0}, "steps must be at least 1"), ({"learning_rate": 0.0}, "learning_rate must")]
)
def test_numbers_out_of_range_are_refused(options: dict[str, float], message: str) -> None:
    with pytest.raises(UserError, match=f"GradientHead: {message}"):
        GradientHead(**options)


def test_a_rate_that_is_not_learned_is_saved() -> None:
    head = GradientHead(learning_rate=0.25, learn_rate=False)
    assert list(head.parameters()) == []
    assert float(head.learning_rate) == pytest.approx(0.25)
    assert set(head.state_dict()) == {"log_rate"}

"""A calibrated start: the scale that gives the logits of the first episodes a spread of one half."""

import math

import pytest
import torch
from torch import Tensor, nn

from episodes.errors import UserError
from examples import my_head
from fewshot_sla.heads import (
    CosineHead,
    Head,
    LogisticRegressionHead,
    ProtoNetHead,
    R2D2Head,
    RidgeHead,
    ScaledHead,
    SVMHead,
)
from fewshot_sla.heads.calibration import calibrated_scale, logit_spread

HEADS = [ProtoNetHead, RidgeHead, SVMHead, R2D2Head, LogisticRegressionHead, CosineHead]


def episode(size: float = 1.0) -> tuple[Tensor, Tensor, Tensor, int]:
    generator = torch.Generator().manual_seed(0)
    support, query = (size * torch.randn(2, n, 16, generator=generator) for n in (12, 7))
    return support, (torch.arange(12) % 4).expand(2, -1), query, 4


def spread_by_loops(logits: Tensor) -> float:
    deviations = []
    for row in logits.detach().double().flatten(0, 1).tolist():
        mean = sum(row) / len(row)
        deviations.append(math.sqrt(sum((value - mean) ** 2 for value in row) / len(row)))
    return sum(deviations) / len(deviations)


def test_spread_is_the_mean_deviation_over_ways() -> None:
    logits = torch.randn(3, 5, 4, generator=torch.Generator().manual_seed(0))
    assert float(logit_spread(logits)) == pytest.approx(spread_by_loops(logits), rel=1e-12)
    shifted = logits + 100 * torch.randn(3, 5, 1)  # what softmax does not see, the spread does not see
    assert float(logit_spread(shifted)) == pytest.approx(spread_by_loops(logits), rel=1e-4)


@pytest.mark.parametrize("spread", [0.5, 1.0, 4.0])
def test_the_factor_gives_that_spread(spread: float) -> None:
    logits = 1e-3 * torch.randn(3, 5, 20, generator=torch.Generator().manual_seed(0))
    assert spread_by_loops(logits * calibrated_scale(logits, spread)) == pytest.approx(spread, rel=1e-6)


def test_equal_logits_are_left_alone() -> None:
    assert calibrated_scale(torch.full((2, 3, 4), 7.0)) == 1


@pytest.mark.parametrize(
    "logits", [torch.full((1, 2, 3), torch.nan), torch.full((1, 2, 3), torch.inf), torch.ones(1, 0, 3)]
)
def test_logits_that_say_nothing_are_refused(logits: Tensor) -> None:
    with pytest.raises(UserError, match="cannot be calibrated"):
        calibrated_scale(logits)


@pytest.mark.parametrize("spread", [0.0, -1.0, math.inf, math.nan])
def test_a_spread_that_is_none_is_refused(spread: float) -> None:
    with pytest.raises(UserError, match="spread"):
        calibrated_scale(torch.randn(1, 2, 3), spread)


@pytest.mark.parametrize("learn_scale", [True, False])
@pytest.mark.parametrize("size", [0.3, 30.0])
@pytest.mark.parametrize("make", HEADS)
def test_a_calibrated_head_has_that_spread_whatever_it_began_with(
    make: type[ScaledHead], size: float, learn_scale: bool
) -> None:
    heads = [make(scale=scale, learn_scale=learn_scale) for scale in (1.0, 50.0)]
    for head in heads:
        parameters = [name for name, _ in head.named_parameters()]
        assert head.calibrate(*episode(size)) is None
        assert spread_by_loops(head(*episode(size))) == pytest.approx(0.5, rel=1e-5)
        assert [name for name, _ in head.named_parameters()] == parameters
        assert ("scale" in parameters) == learn_scale
        assert head.scale.grad is None
    assert torch.equal(heads[0].scale, heads[1].scale)


def test_half_precision_is_calibrated_in_single() -> None:
    support, labels, query, ways = episode()
    head, half = RidgeHead(), RidgeHead()
    head.calibrate(support.bfloat16().float(), labels, query.bfloat16().float(), ways)
    with torch.autocast("cpu", torch.bfloat16):
        half.calibrate(support.bfloat16(), labels, query.bfloat16(), ways)
    assert torch.equal(head.scale, half.scale)


def test_a_head_without_scale_stays_as_it_is() -> None:
    class Own(Head):
        def logits(self, support: Tensor, support_labels: Tensor, query: Tensor, ways: int) -> Tensor:
            raise AssertionError("nobody asked")

    Own().calibrate(*episode())
    head = my_head.CosineHead(temperature=3.0)
    head.calibrate(*episode())
    assert isinstance(head.temperature, nn.Parameter)
    assert head.temperature.tolist() == 3

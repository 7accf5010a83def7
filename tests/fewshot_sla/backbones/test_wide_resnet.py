import pytest
import torch
from torch import Tensor

from episodes.errors import UserError
from fewshot_sla.backbones import WideResNet
from tests.fewshot_sla.backbones.slow_layers import convolution, disturb, norm


def slow_features(images: Tensor, weights: list[Tensor], depth: int, widen: int, training: bool) -> Tensor:
    """Fast AutoAugment's form of the network, from the tensors of a state in the order of the layers."""
    state = iter(weights)
    x = convolution(images, next(state), 1, next(state))
    for stage in range(3):
        for block in range((depth - 4) // 6):
            stride = 2 if stage > 0 and block == 0 else 1
            inner = norm(x, state, training).clamp(min=0)
            inner = convolution(inner, next(state), 1, next(state))
            inner = norm(inner, state, training).clamp(min=0)
            inner = convolution(inner, next(state), stride, next(state))
            if stride == 2 or x.shape[1] != 16 * widen * 2**stage:
                x = convolution(x, next(state), stride, next(state))
            x = inner + x
    x = norm(x, state, training).clamp(min=0)
    assert next(state, None) is None, "weights that no layer used"
    return x.flatten(2).sum(2) / (x.shape[2] * x.shape[3])


@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize(("depth", "widen", "size"), [(10, 2, (8, 6)), (16, 1, (5, 7))])
def test_equals_its_definition(depth: int, widen: int, size: tuple[int, int], training: bool) -> None:
    backbone = disturb(WideResNet(depth=depth, widen=widen)).train(training)
    images = torch.randn(3, 3, *size, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    weights = [value.clone() for value in backbone.state_dict().values()]
    torch.testing.assert_close(backbone(images), slow_features(images, weights, depth, widen, training))


@pytest.mark.parametrize(("depth", "widen", "classes", "parameters"), [(40, 2, 10, 2_246_474), (40, 2, 100, 2_258_084)])
def test_has_the_parameters_of_the_publication(depth: int, widen: int, classes: int, parameters: int) -> None:
    with torch.device("meta"):
        backbone = WideResNet(depth=depth, widen=widen)
    dimension = backbone.out_features(32, 32)
    assert dimension == 64 * widen
    assert sum(p.numel() for p in backbone.parameters()) + (dimension + 1) * classes == parameters


def test_28_10_has_36_million_parameters() -> None:
    """The paper of wide residual networks says 36.5 million."""
    with torch.device("meta"):
        assert round(sum(p.numel() for p in WideResNet(depth=28, widen=10).parameters()) / 1e6, 1) == 36.5


def test_statistics_move_by_nine_tenths() -> None:
    backbone = WideResNet(depth=10, widen=1)
    images = 3 + torch.randn(8, 3, 8, 8, generator=torch.Generator().manual_seed(1))
    first = backbone.blocks[0].residual[0]
    backbone(images)
    mean = backbone.stem(images).mean((0, 2, 3)).detach()
    torch.testing.assert_close(first.running_mean, 0.9 * mean)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"depth": 41}, "depth must be 6n"),
        ({"depth": 4}, "depth must be 6n"),
        ({"widen": 0}, "widen must be at least 1"),
        ({"dropout": 1.0}, "dropout must be"),
        ({"momentum": 0.0}, "momentum must be"),
    ],
)
def test_impossible_networks(arguments: dict, message: str) -> None:
    with pytest.raises(UserError, match=message):
        WideResNet(**arguments)

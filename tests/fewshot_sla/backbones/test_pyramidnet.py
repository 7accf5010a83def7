import pytest
import torch
from torch import Tensor

from episodes.errors import UserError
from fewshot_sla.backbones import PyramidNet
from tests.fewshot_sla.backbones.slow_layers import convolution, disturb, norm


def slow_features(images: Tensor, weights: list[Tensor], depth: int, training: bool) -> Tensor:
    """CutMix's form of the network, from the tensors of a state in the order of the layers."""
    state = iter(weights)
    x = norm(convolution(images, next(state)), state, training)
    for stage in range(3):
        for block in range((depth - 2) // 9):
            stride = 2 if stage > 0 and block == 0 else 1
            inner = norm(x, state, training)
            inner = norm(convolution(inner, next(state)), state, training).clamp(min=0)
            inner = norm(convolution(inner, next(state), stride), state, training).clamp(min=0)
            inner = norm(convolution(inner, next(state)), state, training)
            if stride == 2:
                height, width = x.shape[2:]
                means = [
                    [x[:, :, i : i + 2, j : j + 2].mean((2, 3)) for j in range(0, width, 2)]
                    for i in range(0, height, 2)
                ]
                x = torch.stack([torch.stack(row, dim=-1) for row in means], dim=-2)
            zeros = x.new_zeros(len(x), inner.shape[1] - x.shape[1], *x.shape[2:])
            x = inner + torch.cat([x, zeros], dim=1)
    x = norm(x, state, training).clamp(min=0)
    assert next(state, None) is None, "weights that no layer used"
    return x.flatten(2).sum(2) / (x.shape[2] * x.shape[3])


@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize(("depth", "alpha", "size"), [(20, 10, (8, 6)), (11, 5, (5, 7))])
def test_equals_its_definition(depth: int, alpha: float, size: tuple[int, int], training: bool) -> None:
    backbone = disturb(PyramidNet(depth=depth, alpha=alpha)).train(training)
    images = torch.randn(3, 3, *size, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    weights = [value.clone() for value in backbone.state_dict().values()]
    torch.testing.assert_close(backbone(images), slow_features(images, weights, depth, training))


def test_has_the_parameters_of_the_publication() -> None:
    with torch.device("meta"):
        backbone = PyramidNet()
    assert backbone.out_features(32, 32) == 1024
    assert sum(p.numel() for p in backbone.parameters()) + 1025 * 100 == 26_844_952


@pytest.mark.parametrize(
    ("arguments", "message"),
    [({"depth": 201}, "depth must be 9n"), ({"depth": 2}, "depth must be 9n"), ({"alpha": -1.0}, "alpha must be")],
)
def test_impossible_networks(arguments: dict, message: str) -> None:
    with pytest.raises(UserError, match=message):
        PyramidNet(**arguments)

import pytest
import torch
from torch import Tensor, nn

from episodes.errors import UserError
from fewshot_sla.backbones import ResNetCifar
from fewshot_sla.backbones.resnet_cifar import zero_padded
from tests.fewshot_sla.backbones.slow_layers import convolution, disturb, norm


def slow_features(images: Tensor, weights: list[Tensor], depth: int, width: int, training: bool) -> Tensor:
    """He et al., section 4.2, from the tensors of a state in the order of the layers."""
    state = iter(weights)
    x = norm(convolution(images, next(state), 1), state, training).clamp(min=0)
    for stage in range(3):
        for block in range((depth - 2) // 6):
            stride = 2 if stage > 0 and block == 0 else 1
            inner = norm(convolution(x, next(state), stride), state, training).clamp(min=0)
            inner = norm(convolution(inner, next(state), 1), state, training)
            if stride == 2:
                new = width * 2**stage - x.shape[1]
                zeros = x.new_zeros(len(x), new // 2, *inner.shape[2:])
                kept = x[:, :, [row for row in range(x.shape[2]) if row % 2 == 0]]
                kept = kept[:, :, :, [column for column in range(x.shape[3]) if column % 2 == 0]]
                x = torch.cat([zeros, kept, zeros], dim=1)
            x = (inner + x).clamp(min=0)
    assert next(state, None) is None, "weights that no layer used"
    return x.flatten(2).sum(2) / (x.shape[2] * x.shape[3])


@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize(
    ("depth", "in_channels", "height", "width"), [(8, 3, 8, 8), (14, 1, 9, 7)], ids=["even", "odd sizes, grey"]
)
def test_equals_a_slow_network(depth: int, in_channels: int, height: int, width: int, training: bool) -> None:
    backbone = disturb(ResNetCifar(in_channels, depth, width=4)).train(training)
    weights = [value.clone() for value in backbone.state_dict().values()]
    images = torch.randn(3, in_channels, height, width, dtype=torch.float64)
    expected = slow_features(images, weights, depth, 4, training)
    torch.testing.assert_close(backbone(images), expected)


@pytest.mark.parametrize(("depth", "expected"), [(20, 269_722), (32, 464_154), (44, 658_586), (56, 853_018)])
def test_parameter_count_with_a_layer_for_ten_classes(depth: int, expected: int) -> None:
    """0.27, 0.46, 0.66 and 0.85 million in table 6 of the paper."""
    n = (depth - 2) // 6
    stem = 3 * 9 * 16 + 2 * 16
    first = n * 2 * (9 * 16 * 16 + 2 * 16)
    second = 9 * 16 * 32 + 2 * 32 + (2 * n - 1) * (9 * 32 * 32 + 2 * 32)
    third = 9 * 32 * 64 + 2 * 64 + (2 * n - 1) * (9 * 64 * 64 + 2 * 64)
    assert stem + first + second + third + 64 * 10 + 10 == expected
    model = nn.Sequential(ResNetCifar(depth=depth), nn.Linear(64, 10))
    assert sum(parameter.numel() for parameter in model.parameters()) == expected


def test_depth_counts_the_layers_with_weights() -> None:
    backbone = ResNetCifar(depth=32)
    assert sum(isinstance(module, nn.Conv2d) for module in backbone.modules()) + 1 == 32


@pytest.mark.parametrize("in_channels", [1, 3])
@pytest.mark.parametrize("size", [4, 28, 32, 33])
def test_shape(in_channels: int, size: int) -> None:
    backbone = ResNetCifar(in_channels, depth=8, width=5)
    assert backbone(torch.randn(2, in_channels, size, size)).shape == (2, 20)
    assert backbone.out_features(size, size) == 20


def test_shortcuts_have_no_parameters_and_lie_between_zeros() -> None:
    x = torch.randn(2, 3, 5, 4)
    padded = zero_padded(x, stride=2, padding=5)
    assert padded.shape == (2, 8, 3, 2)
    assert torch.equal(padded[:, 2:5], x[:, :, ::2, ::2])
    assert not padded[:, [0, 1, 5, 6, 7]].any()
    assert zero_padded(x, stride=1, padding=0) is x


def test_initial_weights() -> None:
    for name, module in ResNetCifar(width=32).named_modules():
        if isinstance(module, nn.BatchNorm2d):
            assert (module.weight == 1).all(), name
            assert (module.bias == 0).all(), name
        elif isinstance(module, nn.Conv2d) and module.in_channels >= 32:
            assert module.weight.std().item() == pytest.approx((2 / (9 * module.in_channels)) ** 0.5, rel=0.05), name


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"depth": 18}, r"ResNetCifar depth must be 6n \+ 2 \(8, 14, 20, 26, 32, \.\.\.\), got 18"),
        ({"depth": 2}, r"ResNetCifar depth must be 6n \+ 2 \(8, 14, 20, 26, 32, \.\.\.\), got 2"),
        ({"depth": -4}, r"ResNetCifar depth must be 6n \+ 2 \(8, 14, 20, 26, 32, \.\.\.\), got -4"),
        ({"width": 0}, "ResNetCifar width must be at least 1, got 0"),
        ({"in_channels": 0}, "backbone in_channels must be at least 1, got 0"),
    ],
)
def test_impossible_arguments(arguments: dict[str, int], message: str) -> None:
    with pytest.raises(UserError, match=f"^{message}$"):
        ResNetCifar(**arguments)

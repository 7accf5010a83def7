import pytest
import torch

from episodes.errors import UserError
from fewshot_sla.backbones import Conv4


@pytest.mark.parametrize(("size", "features"), [(28, 64), (32, 256), (84, 1600)])
@pytest.mark.parametrize("in_channels", [1, 3])
def test_shape(size: int, features: int, in_channels: int) -> None:
    backbone = Conv4(in_channels)
    assert backbone(torch.randn(2, in_channels, size, size)).shape == (2, features)
    assert backbone.out_features(size, size) == features
    assert backbone.in_channels == in_channels


def test_size_is_rounded_down_and_need_not_be_square() -> None:
    backbone = Conv4(channels=8)
    assert backbone(torch.randn(2, 3, 47, 33)).shape == (2, backbone.out_features(47, 33)) == (2, 8 * 2 * 2)


@pytest.mark.parametrize(("in_channels", "expected"), [(1, 111_936), (3, 113_088)])
def test_parameter_count(in_channels: int, expected: int) -> None:
    # By hand: (9 * C + 1) * 64 + 3 * (9 * 64 + 1) * 64 for the convolutions, 4 * 2 * 64 for BatchNorm.
    assert (9 * in_channels + 1) * 64 + 3 * (9 * 64 + 1) * 64 + 4 * 2 * 64 == expected
    assert sum(parameter.numel() for parameter in Conv4(in_channels).parameters()) == expected


def test_equals_the_textbook_order_of_layers() -> None:
    """Convolution, BatchNorm, ReLU, pooling as in the papers: same output and gradients, although ours pools first."""
    backbone = Conv4(channels=8).double()
    images = torch.randn(4, 3, 32, 32, dtype=torch.float64, requires_grad=True)
    expected = images
    for convolution, norm, _, _ in backbone.blocks:
        expected = torch.relu(norm(convolution(expected)))
        expected = torch.nn.functional.max_pool2d(expected, 2)
    expected = expected.reshape(4, -1)
    actual = backbone(images)
    torch.testing.assert_close(actual, expected)
    weights = torch.randn_like(actual)
    torch.testing.assert_close(
        torch.autograd.grad((actual * weights).sum(), images), torch.autograd.grad((expected * weights).sum(), images)
    )


def test_second_derivative() -> None:
    """MAML differentiates through a gradient step."""
    backbone = Conv4(channels=4)
    parameters = list(backbone.parameters())
    loss = backbone(torch.randn(5, 3, 16, 16)).square().sum()
    gradients = torch.autograd.grad(loss, parameters, create_graph=True)
    second = torch.autograd.grad(sum(gradient.square().sum() for gradient in gradients), parameters)
    assert all(torch.isfinite(gradient).all() for gradient in second)


@pytest.mark.parametrize("arguments", [{"channels": 0}, {"in_channels": 0}])
def test_impossible_arguments(arguments: dict[str, int]) -> None:
    with pytest.raises(UserError, match="at least 1, got 0"):
        Conv4(**arguments)

"""What every backbone promises; a new backbone is one more row in BACKBONES."""

import copy
from collections.abc import Callable

import pytest
import torch

from episodes.errors import UserError
from fewshot_sla.backbones import (
    Backbone,
    Conv4,
    ConvNet,
    PyramidNet,
    R2D2Net,
    ResNet12,
    ResNetCifar,
    ResNetImageNet,
    WideResNet,
)

BACKBONES: dict[str, Callable[[], Backbone]] = {
    "conv4": lambda: Conv4(channels=8),
    "convnet": lambda: ConvNet(channels=8, blocks=2),
    "r2d2": lambda: R2D2Net(widths=(6, 8, 10, 12)),
    "resnet12": lambda: ResNet12(widths=(8, 12, 16, 20), block_size=2),
    "resnet12-pooled": lambda: ResNet12(widths=(8, 12, 16, 20), block_size=2, pooled=True),
    "resnet-cifar": lambda: ResNetCifar(depth=14, width=6),
    "resnet-imagenet": ResNetImageNet,
    "wide-resnet": lambda: WideResNet(depth=10, widen=1),
    "pyramidnet": lambda: PyramidNet(depth=11, alpha=9),
}
LEAST_SIZES = {
    "convnet": 4,
    "resnet-cifar": 4,
    "resnet-imagenet": 32,
    "wide-resnet": 4,
    "pyramidnet": 4,
}  # of the others 16


@pytest.fixture(params=BACKBONES)
def name(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture
def backbone(name: str) -> Backbone:
    """A small one whose BatchNorm statistics are not the initial ones."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        backbone = BACKBONES[name]()
        for _ in range(3):
            backbone(torch.randn(16, 3, 32, 32))
    return backbone.eval()


@pytest.fixture
def images() -> torch.Tensor:
    return torch.randn(6, 3, 32, 32, generator=torch.Generator().manual_seed(1))


def test_shape_as_announced(backbone: Backbone, images: torch.Tensor) -> None:
    assert backbone(images).shape == (6, backbone.out_features(32, 32))
    assert backbone(images[:1]).shape == (1, backbone.out_features(32, 32))
    assert backbone(images[:0]).shape == (0, backbone.out_features(32, 32))


def test_in_evaluation_an_image_does_not_see_the_others(backbone: Backbone, images: torch.Tensor) -> None:
    alone = torch.cat([backbone(image[None]) for image in images])
    torch.testing.assert_close(backbone(images), alone)
    torch.testing.assert_close(backbone(images.flip(0)).flip(0), alone)


def test_evaluation_leaves_no_trace(backbone: Backbone, images: torch.Tensor) -> None:
    before = copy.deepcopy(backbone.state_dict())
    random_state = torch.get_rng_state()
    assert torch.equal(backbone(images), backbone(images))
    assert torch.equal(torch.get_rng_state(), random_state)
    for name, value in backbone.state_dict().items():
        assert torch.equal(value, before[name]), name


def test_training_is_a_function_of_the_random_state(backbone: Backbone, images: torch.Tensor) -> None:
    backbone.train()
    state = torch.get_rng_state()
    first = backbone(images)
    torch.set_rng_state(state)
    assert torch.equal(backbone(images), first)


def test_float64(backbone: Backbone, images: torch.Tensor) -> None:
    expected = backbone(images)
    features = backbone.double()(images.double())
    assert features.dtype == torch.float64
    torch.testing.assert_close(features.float(), expected, rtol=1e-4, atol=1e-4)


def test_bfloat16_autocast(backbone: Backbone, images: torch.Tensor) -> None:
    expected = backbone(images)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        features = backbone(images)
        backbone.train()(images).float().square().mean().backward()
    relative_error = (features.float() - expected).norm() / expected.norm()
    assert relative_error < 0.03
    assert all(torch.isfinite(parameter.grad).all() for parameter in backbone.parameters())


def test_channels_last(backbone: Backbone, images: torch.Tensor) -> None:
    expected = backbone(images)
    backbone.to(memory_format=torch.channels_last)
    features = backbone(images.to(memory_format=torch.channels_last))
    torch.testing.assert_close(features, expected, rtol=1e-4, atol=1e-5)


def test_state_dict_restores_the_features(backbone: Backbone, images: torch.Tensor) -> None:
    other = copy.deepcopy(backbone)
    for parameter in other.parameters():
        torch.nn.init.normal_(parameter)
    other.load_state_dict(backbone.state_dict())
    assert torch.equal(other(images), backbone(images))


def test_gradient_reaches_every_parameter(backbone: Backbone, images: torch.Tensor) -> None:
    backbone.train()
    features = backbone(images)
    (features * torch.randn_like(features)).sum().backward()
    for name, parameter in backbone.named_parameters():
        assert parameter.grad is not None, name
        # A bias before BatchNorm has gradient 0 by design; everything else must move.
        assert name.endswith("bias") or parameter.grad.abs().sum() > 0, name


def test_wrong_number_of_channels(backbone: Backbone) -> None:
    with pytest.raises(UserError, match=r"images have 1 channel .* takes 3: set backbone in_channels to 1"):
        backbone(torch.randn(2, 1, 32, 32))


def test_images_too_small(name: str, backbone: Backbone) -> None:
    least = LEAST_SIZES.get(name, 16)
    assert backbone(torch.randn(2, 3, least, least)).shape == (2, backbone.out_features(least, least))
    with pytest.raises(UserError, match=f"at least {least}x{least} pixels, got 40x{least - 1}"):
        backbone(torch.randn(2, 3, 40, least - 1))


def test_raw_bytes(backbone: Backbone) -> None:
    with pytest.raises(UserError, match=r"float images, got torch\.uint8: normalise"):
        backbone(torch.zeros(2, 3, 32, 32, dtype=torch.uint8))


def test_no_batch_axis(backbone: Backbone) -> None:
    with pytest.raises(UserError, match=r"\[B, C, H, W\], not a tensor of shape \[3, 32, 32\]"):
        backbone(torch.zeros(3, 32, 32))

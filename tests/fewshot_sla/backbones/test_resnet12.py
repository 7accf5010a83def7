import re
import warnings
from collections.abc import Callable

import pytest
import torch
from torch import nn

from episodes.errors import UserError
from fewshot_sla.backbones import DropBlock, ResNet12

SMALL = (8, 12, 16, 20)
# Position in our ``residual`` chain of three convolution-BatchNorm pairs with activations between -> name elsewhere.
RESIDUAL_NAMES = {"0": "conv1", "1": "bn1", "3": "conv2", "4": "bn2", "6": "conv3", "7": "bn3"}


def their_name(name: str) -> str:
    """The name in learn2learn's ``features`` (and in MetaOptNet's checkpoints) of an entry of our state."""
    stage, part, rest = re.fullmatch(r"stages\.(\d)\.(residual|shortcut)\.(.+)", name).groups()
    layer = f"layer{int(stage) + 1}.0"
    if part == "shortcut":
        return f"{layer}.downsample.{rest}"
    index, value = rest.split(".")
    return f"{layer}.{RESIDUAL_NAMES[index]}.{value}"


@pytest.fixture(scope="module")
def peer() -> Callable[..., nn.Module]:
    """learn2learn's network, with BatchNorm statistics and weights that are not the initial ones."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        module = pytest.importorskip("learn2learn.vision.models.resnet12", exc_type=ImportError)

    def build(**arguments: object) -> nn.Module:
        model = module.ResNet12(output_size=5, **arguments)
        with torch.no_grad(), torch.random.fork_rng():
            torch.manual_seed(0)
            for layer in model.modules():
                if isinstance(layer, nn.BatchNorm2d):
                    layer.running_mean.normal_(std=0.3)
                    layer.running_var.uniform_(0.5, 2)
                    layer.weight.uniform_(0.5, 1.5)
                    layer.bias.normal_(std=0.3)
        return model.eval()

    return build


def load_from(peer: nn.Module, backbone: ResNet12) -> None:
    theirs = peer.features.state_dict()
    ours = backbone.state_dict()
    weights = {name: theirs.pop(their_name(name)) for name in ours if not name.endswith(".drop.drop")}
    assert not theirs, f"no place for {list(theirs)}"
    steps = {name: value for name, value in ours.items() if name.endswith(".drop.drop")}
    backbone.load_state_dict(weights | steps)


@pytest.mark.parametrize("size", [84, 32])
def test_equals_learn2learn_in_evaluation(peer: Callable[..., nn.Module], size: int) -> None:
    theirs = peer(avg_pool=False, dropblock_size=2)  # with 5 theirs divides by zero at 32x32, even in evaluation
    flattened, pooled = ResNet12().eval(), ResNet12(pooled=True).eval()
    load_from(theirs, flattened)
    load_from(theirs, pooled)
    images = torch.randn(2, 3, size, size, generator=torch.Generator().manual_seed(2))
    with torch.no_grad():
        expected = theirs.features(images)
        torch.testing.assert_close(flattened(images), expected, rtol=1e-4, atol=1e-5)
        # Their pooling has a fixed 5x5 window, made for 84x84 images.
        mean = expected.reshape(2, 640, -1).mean(-1)
        torch.testing.assert_close(pooled(images), mean, rtol=1e-4, atol=1e-5)
        if size == 84:
            theirs.features.avgpool = nn.AvgPool2d(5, stride=1)
            torch.testing.assert_close(pooled(images), theirs.features(images), rtol=1e-4, atol=1e-5)


def test_equals_learn2learn_in_training_without_dropout(peer: Callable[..., nn.Module]) -> None:
    """Batch statistics, their running averages, and gradients too, in float64."""
    theirs = peer(avg_pool=False, dropblock_dropout=0.0, wider=False).double()
    ours = ResNet12(widths=(64, 128, 256, 512), drop_rate=0.0).double()
    load_from(theirs, ours)
    theirs.train()
    images = torch.randn(3, 3, 16, 16, dtype=torch.float64, generator=torch.Generator().manual_seed(2))
    expected, actual = theirs.features(images), ours.train()(images)
    torch.testing.assert_close(actual, expected)
    weights = torch.randn_like(actual)
    (actual * weights).sum().backward()
    (expected * weights).sum().backward()
    their_gradients = {name: parameter.grad for name, parameter in theirs.features.named_parameters()}
    for name, parameter in ours.named_parameters():
        torch.testing.assert_close(parameter.grad, their_gradients[their_name(name)], rtol=1e-6, atol=1e-8)
    their_state = theirs.features.state_dict()
    for name, value in ours.state_dict().items():
        if "running" in name:
            torch.testing.assert_close(value, their_state[their_name(name)])


def test_parameter_count(peer: Callable[..., nn.Module]) -> None:
    count = sum(parameter.numel() for parameter in ResNet12().parameters())
    assert count == sum(parameter.numel() for parameter in peer().features.parameters()) == 12_424_320


@pytest.mark.parametrize(("size", "area"), [(28, 1), (32, 4), (84, 25)])
@pytest.mark.parametrize("in_channels", [1, 3])
@pytest.mark.parametrize("block_size", [5, 2])
def test_shape(size: int, area: int, in_channels: int, block_size: int) -> None:
    images = torch.randn(2, in_channels, size, size)
    for pooled, features in [(False, 20 * area), (True, 20)]:
        backbone = ResNet12(in_channels, SMALL, pooled=pooled, block_size=block_size, ramp=0.5)
        output = backbone(images)  # in training mode: DropBlock must fit the maps of every size
        assert output.shape == (2, features)
        assert torch.isfinite(output).all()
        assert backbone.out_features(size, size) == features


def test_default_feature_dimensions_are_metaoptnets() -> None:
    with torch.device("meta"):
        flattened, pooled = ResNet12(), ResNet12(pooled=True)
    assert [flattened.out_features(size, size) for size in (84, 32, 28)] == [16_000, 2560, 640]
    assert [pooled.out_features(size, size) for size in (84, 32, 28)] == [640, 640, 640]


def test_regularisers_are_metaoptnets() -> None:
    drops = [stage.drop for stage in ResNet12(widths=SMALL, drop_rate=0.2, block_size=3, ramp=0.5).stages]
    assert [type(drop) for drop in drops] == [nn.Dropout, nn.Dropout, DropBlock, DropBlock]
    assert [drop.p for drop in drops[:2]] == [0.2, 0.2]
    assert [(drop.drop_rate, drop.block_size, drop.ramp) for drop in drops[2:]] == [(0.2, 3, 0.5)] * 2


def test_initial_weights() -> None:
    backbone = ResNet12(widths=(16, 16, 64, 64))
    for module in backbone.modules():
        if isinstance(module, nn.BatchNorm2d):
            assert (module.weight == 1).all()
            assert (module.bias == 0).all()
        elif isinstance(module, nn.Conv2d) and module.in_channels == 64:
            fan_out = module.out_channels * module.kernel_size[0] ** 2
            assert module.weight.std().item() == pytest.approx((2 / fan_out) ** 0.5, rel=0.1)


def test_no_drop_rate_makes_training_deterministic() -> None:
    backbone = ResNet12(widths=SMALL, drop_rate=0.0)
    images = torch.randn(2, 3, 32, 32)
    assert torch.equal(backbone(images), backbone(images))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"widths": (64, 160, 320)}, r"four numbers of at least 1, got \[64, 160, 320\]"),
        ({"widths": (64, 160, 0, 640)}, "four numbers of at least 1"),
        ({"widths": SMALL, "drop_rate": 1.5}, "ResNet12 drop_rate .* got 1.5"),
        ({"widths": SMALL, "block_size": 0}, "block_size must be at least 1, got 0"),
        ({"widths": SMALL, "in_channels": 0}, "in_channels must be at least 1, got 0"),
    ],
)
def test_impossible_arguments(arguments: dict[str, object], message: str) -> None:
    with pytest.raises(UserError, match=message):
        ResNet12(**arguments)

import pytest
import torch

from episodes.errors import UserError
from fewshot_sla.backbones import Conv4, ConvNet


@pytest.mark.parametrize(("blocks", "size", "features"), [(1, 8, 128), (2, 8, 32), (3, 8, 8), (3, 16, 32), (5, 32, 8)])
@pytest.mark.parametrize("in_channels", [1, 3])
def test_shape(blocks: int, size: int, features: int, in_channels: int) -> None:
    backbone = ConvNet(in_channels, channels=8, blocks=blocks)
    assert backbone(torch.randn(2, in_channels, size, size)).shape == (2, features)
    assert backbone.out_features(size, size) == features
    assert backbone.least_size == 2**blocks


def test_size_is_rounded_down_and_need_not_be_square() -> None:
    backbone = ConvNet(channels=8, blocks=3)
    assert backbone(torch.randn(2, 3, 31, 17)).shape == (2, backbone.out_features(31, 17)) == (2, 8 * 3 * 2)


def test_four_blocks_are_conv4() -> None:
    """The same names in the state, and with it the same features."""
    conv4, general = Conv4(channels=8).eval(), ConvNet(channels=8, blocks=4).eval()
    general.load_state_dict(conv4.state_dict())
    images = torch.randn(3, 3, 40, 33)
    assert torch.equal(general(images), conv4(images))
    assert general.least_size == conv4.least_size == 16


def test_names_of_the_state_stay_those_of_old_checkpoints() -> None:
    convolution = ["0.weight", "0.bias", "1.weight", "1.bias", "1.running_mean", "1.running_var"]
    names = [*convolution, "1.num_batches_tracked"]
    assert list(Conv4().state_dict()) == [f"blocks.{block}.{name}" for block in range(4) for name in names]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"channels": 0}, "ConvNet channels must be at least 1, got 0"),
        ({"blocks": 0}, "ConvNet blocks must be at least 1, got 0"),
        ({"in_channels": 0}, "backbone in_channels must be at least 1, got 0"),
    ],
)
def test_impossible_arguments(arguments: dict[str, int], message: str) -> None:
    with pytest.raises(UserError, match=f"^{message}$"):
        ConvNet(**arguments)


def test_conv4_speaks_of_itself() -> None:
    with pytest.raises(UserError, match=r"^Conv4 channels must be at least 1, got 0$"):
        Conv4(channels=0)

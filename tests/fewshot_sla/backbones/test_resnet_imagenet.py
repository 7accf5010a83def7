import collections
import re
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor, nn
from torchvision.models import resnet18, resnet50

from episodes.errors import UserError
from fewshot_sla.backbones import ResNetImageNet


@pytest.fixture(scope="module")
def peer() -> nn.Module:
    """torchvision's whole network, with BatchNorm statistics that are not the initial ones."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        network = resnet18(weights=None, num_classes=7)
        with torch.no_grad():
            for _ in range(2):
                network(torch.randn(4, 3, 64, 64))
    return network.eval()


def features_of(network: nn.Module, images: Tensor) -> Tensor:
    """What goes into torchvision's last layer."""
    caught: list[Tensor] = []
    hook = network.fc.register_forward_pre_hook(lambda _, inputs: caught.append(inputs[0]))
    with torch.no_grad():
        network(images)
    hook.remove()
    return caught[0]


def save(state: dict[str, Tensor], path: Path) -> Path:
    state = {name: value.contiguous() for name, value in state.items()}
    if path.suffix == ".safetensors":
        save_file(state, path)
    else:
        torch.save(collections.OrderedDict(state), path)
    return path


@pytest.mark.parametrize("file", ["weights.safetensors", "weights.pth"])
@pytest.mark.parametrize("size", [(64, 64), (80, 37)])
def test_equals_torchvision(peer: nn.Module, tmp_path: Path, file: str, size: tuple[int, int]) -> None:
    path = save(peer.state_dict(), tmp_path / file)
    backbone = ResNetImageNet(pretrained=str(path)).eval()
    images = torch.randn(2, 3, *size, generator=torch.Generator().manual_seed(2))
    with torch.no_grad():
        assert torch.equal(backbone(images), features_of(peer, images))
    assert backbone.out_features(*size) == 512


def test_weights_from_before_batches_were_counted(peer: nn.Module, tmp_path: Path) -> None:
    old = {name: value for name, value in peer.state_dict().items() if "num_batches_tracked" not in name}
    backbone = ResNetImageNet(pretrained=str(save(old, tmp_path / "old.pth"))).eval()
    images = torch.randn(2, 3, 64, 64)
    with torch.no_grad():
        assert torch.equal(backbone(images), features_of(peer, images))


def test_parameter_count() -> None:
    """11,689,512 as torchvision's documentation says, less the last layer."""
    assert sum(parameter.numel() for parameter in ResNetImageNet().parameters()) == 11_689_512 - (512 * 1000 + 1000)


def test_grey_images() -> None:
    backbone = ResNetImageNet(in_channels=1)
    assert backbone(torch.randn(2, 1, 64, 64)).shape == (2, 512)
    convolution = backbone.network.conv1
    assert isinstance(convolution, nn.Conv2d)
    assert convolution.weight.std().item() == pytest.approx((2 / (64 * 49)) ** 0.5, rel=0.1)  # torchvision's, fan out


def message_of(path: Path, in_channels: int = 3) -> str:
    with pytest.raises(UserError) as caught:
        ResNetImageNet(in_channels, pretrained=str(path))
    message = str(caught.value)
    assert "\n" not in message
    return message


def test_no_such_file(tmp_path: Path) -> None:
    path = tmp_path / "nowhere.pth"
    assert message_of(path) == f"{path}: there is no such file of pretrained weights"


@pytest.mark.parametrize("file", ["damaged.safetensors", "damaged.pth"])
@pytest.mark.parametrize("content", [b"", b"not weights at all"])
def test_damaged_file(tmp_path: Path, file: str, content: bytes) -> None:
    path = tmp_path / file
    path.write_bytes(content)
    assert message_of(path).startswith(f"{path}: cannot be read as a file of weights (")


def test_code_in_a_file_is_not_run(tmp_path: Path) -> None:
    trace = tmp_path / "trace"

    class Malicious:
        def __reduce__(self) -> tuple:
            return Path.touch, (trace,)

    path = tmp_path / "malicious.pth"
    torch.save({"conv1.weight": Malicious()}, path)
    assert message_of(path).startswith(f"{path}: cannot be read as a file of weights (")
    assert not trace.exists()


@pytest.mark.parametrize("content", [[1, 2], {"epoch": 3}, {0: torch.zeros(1)}])
def test_something_else_in_the_file(tmp_path: Path, content: object) -> None:
    path = tmp_path / "checkpoint.pth"
    torch.save(content, path)
    assert message_of(path) == f"{path}: not a state of a network: expected names with tensors"


def test_weights_of_another_network(peer: nn.Module, tmp_path: Path) -> None:
    state = peer.state_dict()
    lacking = save({k: v for k, v in state.items() if k != "conv1.weight"}, tmp_path / "lacking.safetensors")
    words = "not the weights of torchvision's resnet18: the file"
    assert message_of(lacking) == f"{lacking}: {words} lacks 'conv1.weight'"
    more = save({**state, "layer1.2.conv1.weight": torch.zeros(1)}, tmp_path / "more.safetensors")
    assert message_of(more) == f"{more}: {words} also has 'layer1.2.conv1.weight'"
    other = save({**state, "layer1.0.bn1.weight": torch.zeros(65)}, tmp_path / "other.safetensors")
    assert message_of(other) == f"{other}: 'layer1.0.bn1.weight' has shape [65], but the network needs [64]"


def test_weights_for_colour_asked_of_grey_images(peer: nn.Module, tmp_path: Path) -> None:
    path = save(peer.state_dict(), tmp_path / "colour.safetensors")
    assert message_of(path, in_channels=1) == (
        f"{path}: 'conv1.weight' has shape [64, 3, 7, 7], but the network needs [64, 1, 7, 7]; "
        "pretrained weights need images with the channels they were trained on"
    )


def test_torchvision_is_not_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torchvision.models", None)
    with pytest.raises(UserError, match=re.escape("pip install torchvision")):
        ResNetImageNet()


def test_resnet50_equals_torchvision(tmp_path: Path) -> None:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        peer = resnet50(weights=None, num_classes=7).eval()
    path = save(peer.state_dict(), tmp_path / "weights.safetensors")
    backbone = ResNetImageNet(depth=50, pretrained=str(path)).eval()
    images = torch.randn(1, 3, 64, 64, generator=torch.Generator().manual_seed(2))
    with torch.no_grad():
        assert torch.equal(backbone(images), features_of(peer, images))
    assert backbone.out_features(64, 64) == 2048
    assert sum(parameter.numel() for parameter in backbone.parameters()) == 25_557_032 - (2048 * 1000 + 1000)


def test_there_are_five_depths() -> None:
    with pytest.raises(UserError, match="depth must be one of 18, 34, 50, 101, 152, got 20"):
        ResNetImageNet(depth=20)

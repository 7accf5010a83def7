"""R2-D2's network against the same written out layer by layer."""

import pytest
import torch
from torch import Tensor

from episodes.errors import UserError
from fewshot_sla.backbones import R2D2Net
from tests.fewshot_sla.backbones.slow_layers import convolution, disturb, norm


def pooled(x: Tensor) -> Tensor:
    height, width = x.shape[2] // 2 * 2, x.shape[3] // 2 * 2
    corners = [x[:, :, i:height:2, j:width:2] for i in (0, 1) for j in (0, 1)]
    return torch.stack(corners).amax(dim=0)


def test_equals_a_slow_network() -> None:
    backbone = disturb(R2D2Net(in_channels=2, widths=(3, 4, 5, 6), drop_rate=0.4)).eval()
    images = torch.randn(2, 2, 18, 33, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    state = iter(backbone.state_dict().values())
    x, outputs = images, []
    for block in range(4):
        weight, bias = next(state), next(state)
        x = pooled(norm(convolution(x, weight, bias=bias), state, training=False))
        if block < 3:
            x = torch.where(x > 0, x, 0.1 * x)
        outputs.append(x.flatten(1))
    torch.testing.assert_close(backbone(images), torch.cat(outputs[2:], dim=1))


def test_sizes_of_the_paper() -> None:
    backbone = R2D2Net()
    assert [backbone.out_features(side, side) for side in (84, 32)] == [51200, 8192]
    convolutions = 3 * 96 + 96 * 192 + 192 * 384 + 384 * 512
    assert sum(p.numel() for p in backbone.parameters()) == 9 * convolutions + 3 * (96 + 192 + 384 + 512)


@pytest.mark.parametrize("arguments", [{"widths": (1, 2, 3)}, {"widths": (0, 1, 1, 1)}, {"drop_rate": 1.0}])
def test_impossible_settings_are_refused(arguments: dict) -> None:
    with pytest.raises(UserError, match=r"R2D2Net (widths|drop_rate) must be"):
        R2D2Net(**arguments)

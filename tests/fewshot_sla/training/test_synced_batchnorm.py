"""BatchNorm of parts, against torch's BatchNorm of the parts put together."""

import copy
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from fewshot_sla.backbones import Conv4
from fewshot_sla.training.synced_batchnorm import SyncedBatchNorm, pass_statistics, synchronise
from fewshot_sla.training.team import Team
from tests.fewshot_sla.training.teams import together

SHAPES: dict[str, tuple[Any, tuple[int, ...]]] = {
    "2d": (nn.BatchNorm2d, (9, 3, 4, 5)),
    "1d of rows": (nn.BatchNorm1d, (9, 3)),
    "3d": (nn.BatchNorm3d, (9, 3, 2, 2, 3)),
}
OPTIONS: dict[str, dict[str, Any]] = {
    "as it is": {},
    "without weights": {"affine": False},
    "a plain average": {"momentum": None},
    "no running statistics": {"track_running_stats": False},
}
PARTS = [(4, 5), (2, 3, 4), (1, 8)]  # of 9 images


def layer_of(kind: Any, **options: Any) -> nn.Module:
    layer = kind(3, **options).double()
    with torch.no_grad():
        for number, parameter in enumerate(layer.parameters(), 2):
            parameter.copy_(torch.linspace(-1, number, 3))
    return layer


def loss_of(outputs: Tensor, weights: Tensor) -> Tensor:
    """Channels have to do with one another, images have not; the losses of parts add up to that of the whole."""
    return (weights * outputs.sin() + weights.flip(2) * outputs.square()).sum()


def steps_of(layer: nn.Module, batches: Tensor, weights: Tensor) -> dict[str, Tensor]:
    """All that two steps of training leave: outputs, gradients of inputs and weights, buffers."""
    inputs = batches.clone().requires_grad_()
    outputs = torch.stack([layer(batch) for batch in inputs])
    loss_of(outputs, weights).backward()
    assert inputs.grad is not None
    weight_gradients = {f"gradient of {n}": p.grad for n, p in layer.named_parameters() if p.grad is not None}
    return {"outputs": outputs.detach(), "inputs": inputs.grad, **weight_gradients, **dict(layer.named_buffers())}


@pytest.mark.parametrize("parts", PARTS, ids=str)
@pytest.mark.parametrize("option", OPTIONS)
@pytest.mark.parametrize("shape", SHAPES)
def test_parts_give_what_torch_gives_for_the_whole(shape: str, option: str, parts: tuple[int, ...]) -> None:
    kind, size = SHAPES[shape]
    layer = layer_of(kind, **OPTIONS[option])
    batches, weights = 3 + 2 * torch.randn(2, *size).double(), torch.randn(2, *size).double()
    whole = steps_of(copy.deepcopy(layer), batches, weights)

    def member(team: Team, place: int) -> dict[str, Tensor]:
        own = SyncedBatchNorm(copy.deepcopy(layer), team)  # type: ignore[arg-type]
        assert own.state_dict().keys() == layer.state_dict().keys()
        return steps_of(own, batches.split(parts, dim=1)[place], weights.split(parts, dim=1)[place])

    found = together(len(parts), member)
    for name, expected in whole.items():
        of_parts = [own[name] for own in found]
        if name in ("outputs", "inputs"):
            torch.testing.assert_close(torch.cat(of_parts, dim=1), expected, msg=lambda m, name=name: f"{name}: {m}")
        elif name.startswith("gradient"):
            torch.testing.assert_close(sum(of_parts), expected, msg=lambda m, name=name: f"{name}: {m}")
        else:  # buffers, the same in all members to the bit
            torch.testing.assert_close(of_parts[0], expected, msg=lambda m, name=name: f"{name}: {m}")
            assert all(torch.equal(of_parts[0], other) for other in of_parts[1:]), name


def test_the_statistics_lose_no_digits_where_the_mean_is_large() -> None:
    """In float32 the mean of squares less the square of the mean would be off by a tenth here."""
    images = (1000 + torch.randn(6, 2, 16, 16).double()).float()
    exact = images.double().transpose(0, 1).flatten(1).var(dim=1, correction=0)
    found = together(2, lambda team, place: pass_statistics(images.split((2, 4))[place], team))
    for mean, variance, count in found:
        assert mean.dtype == variance.dtype == torch.float32
        assert count == 6 * 16 * 16
        torch.testing.assert_close(variance.double(), exact, rtol=1e-5, atol=0)


def test_half_precision_stays_half_with_statistics_in_float32() -> None:
    layer, images = (
        nn.BatchNorm2d(3),
        (5 + torch.randn(8, 3, 6, 6)).bfloat16().contiguous(memory_format=torch.channels_last),
    )
    expected = copy.deepcopy(layer)(images.float())

    def member(team: Team, place: int) -> tuple[Tensor, Tensor]:
        own, inputs = SyncedBatchNorm(copy.deepcopy(layer), team), images.split(4)[place].clone().requires_grad_()
        outputs = own(inputs)
        outputs.float().square().sum().backward()
        return outputs.detach(), inputs.grad  # type: ignore[return-value]

    found = together(2, member)
    for outputs, gradient in found:
        assert outputs.dtype == gradient.dtype == torch.bfloat16
        assert outputs.is_contiguous(memory_format=torch.channels_last)
    torch.testing.assert_close(torch.cat([o for o, _ in found]).float(), expected, rtol=0.02, atol=0.02)


def test_a_network_is_changed_in_training_mode_alone() -> None:
    network = Conv4(channels=8)
    plain, images = copy.deepcopy(network), torch.randn(4, 3, 16, 16)
    synchronise(network, Team(1))
    assert not any(isinstance(module, SyncedBatchNorm) for module in network.modules())
    synchronise(network, Team(2))
    assert sum(isinstance(module, SyncedBatchNorm) for module in network.modules()) == 4
    assert network.state_dict().keys() == plain.state_dict().keys()
    assert torch.equal(network.eval()(images), plain.eval()(images))  # a team of nobody would wait for ever
    copy.deepcopy(network).load_state_dict(plain.state_dict())


def test_one_s_own_batchnorm_is_left_alone() -> None:
    class Own(nn.BatchNorm2d):
        pass

    network = nn.Sequential(Own(3), nn.GroupNorm(1, 3))
    synchronise(network, Team(2))
    assert not any(isinstance(module, SyncedBatchNorm) for module in network.modules())


def test_it_is_not_differentiated_twice() -> None:
    def member(team: Team, place: int) -> None:
        images = torch.randn(2, 3, 4, 4).double().requires_grad_()
        mean, variance, _ = pass_statistics(images, team)
        (first,) = torch.autograd.grad((mean * variance).sum(), images, create_graph=True)
        with pytest.raises(RuntimeError, match="SyncedBatchNorm has no second derivative"):
            first.sum().backward()

    together(2, member)

"""What decays, what is clipped, what is refused; in the loop: test_loop.py."""

import copy
from types import SimpleNamespace
from typing import Any, get_args

import pytest
import torch
from torch import nn
from torchvision.models import get_model

from episodes.errors import UserError
from fewshot_sla.heads.protonet import ProtoNetHead
from fewshot_sla.training.clipping import clip_gradients
from fewshot_sla.training.decay import Decay, parameter_groups
from fewshot_sla.training.optimizer import check_optimizer, make_optimizer
from fewshot_sla.training.recipe import LoopSettings
from fewshot_sla.training.schedules import Constant
from fewshot_sla.training.synced_batchnorm import synchronise
from fewshot_sla.training.team import Team
from fewshot_sla.training.updates import Updates


def names_by_group(model: nn.Module, decay: Decay) -> tuple[set[str], set[str]]:
    """Names of the parameters that decay, and of those that do not."""
    names = {id(parameter): name for name, parameter in model.named_parameters()}
    groups = parameter_groups(model, decay)
    found = [{names[id(parameter)] for parameter in group["params"]} for group in groups]
    assert [group.get("weight_decay") for group in groups] == [None, 0.0][: len(groups)]
    return found[0], found[1] if len(found) > 1 else set()


def test_groups_of_torchvisions_resnet_by_its_names() -> None:
    with torch.device("meta"):
        model = get_model("resnet18", weights=None)
    every = dict(model.named_parameters())
    norms = {name for name in every if ".bn" in name or name.startswith("bn1") or "downsample.1" in name}
    assert len(norms) == 40  # weight and bias of 20 layers
    assert names_by_group(model, "all") == (set(every), set())
    assert names_by_group(model, "not_norm") == (set(every) - norms, norms)
    assert names_by_group(model, "weights") == (set(every) - norms - {"fc.bias"}, norms | {"fc.bias"})


def test_every_kind_of_normalisation_and_single_numbers() -> None:
    layers = [nn.BatchNorm2d(4), nn.GroupNorm(2, 4), nn.LayerNorm((4, 8)), nn.InstanceNorm1d(4, affine=True)]
    model = nn.ModuleDict({"norms": nn.ModuleList(layers), "head": ProtoNetHead(learn_scale=True)})
    synchronise(model, Team(2))
    assert type(model["norms"][0]) is not nn.BatchNorm2d
    norms = {f"norms.{number}.{name}" for number in range(4) for name in ("weight", "bias")}
    assert names_by_group(model, "not_norm") == ({"head.scale"}, norms)
    groups = parameter_groups(model, "weights")  # nothing is left to decay
    assert [len(group["params"]) for group in groups] == [9]
    assert groups[0]["weight_decay"] == 0


def recipe_of(optimizer: Any, updates: Updates) -> Any:
    return SimpleNamespace(optimizer=optimizer, updates=updates, schedule=Constant(), loop=LoopSettings())


@pytest.mark.parametrize("decay", get_args(Decay))
def test_a_step_of_sgd_with_weight_decay_by_hand(decay: Decay) -> None:
    """w - lr (g + c w) where it decays, w - lr g elsewhere."""
    model = nn.Sequential(nn.Linear(2, 2), nn.BatchNorm1d(2)).double()
    recipe = recipe_of(lambda groups: torch.optim.SGD(groups, lr=0.1, weight_decay=0.5), Updates(decay=decay))
    optimizer = make_optimizer(recipe, model)
    expected = {}
    shares = {"all": (0.5, 0.5, 0.5), "not_norm": (0.5, 0.5, 0), "weights": (0.5, 0, 0)}[decay]
    for name, parameter in model.named_parameters():
        parameter.grad = torch.randn_like(parameter)
        share = shares[("0.weight", "0.bias").index(name) if name.startswith("0") else 2]
        expected[name] = parameter.detach() - 0.1 * (parameter.grad + share * parameter.detach())
    optimizer.step()
    for name, parameter in model.named_parameters():
        torch.testing.assert_close(parameter.detach(), expected[name], rtol=1e-12, atol=0)


@pytest.mark.parametrize("longest", [0.01, 2.0, 1000.0])
def test_clipped_gradients_are_torchs(longest: float) -> None:
    model = nn.Sequential(nn.Linear(3, 4), nn.Linear(4, 2))
    model[1].bias.requires_grad_(False)
    torchs = copy.deepcopy(model)
    for parameter, other in zip(model.parameters(), torchs.parameters(), strict=True):
        if parameter.requires_grad:
            parameter.grad = torch.randn_like(parameter)
            other.grad = parameter.grad.clone()
    before = nn.utils.clip_grad_norm_(torchs.parameters(), longest)
    clip_gradients(model.parameters(), longest)
    for parameter, other in zip(model.parameters(), torchs.parameters(), strict=True):
        assert (parameter.grad is None) == (other.grad is None)
        assert parameter.grad is None or parameter.grad.equal(other.grad)
    after = torch.cat(
        [parameter.grad.flatten() for parameter in model.parameters() if parameter.grad is not None]
    ).norm()
    torch.testing.assert_close(float(after), min(longest, float(before)), rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"clip_norm": -1.0}, "updates.clip_norm must be a finite number of at least 0, got -1"),
        ({"clip_norm": float("nan")}, "updates.clip_norm must be a finite number of at least 0, got nan"),
        ({"decay": "no_norm"}, "updates.decay must be one of all, not_norm, weights, got 'no_norm'"),
        ({"average": 1.0}, "updates.average must be at least 0 and less than 1, got 1"),
    ],
)
def test_what_is_refused(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError, match=message):
        Updates(**settings)


def test_what_does_not_decay_needs_an_optimiser_that_decays() -> None:
    model = nn.Linear(2, 2)
    check_optimizer(recipe_of(torch.optim.Rprop, Updates()), model)
    with pytest.raises(
        UserError, match=r"updates\.decay 'weights' needs an optimiser with weight_decay, and Rprop has"
    ):
        check_optimizer(recipe_of(torch.optim.Rprop, Updates(decay="weights")), model)

"""Networks from elsewhere as backbones, and what is not let in."""

from pathlib import Path

import pytest
import torch
import torchvision
from safetensors.torch import save_file
from torch import nn

from episodes.errors import UserError
from fewshot_sla.backbones import Conv4
from fewshot_sla.backbones.base import Backbone
from fewshot_sla.prediction.foreign import ForeignNetwork, WrappedBackbone
from fewshot_sla.training.randomness import seeded
from tests.fewshot_sla.prediction import small
from tests.fewshot_sla.prediction.networks import Maps, Pair, TimmLike

NETWORKS = "tests.fewshot_sla.prediction.networks"
IMAGES = torch.rand(3, 3, 32, 32, generator=torch.Generator().manual_seed(0))


def by_path(class_path: str, arguments: dict | None = None, **options) -> Backbone:
    return ForeignNetwork(class_path, arguments or {}, **options).build()


def test_torchvision_without_its_classifier_gives_what_feeds_the_classifier() -> None:
    backbone = by_path("torchvision.models.resnet18", {"weights": None}).eval()
    with seeded(0):
        whole = torchvision.models.resnet18(weights=None).eval()
    seen = []
    whole.fc.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    with torch.no_grad():
        whole(IMAGES)
        assert torch.equal(backbone(IMAGES), seen[0])
    assert backbone.dropped == "fc"
    assert backbone.out_features(32, 32) == 512
    assert not ForeignNetwork("torchvision.models.resnet18", {"weights": None}).has_weights
    assert ForeignNetwork("torchvision.models.resnet18", {"weights": "DEFAULT"}).has_weights


def test_the_layer_is_found_by_name_or_left_alone() -> None:
    assert by_path(f"{NETWORKS}.TimmLike").dropped == "head"
    assert by_path(f"{NETWORKS}.timm_like", {"width": 5}).out_features(32, 32) == 5
    whole = by_path(f"{NETWORKS}.TimmLike", drop="")
    assert (whole.dropped, whole.out_features(32, 32)) == ("", 10)
    deep = WrappedBackbone(nn.Sequential(nn.Flatten(), nn.Sequential(nn.Linear(12, 4), nn.Linear(4, 2))), 3, "1.1")
    assert (deep.dropped, deep.out_features(2, 2)) == ("1.1", 4)
    own = by_path("fewshot_sla.backbones.Conv4", {"in_channels": 1, "channels": 8}, channels=1)
    assert isinstance(own, Conv4)


def test_arguments_that_no_signature_names_are_handed_on() -> None:
    assert by_path(f"{NETWORKS}.like_timms_functions", {"width": 5}).out_features(32, 32) == 5
    with pytest.raises(UserError, match="unexpected keyword argument 'widht'"):
        by_path(f"{NETWORKS}.like_timms_functions", {"widht": 5})


def test_feature_maps_are_averaged() -> None:
    network = Maps()
    backbone = WrappedBackbone(network, channels=1)
    images = torch.rand(2, 1, 8, 8)
    assert torch.allclose(backbone(images), network.layer(images).flatten(2).mean(dim=2))


def test_finding_out_the_size_leaves_the_network_as_it_was() -> None:
    backbone = WrappedBackbone(TimmLike())
    backbone.module.norm.eval()
    modes = [module.training for module in backbone.modules()]
    before = {name: value.clone() for name, value in backbone.state_dict().items()}
    assert backbone.out_features(16, 16) == 6
    assert [module.training for module in backbone.modules()] == modes
    assert all(torch.equal(value, before[name]) for name, value in backbone.state_dict().items())


def test_weights_come_from_a_file(tmp_path: Path) -> None:
    with seeded(5):
        trained = TimmLike().eval()
    save_file(trained.state_dict(), tmp_path / "w.safetensors")
    backbone = by_path(f"{NETWORKS}.TimmLike", weights=str(tmp_path / "w.safetensors")).eval()
    assert torch.equal(backbone.module.head(backbone(IMAGES)), backbone(IMAGES))  # the identity
    trained.head = nn.Identity()
    assert torch.equal(backbone(IMAGES), trained(IMAGES))


def test_drawn_weights_are_the_same_each_time_and_disturb_nobody() -> None:
    state = torch.get_rng_state()
    first, second = (by_path(f"{NETWORKS}.TimmLike").state_dict() for _ in range(2))
    assert all(torch.equal(first[name], second[name]) for name in first)
    assert torch.equal(torch.get_rng_state(), state)


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("resnet18", "module: resnet18 is not a known class; give its path, as in package.resnet18"),
        ("nowhere.Net", "module: No module named 'nowhere'"),
        (
            "torchvision.models.resnet181",
            "unknown class 'resnet181' in module (module torchvision.models)",
        ),
        *(
            (path, f"module: {path} is not a Module, nor a function annotated to return one")
            for path in (
                "os.system",
                "subprocess.Popen",
                "builtins.exec",
                "torch.load",
                f"{NETWORKS}.unannotated",
                f"{NETWORKS}.returns_text",
            )
        ),
    ],
)
@pytest.mark.filterwarnings("ignore::DeprecationWarning:jsonargparse")  # it warns of some of these paths too
def test_only_modules_are_made(path: str, message: str) -> None:
    with pytest.raises(UserError) as error:
        by_path(path)
    assert message in str(error.value)


@pytest.mark.parametrize(
    ("backbone", "options", "message"),
    [
        (
            f"{NETWORKS}.TimmLike",
            {"channels": 1},
            f"{NETWORKS}.TimmLike cannot take pictures [1, 8, 8]: Given groups=1",
        ),
        (f"{NETWORKS}.Maps", {"channels": 3}, f"{NETWORKS}.Maps cannot take pictures [3, 8, 8]: Given groups=1"),
        ("torch.nn.Flatten", {"channels": 2}, "a network must take 1 or 3 channels, not 2"),
        ("torch.nn.Flatten", {"channels": 4}, "a network must take 1 or 3 channels, not 4"),
        (
            "torch.nn.Linear",
            {"arguments": {"in_features": 3, "out_features": 2}},
            "torch.nn.Linear cannot take pictures [3, 8, 8]: ",
        ),
        (nn.Linear(3, 2), {}, "cannot take pictures [3, 8, 8]: "),
    ],
)
def test_networks_that_cannot_take_the_pictures_are_found_out_at_once(backbone, options, message: str) -> None:
    with pytest.raises(UserError) as error:
        small.foreign(backbone, 8, **options)
    assert message in str(error.value)
    assert "\n" not in str(error.value)


def test_mistakes_are_one_line(tmp_path: Path) -> None:
    (tmp_path / "text").write_text("no weights")
    save_file({"other": torch.zeros(1)}, tmp_path / "other.safetensors")
    cases = {
        "the following arguments are required: needed": lambda: by_path(f"{NETWORKS}.Fussy"),
        "TimmLike has no layer 'fc' to leave out; it has stem, norm, head": lambda: WrappedBackbone(
            TimmLike(), drop="fc"
        ),
        "gives a tuple for images [2, 1, 4, 4]; a backbone gives": lambda: WrappedBackbone(Pair(), 1)(
            torch.zeros(2, 1, 4, 4)
        ),
        "there is no such file of weights": lambda: by_path(f"{NETWORKS}.TimmLike", weights="gone"),
        "not a safetensors file": lambda: by_path(f"{NETWORKS}.TimmLike", weights=str(tmp_path / "text")),
        "the checkpoint is of another model": lambda: by_path(
            f"{NETWORKS}.TimmLike", weights=str(tmp_path / "other.safetensors")
        ),
    }
    for message, act in cases.items():
        with pytest.raises(UserError) as error:
            act()
        assert message in str(error.value)
        assert "\n" not in str(error.value)

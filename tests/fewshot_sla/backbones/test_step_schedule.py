import pytest
import torch
from torch import nn

from fewshot_sla.backbones import DropBlock, ResNet12, StepScheduled, set_training_step


class Recorder(StepScheduled, nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.steps: list[int] = []

    def set_training_step(self, step: int) -> None:
        self.steps.append(step)


def test_reaches_nested_modules_once() -> None:
    deep, shared = Recorder(), Recorder()
    model = nn.ModuleDict({"a": nn.Sequential(nn.Linear(1, 1), nn.Sequential(deep, shared)), "b": shared})
    set_training_step(model, 0)
    set_training_step(model, 7)
    assert deep.steps == shared.steps == [0, 7]


def test_the_model_itself() -> None:
    recorder = Recorder()
    set_training_step(recorder, 3)
    assert recorder.steps == [3]


def test_a_model_without_schedule_is_left_alone() -> None:
    set_training_step(nn.Linear(2, 2), 5)


def test_negative_step() -> None:
    with pytest.raises(ValueError, match="counts from 0, got -1"):
        set_training_step(nn.Linear(2, 2), -1)


def test_resnet12_has_two_scheduled_layers_and_saves_their_step() -> None:
    backbone = ResNet12(widths=(4, 4, 4, 4))
    set_training_step(backbone, 12_345)
    layers = [module for module in backbone.modules() if isinstance(module, DropBlock)]
    assert [int(layer.training_step) for layer in layers] == [12_345, 12_345]

    resumed = ResNet12(widths=(4, 4, 4, 4))
    resumed.load_state_dict(backbone.state_dict())
    for layer in resumed.modules():
        if isinstance(layer, DropBlock):
            assert int(layer.training_step) == 12_345
            assert torch.equal(layer.keep_rate(), layers[0].keep_rate())


@pytest.mark.parametrize("training", [True, False])
def test_forward_passes_do_not_advance_the_step(training: bool) -> None:
    backbone = ResNet12(widths=(4, 4, 4, 4)).train(training)
    set_training_step(backbone, 10)
    for _ in range(3):
        backbone(torch.randn(2, 3, 16, 16))
    assert all(int(m.training_step) == 10 for m in backbone.modules() if isinstance(m, DropBlock))

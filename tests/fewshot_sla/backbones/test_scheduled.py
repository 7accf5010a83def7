import pytest
import torch
from torch import nn

from fewshot_sla.backbones import DropBlock, ResNet12, Scheduled, set_training_progress
from fewshot_sla.backbones.scheduled import strengths


class Recorder(Scheduled, nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.seen: list[float] = []

    def strength(self, done: float) -> float:
        return 2 * done

    def set_progress(self, done: float) -> None:
        self.seen.append(done)


def test_reaches_nested_modules_once() -> None:
    deep, shared = Recorder(), Recorder()
    model = nn.ModuleDict({"a": nn.Sequential(nn.Linear(1, 1), nn.Sequential(deep, shared)), "b": shared})
    set_training_progress(model, 0)
    set_training_progress(model, 0.7)
    assert deep.seen == shared.seen == [0, 0.7]
    assert strengths(model, 0.25) == [0.5, 0.5]


def test_the_model_itself() -> None:
    recorder = Recorder()
    set_training_progress(recorder, 1)
    assert recorder.seen == [1]


def test_a_model_without_schedule_is_left_alone() -> None:
    set_training_progress(nn.Linear(2, 2), 0.5)


@pytest.mark.parametrize("done", [-0.1, 1.5])
def test_a_share_out_of_its_range(done: float) -> None:
    with pytest.raises(ValueError, match=f"0 to 1, got {done}"):
        set_training_progress(nn.Linear(2, 2), done)


def test_resnet12_has_two_scheduled_layers_and_saves_their_rate() -> None:
    backbone = ResNet12(widths=(4, 4, 4, 4))
    set_training_progress(backbone, 0.1)
    layers = [module for module in backbone.modules() if isinstance(module, DropBlock)]
    assert [float(layer.keep_rate()) for layer in layers] == pytest.approx([0.97, 0.97])

    resumed = ResNet12(widths=(4, 4, 4, 4))
    resumed.load_state_dict(backbone.state_dict())
    for layer in resumed.modules():
        if isinstance(layer, DropBlock):
            assert torch.equal(layer.keep_rate(), layers[0].keep_rate())


@pytest.mark.parametrize("training", [True, False])
def test_forward_passes_do_not_advance_the_schedule(training: bool) -> None:
    backbone = ResNet12(widths=(4, 4, 4, 4)).train(training)
    set_training_progress(backbone, 0.2)
    before = [m.keep_rate().clone() for m in backbone.modules() if isinstance(m, DropBlock)]
    for _ in range(3):
        backbone(torch.randn(2, 3, 16, 16))
    assert [m.keep_rate() for m in backbone.modules() if isinstance(m, DropBlock)] == before

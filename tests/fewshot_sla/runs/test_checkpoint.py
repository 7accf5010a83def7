from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from torch import nn

from episodes.errors import UserError
from fewshot_sla.runs import checkpoint


def trained(optimizer_class: type[torch.optim.Optimizer], **options: float) -> tuple[nn.Module, torch.optim.Optimizer]:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Linear(4, 2))
    optimizer = optimizer_class(model.parameters(), lr=0.1, **options)
    for _ in range(3):
        optimizer.zero_grad()
        model(torch.randn(8, 3)).square().mean().backward()
        optimizer.step()
    return model, optimizer


@pytest.mark.parametrize(
    ("optimizer_class", "options"),
    [(torch.optim.Adam, {}), (torch.optim.SGD, {"momentum": 0.9}), (torch.optim.SGD, {}), (torch.optim.AdamW, {})],
)
def test_weights_and_optimizer_come_back_bit_for_bit(tmp_path: Path, optimizer_class, options) -> None:
    model, optimizer = trained(optimizer_class, **options)
    tensors, rest = checkpoint.pack_optimizer(optimizer.state_dict())
    path = tmp_path / "a.safetensors"
    contents = checkpoint.with_prefix("model", model.state_dict()) | checkpoint.with_prefix("optimizer", tensors)
    checkpoint.save_checkpoint(path, contents, {"optimizer": rest, "pi": 0.1 + 0.2})

    loaded, state = checkpoint.load_checkpoint(path)
    other, other_optimizer = trained(optimizer_class, **options)
    nn.init.zeros_(other[0].weight)
    checkpoint.load_weights(other, checkpoint.without_prefix("model", loaded), path)
    other_optimizer.load_state_dict(
        checkpoint.unpack_optimizer(checkpoint.without_prefix("optimizer", loaded), state["optimizer"])
    )
    assert state["pi"] == 0.1 + 0.2
    for name, tensor in model.state_dict().items():
        assert torch.equal(tensor, other.state_dict()[name])
    mine, theirs = optimizer.state_dict(), other_optimizer.state_dict()
    assert mine["param_groups"] == theirs["param_groups"]
    assert mine["state"].keys() == theirs["state"].keys()
    for number, values in mine["state"].items():
        for key, value in values.items():
            assert torch.equal(torch.as_tensor(value), torch.as_tensor(theirs["state"][number][key])), key


@pytest.mark.parametrize("keep", [0, 4, 100, -1])
def test_a_file_that_is_cut_off_is_named(tmp_path: Path, keep: int) -> None:
    path = tmp_path / "a.safetensors"
    checkpoint.save_checkpoint(path, {"x": torch.zeros(100)}, {})
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(UserError, match="damaged or cut off") as caught:
        checkpoint.load_checkpoint(path)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)
    with pytest.raises(UserError, match="damaged or cut off"):
        checkpoint.load_state(path)


def test_the_state_is_read_without_the_tensors(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class HeadOnly:
        """Of an open file what load_state may use: asked for a tensor, it fails."""

        def __init__(self, *arguments: object, **options: object) -> None:
            self._file = safe_open(*arguments, **options)

        def __enter__(self) -> "HeadOnly":
            self._file.__enter__()
            return self

        def __exit__(self, *error: object) -> None:
            self._file.__exit__(*error)

        def metadata(self) -> dict[str, str]:
            return self._file.metadata()

    path, state = tmp_path / "a.safetensors", {"step": 3, "shape": (1, 2)}
    checkpoint.save_checkpoint(path, {"x": torch.zeros(9)}, state)
    monkeypatch.setattr(checkpoint, "safe_open", HeadOnly)
    assert checkpoint.load_state(path) == state


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="there is no checkpoint"):
        checkpoint.load_checkpoint(tmp_path / "nothing.safetensors")


def test_a_pickle_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.safetensors"
    torch.save({"x": torch.zeros(3)}, path)
    with pytest.raises(UserError, match="damaged"):
        checkpoint.load_checkpoint(path)


@pytest.mark.parametrize(
    ("other", "words"),
    [
        (nn.Linear(3, 2, bias=False), "also has bias"),
        (nn.Sequential(nn.Linear(3, 2)), "lacks 0.weight and 1 more"),
        (nn.Linear(3, 3), "has in another shape weight and 1 more"),
    ],
)
def test_another_models_weights_are_refused_and_change_nothing(tmp_path: Path, other: nn.Module, words: str) -> None:
    before = {name: tensor.clone() for name, tensor in other.state_dict().items()}
    with pytest.raises(UserError, match=words):
        checkpoint.load_weights(other, nn.Linear(3, 2).state_dict(), tmp_path / "a")
    for name, tensor in other.state_dict().items():
        assert torch.equal(tensor, before[name])


def test_a_crash_while_writing_keeps_the_old_checkpoint(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.safetensors"
    checkpoint.save_checkpoint(path, {"x": torch.zeros(3)}, {"step": 1})

    def fail(*arguments: object) -> None:
        raise OSError("disk full")

    monkeypatch.setattr("episodes.storage.os.replace", fail)
    with pytest.raises(OSError, match="disk full"):
        checkpoint.save_checkpoint(path, {"x": torch.ones(3)}, {"step": 2})
    tensors, state = checkpoint.load_checkpoint(path)
    assert state == {"step": 1}
    assert torch.equal(tensors["x"], torch.zeros(3))
    assert [entry.name for entry in tmp_path.iterdir()] == ["a.safetensors"]

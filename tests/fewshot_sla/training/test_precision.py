"""precision: auto is bfloat16 only where the device itself computes with it."""

import pytest
import torch

from fewshot_sla.training.precision import fast_precision
from fewshot_sla.training.recipe import Hardware


@pytest.mark.parametrize("has", ["_is_avx512_bf16_supported", "_is_amx_tile_supported", ""])
def test_a_cpu_is_asked_for_its_instructions(monkeypatch: pytest.MonkeyPatch, has: str) -> None:
    for name in ("_is_avx512_bf16_supported", "_is_amx_tile_supported"):
        monkeypatch.setattr(torch.cpu, name, lambda name=name: name == has, raising=False)
    assert fast_precision("cpu") == ("bf16-mixed" if has else "32-true")
    assert Hardware(precision="auto", accelerator="cpu").used_precision == fast_precision("cpu")
    assert Hardware(precision="bf16-mixed", accelerator="cpu").used_precision == "bf16-mixed"  # asked for is asked for


def test_where_nothing_is_known_it_is_float32(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(torch.cpu, "_is_avx512_bf16_supported", raising=False)
    monkeypatch.delattr(torch.cpu, "_is_amx_tile_supported", raising=False)
    assert [fast_precision(device) for device in ("cpu", "mps", "something")] == ["32-true"] * 3


@pytest.mark.parametrize("has", [True, False])
def test_a_gpu_that_emulates_is_not_taken(monkeypatch: pytest.MonkeyPatch, has: bool) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation=True: has or including_emulation)
    expected = "bf16-mixed" if has else "32-true"
    assert [Hardware(precision="auto", accelerator=name).used_precision for name in ("auto", "gpu", "cuda")] == [
        expected
    ] * 3

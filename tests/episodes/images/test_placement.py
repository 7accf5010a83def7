from pathlib import Path

import numpy as np
import pytest
import torch

from episodes.images import placement
from episodes.images.labelled import LabelledImages

CPU = torch.device("cpu")


def mapped(tmp_path: Path, count: int = 20) -> LabelledImages:
    pixels = np.random.default_rng(0).integers(0, 256, (count, 3, 8, 8), dtype=np.uint8)
    pixels.tofile(tmp_path / "pixels")
    tensor = torch.from_file(str(tmp_path / "pixels"), size=pixels.size, dtype=torch.uint8).view(pixels.shape)
    return LabelledImages(tensor, torch.arange(count) % 4, ("a", "b", "c", "d"), "mapped")


@pytest.mark.parametrize("where", ["auto", "device", "pinned", "mmap"])
def test_what_is_gathered_does_not_depend_on_the_placement(tmp_path: Path, where: placement.Placement) -> None:
    images = mapped(tmp_path)
    placed = images.on(CPU, where)
    index = torch.tensor([[3, 1], [19, 3]])
    assert torch.equal(placed.gather(index), images.images[index].float() / 255)
    assert placed.target == CPU
    assert placed.fingerprint == images.fingerprint


def test_pinned_leaves_the_file(tmp_path: Path) -> None:
    images = mapped(tmp_path)
    assert images.on(CPU, "pinned").images.data_ptr() != images.images.data_ptr()
    assert images.on(CPU, "mmap").images.data_ptr() == images.images.data_ptr()


def test_auto_asks_how_much_is_free(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    images, moved = mapped(tmp_path), []
    monkeypatch.setattr(torch.Tensor, "to", lambda self, *_, **__: moved.append(self.shape) or self)
    for free, expected in ((images.images.numel() * 2, 1), (images.images.numel() * 2 - 1, 0)):
        moved.clear()
        monkeypatch.setattr(placement, "free_memory", lambda device, free=free: free)
        images.on(CPU, "auto")
        assert len(moved) == expected


@pytest.mark.cuda
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize("where", ["auto", "device", "pinned", "mmap"])
def test_gathering_onto_a_gpu(tmp_path: Path, where: placement.Placement) -> None:
    images = mapped(tmp_path)
    placed = images.on(torch.device("cuda"), where)
    index = torch.tensor([0, 5, 5])
    gathered = placed.gather(index)
    assert gathered.is_cuda
    assert torch.equal(gathered.cpu(), images.images[index].float() / 255)

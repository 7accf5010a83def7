"""The exported backbone gives the features of the model, for any number of pictures."""

import importlib.util
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from episodes import Normalization, UserError
from fewshot_sla.meta import Plain
from fewshot_sla.prediction.export import export_backbone
from fewshot_sla.prediction.model import PredictionModel
from tests.fewshot_sla.prediction import small
from tests.integration.plugins import NearestPixels

HAS_ONNX = all(importlib.util.find_spec(name) for name in ("onnx", "onnxscript"))
HAS_RUNTIME = HAS_ONNX and importlib.util.find_spec("onnxruntime")


class Branching(nn.Module):
    """Does what depends on the values: no program without Python can."""

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return images.flatten(1) if float(images.sum()) > 0 else images.flatten(1) * 2


def pictures(count: int, channels: int, side: int) -> torch.Tensor:
    generator = torch.Generator().manual_seed(count)
    return torch.randint(0, 256, (count, channels, side, side), generator=generator, dtype=torch.uint8)


@pytest.mark.parametrize("name", ["conv4", "by class path"])
def test_the_program_gives_the_features_for_any_batch(name: str, tmp_path: Path) -> None:
    if name == "conv4":
        model = small.model(Plain())
    else:
        model = small.foreign("tests.fewshot_sla.prediction.networks.TimmLike", 16)
    model.learner.train()
    path = tmp_path / "backbone.pt2"
    export_backbone(path, model)
    assert model.learner.training
    program = torch.export.load(path).module()
    for count in (1, 2, 7):
        given = pictures(count, model.image_shape[0], model.image_shape[1])
        torch.testing.assert_close(program(given), model.items(given)[:, 0], atol=1e-5, rtol=1e-5)


@pytest.mark.skipif(not HAS_RUNTIME, reason="needs onnx, onnxscript and onnxruntime")
def test_onnx_gives_the_features_for_any_batch(tmp_path: Path) -> None:
    import onnxruntime

    model = small.model(Plain())
    export_backbone(tmp_path / "backbone.onnx", model)
    session = onnxruntime.InferenceSession(tmp_path / "backbone.onnx")
    for count in (1, 2, 7):
        given = pictures(count, 1, 28)
        (found,) = session.run(None, {session.get_inputs()[0].name: given.numpy()})
        np.testing.assert_allclose(found, model.items(given)[:, 0].numpy(), atol=1e-4, rtol=1e-4)


@pytest.mark.skipif(HAS_ONNX, reason="onnx is installed")
def test_without_onnx_it_is_said_what_to_install(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="writing ONNX needs onnx and onnxscript: pip install onnx onnxscript"):
        export_backbone(tmp_path / "backbone.onnx", small.model())


def test_what_cannot_be_exported(tmp_path: Path) -> None:
    pixels = PredictionModel(
        NearestPixels(), Plain(), Normalization(torch.tensor([0.1]), torch.tensor([0.3])), (1, 8, 8), "pixels"
    )
    cases = {
        "backbone.bin: the name of an exported backbone ends in .pt2 or .onnx": ("backbone.bin", small.model()),
        "pixels: a NearestPixels has no backbone to export": ("backbone.pt2", pixels),
        "Branching: the backbone cannot be exported: ": ("backbone.pt2", small.foreign(Branching(), 8)),
    }
    for message, (name, model) in cases.items():
        with pytest.raises(UserError) as error:
            export_backbone(tmp_path / name, model)
        assert message in str(error.value)
        assert "\n" not in str(error.value)
    assert not list(tmp_path.iterdir())

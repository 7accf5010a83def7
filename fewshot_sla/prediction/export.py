"""The backbone alone as a program that needs neither this package nor Python: torch.export, and ONNX where it is."""

import importlib.util
import io
from pathlib import Path

import torch
from torch import Tensor, nn

from episodes.errors import UserError
from episodes.images.normalization import Normalization
from episodes.storage import atomic_write
from fewshot_sla.meta.learners.embedding import EmbeddingLearner
from fewshot_sla.prediction.model import PredictionModel
from fewshot_sla.training.modes import evaluation_mode


def _as_pt2(program: torch.export.ExportedProgram) -> bytes:
    contents = io.BytesIO()
    torch.export.save(program, contents)
    return contents.getvalue()


def _as_onnx(program: torch.export.ExportedProgram) -> bytes:
    made = torch.onnx.export(program, dynamo=True, verbose=False)
    return made.model_proto.SerializeToString()  # type: ignore[union-attr]


_WRITERS = {".pt2": _as_pt2, ".onnx": _as_onnx}


class _FromBytes(nn.Module):
    """Normalisation and backbone: bytes in, features out."""

    def __init__(self, normalization: Normalization, backbone: nn.Module) -> None:
        super().__init__()
        self.normalization = normalization
        self.backbone = backbone

    def forward(self, images: Tensor) -> Tensor:  # [B, C, H, W] uint8 -> [B, D] float32
        return self.backbone(self.normalization(images))


def export_backbone(path: str | Path, model: PredictionModel) -> None:
    """Write normalisation and backbone as one program: images uint8 [B, C, H, W] in, features [B, D] out, any B >= 1.

    Args:
        path: ``NAME.pt2`` for torch.export (read with torch.export.load), ``NAME.onnx`` for ONNX.
        model: whose backbone.

    Raises:
        UserError: if the name ends otherwise, the model has no backbone, ONNX is asked for and not installed, or the
            network cannot be exported.
    """
    contents = backbone_program(Path(path), model)
    with atomic_write(path) as file:
        file.write(contents)


def check_export(path: Path) -> None:
    """Raise UserError unless a backbone can be written under this name here."""
    if path.suffix not in _WRITERS:
        raise UserError(f"{path}: the name of an exported backbone ends in {' or '.join(_WRITERS)}")
    missing = [name for name in ("onnx", "onnxscript") if importlib.util.find_spec(name) is None]
    if path.suffix == ".onnx" and missing:
        raise UserError(f"{path}: writing ONNX needs {' and '.join(missing)}: pip install {' '.join(missing)}")


def backbone_program(path: Path, model: PredictionModel) -> bytes:
    """What :func:`export_backbone` writes to a file of this name."""
    check_export(path)
    if not isinstance(model.learner, EmbeddingLearner):
        raise UserError(f"{model.name}: a {type(model.learner).__name__} has no backbone to export")
    network = _FromBytes(model.normalization, model.learner.backbone)
    example = torch.zeros(2, *model.image_shape, dtype=torch.uint8, device=model.device)
    with evaluation_mode(network), torch.no_grad():
        try:
            program = torch.export.export(
                network, (example,), dynamic_shapes={"images": {0: torch.export.Dim("batch", min=1)}}
            )
            return _WRITERS[path.suffix](program)
        except UserError:
            raise
        except Exception as error:  # whatever a stranger's network makes the exporter raise
            first = (str(error).strip().splitlines() or [""])[0]
            raise UserError(
                f"{model.name}: the backbone cannot be exported: {type(error).__name__}: {first}"
            ) from error

"""Features of support sets on disk, by content: the same pictures are not embedded twice by the same model."""

import hashlib
from contextlib import suppress
from pathlib import Path

from safetensors import SafetensorError
from safetensors.torch import load_file, save
from torch import Tensor

from episodes.storage import atomic_write
from fewshot_sla.prediction.model import PredictionModel

MOST_BYTES = 2**30  # of all files together; the ones that were not used for longest go first


class FeatureCache:
    """A folder with one file a support set and model.

    Args:
        folder: it need not exist; what is in it can be deleted at any time.
        most_bytes: how large the files may be together.
    """

    def __init__(self, folder: Path, most_bytes: int = MOST_BYTES) -> None:
        self.folder = folder
        self.most_bytes = most_bytes

    def items(
        self,
        model: PredictionModel,
        pictures: Tensor,  # [n, C, H, W] uint8
    ) -> Tensor:  # [n, M, *item], on the model's device
        """``model.items(pictures)``, from the file if there is one.

        A file that cannot be read is made anew; a folder that cannot be written to is done without.
        """
        path = self.folder / f"{content_key(model, pictures)}.safetensors"
        with suppress(OSError, SafetensorError, KeyError):
            items = load_file(path)["items"]
            path.touch()
            return items.to(model.device)
        items = model.items(pictures)
        with suppress(OSError):
            with atomic_write(path) as file:
                file.write(save({"items": items.cpu().contiguous()}))
            self._tidy()
        return items

    def _tidy(self) -> None:
        """Delete what was not used for longest, until the rest is small enough."""
        files = sorted(self.folder.glob("*.safetensors"), key=lambda path: path.stat().st_mtime, reverse=True)
        total = 0
        for path in files:
            total += path.stat().st_size
            if total > self.most_bytes:
                path.unlink(missing_ok=True)


def content_key(model: PredictionModel, pictures: Tensor) -> str:  # [n, C, H, W] uint8
    """SHA-256 of what the features depend on: the model, and the pixels as they are seen."""
    digest = hashlib.sha256(model.fingerprint().encode())
    digest.update(repr(tuple(pictures.shape)).encode())
    digest.update(pictures.contiguous().numpy().data)
    return digest.hexdigest()

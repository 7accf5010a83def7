"""From what the user names to a model on a device: a run folder, a saved classifier, a network, or the newest run."""

from pathlib import Path

import torch

from episodes.errors import UserError, first_line
from fewshot_sla.meta.kind import META
from fewshot_sla.prediction.foreign import ForeignNetwork
from fewshot_sla.prediction.model import PredictionModel, from_network, from_run
from fewshot_sla.prediction.saved import load_predictor
from fewshot_sla.runs.folder import RunFolder
from fewshot_sla.training.trained import load_trained, newest_run

RUNS = Path("runs")  # where meta_train and `make run` leave their runs


def load_model(given: str | Path | ForeignNetwork | None = None) -> PredictionModel:
    """The model of a run folder, of a saved classifier (without its support) or of any network.

    Args:
        given: what to load; by default the newest run under ``runs``.

    Raises:
        UserError: if there is none.
    """
    if isinstance(given, ForeignNetwork):
        return from_network(given)
    if given and Path(given).is_file():
        return load_predictor(Path(given)).model
    return from_run(load_trained(META, RunFolder(given) if given else newest_run(META, RUNS)))


def find_device(name: str) -> torch.device:
    """ "auto" is a CUDA device if there is one, otherwise the CPU.

    Raises:
        UserError: if this machine has no such device.
    """
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    try:
        probe = torch.zeros(1, device=name)
        probe.cpu()  # of a device that only pretends, there is no way back
        return probe.device
    except (RuntimeError, AssertionError) as error:  # torch built without CUDA asserts
        raise UserError(f"cannot use device {name}: {first_line(error)}") from error

"""A run folder as an object: everything about a trained model comes from there, nothing is retyped."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Generic, get_type_hints

import torch
import yaml
from jsonargparse import Namespace

from episodes.errors import UserError
from episodes.images.base import Images
from episodes.images.normalization import Normalization
from fewshot_sla.cli import configuration
from fewshot_sla.runs import checkpoint
from fewshot_sla.runs.folder import RunFolder
from fewshot_sla.runs.results import Result
from fewshot_sla.training.kind import Kind, M, R


@dataclass(frozen=True)
class TrainedRun(Generic[R, M]):
    """A trained model and all that belongs to it.

    Attributes:
        folder: the run.
        recipe: what it was trained by.
        model: with the weights that were kept: of the best validation, or the last; or those of a snapshot.
        normalization: of its training images.
        configuration: the resolved ``config.yaml`` as plain containers.
        state: what the checkpoint says beside the weights.
    """

    folder: RunFolder
    recipe: R
    model: M
    normalization: Normalization
    configuration: dict[str, Any]
    state: dict[str, Any]

    @property
    def step(self) -> int:
        """The step of these weights."""
        return int(self.state["best"]["step"])

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """(C, H, W) of the images it was trained on."""
        channels, height, width = self.state["image_shape"]
        return channels, height, width

    def at(self, step: int) -> "TrainedRun[R, M]":
        """The run with the weights of a snapshot, which are put into its model (in place).

        Raises:
            UserError: if there is no such snapshot, or it cannot be used.
        """
        path = self.folder.snapshot(step)
        tensors, state = checkpoint.load_checkpoint(path)
        checkpoint.load_weights(self.model, checkpoint.without_prefix("model", tensors), path)
        return replace(self, state=state)

    def check_weights(self, result: Result) -> None:
        """Raise UserError unless a result is of the weights that the run keeps now."""
        if result.step != self.step:
            raise UserError(
                f"the results are of step {result.step}, the weights are of step {self.step}; {self._test_again()}"
            )

    def check_images(self, result: Result, images: Images) -> None:
        """Raise UserError unless a result is of these images."""
        if images.fingerprint != result.fingerprint:
            raise UserError(f"the images of {images.name} are not those of the results any more; {self._test_again()}")

    def _test_again(self) -> str:
        return f"run python -m fewshot_sla.{self.state['tester']} {self.folder.path}"

    def to(self, device: torch.device | str) -> "TrainedRun[R, M]":
        """Move model and normalisation (in place) to a device."""
        self.model.to(device)
        self.normalization.to(device)
        return self


def load_trained(kind: Kind[R, M], folder: RunFolder, step: int | None = None) -> TrainedRun[R, M]:
    """The model with the weights that were kept, or those of a snapshot, on the CPU.

    Args:
        kind: the kind of training that the run is of.
        folder: the run.
        step: of the snapshot; by default the weights that were kept.

    Raises:
        UserError: if there is no such run, or its configuration or checkpoint cannot be used.
    """
    folder.require()
    path = folder.best if step is None else folder.snapshot(step)
    if step is None and not path.exists():
        raise UserError(
            f"{folder.path}: the run stopped before its first validation; continue it with --resume --run_folder"
        )
    tensors, state = checkpoint.load_checkpoint(path)
    check_kind(kind, folder, state)
    parser = kind.parser()
    recipe: R = configuration.instantiate(parser, configuration.load(parser, folder.config), kind.recipe)
    model = kind.model(recipe, state)
    checkpoint.load_weights(model, checkpoint.without_prefix("model", tensors), path)
    statistics = checkpoint.without_prefix("normalization", tensors)
    normalization = Normalization(statistics["mean"], statistics["deviation"])
    return TrainedRun(folder, recipe, model, normalization, yaml.safe_load(folder.config.read_text()), state)


def recipe_parts(kind: Kind[R, M], folder: RunFolder, *names: str) -> list[Any]:
    """Some fields of the recipe of a run; the others, the network among them, are not built.

    Raises:
        UserError: if the run's configuration cannot be used.
    """
    options = configuration.load(kind.parser(), folder.config)
    types = get_type_hints(kind.recipe)
    parser = configuration.build_parser("parts", "", config_option=False)  # of a recipe with these fields alone
    for name in names:
        parser.add_argument(f"--{name}", type=types[name])
    made = configuration.instantiate_all(parser, Namespace(**{name: options[name] for name in names}))
    return [made[name] for name in names]


def newest_run(kind: Kind[R, M], root: Path) -> RunFolder:
    """The run of a kind under a folder whose best checkpoint is the newest.

    Raises:
        UserError: if there is none.
    """
    found = sorted(root.rglob("best.safetensors"), key=lambda path: path.stat().st_mtime, reverse=True)
    for path in found:
        folder = RunFolder(path.parent)
        try:
            check_kind(kind, folder, checkpoint.load_state(path))
        except UserError:  # of another kind of training, or damaged
            continue
        if folder.config.exists():
            return folder
    raise UserError(
        f"there is no run of {kind.program} under {root.absolute()}; make one with make run, or name a run folder"
    )


def check_kind(kind: Kind[R, M], folder: RunFolder, state: dict[str, Any]) -> None:
    """Raise UserError if a checkpoint is of a run of another kind of training, which has another recipe."""
    program = state.get("program")
    if program == kind.program and "image_shape" in state:
        return
    wrong = f"{folder.path}: this is not a run of this version's {kind.program} but"
    tester = state.get("tester")
    if not isinstance(program, str) or not isinstance(tester, str):
        raise UserError(f"{wrong} a run of another version; train it again")
    raise UserError(
        f"{wrong} a run of {program}; "
        f"runs of python -m fewshot_sla.{program} are tested with python -m fewshot_sla.{tester}{kind.advice}"
    )

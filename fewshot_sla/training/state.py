"""All that changes while training goes on, and how it is saved and restored."""

from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from typing import Any

import torch
from lightning_fabric.wrappers import _FabricModule
from torch import Tensor, nn
from torch.optim import Optimizer

from fewshot_sla.runs import checkpoint
from fewshot_sla.runs.folder import RunFolder
from fewshot_sla.training.averaging import WeightAverage


@dataclass
class TrainingState:
    """All that changes while training goes on; its checkpoint is all that resuming needs.

    Attributes:
        model: as Fabric set it up.
        plain_model: the same without Fabric's wrapper: its weights are what is saved.
        extras: tensors that belong to the model but are not trained, saved with the weights.
        identity: what the checkpoint says about where it comes from.
        average: of the weights, which is what is validated and kept; None if the weights themselves are.
    """

    model: _FabricModule
    plain_model: nn.Module
    optimizer: Optimizer
    extras: Mapping[str, Tensor]
    identity: Mapping[str, Any]
    average: WeightAverage | None = None
    step: int = 0
    best: dict[str, float] = field(default_factory=dict)  # the validation figures of the best step, and the step
    window: list[list[float]] = field(default_factory=list)  # [loss, accuracy] of the steps since the last row
    seconds: float = 0.0

    def weights(self) -> dict[str, Tensor]:
        """Weights and extras, as they stand in both checkpoints."""
        return checkpoint.with_prefix("model", self.plain_model.state_dict()) | dict(self.extras)

    def averaged(self) -> AbstractContextManager[None]:
        """Inside, the model has the averaged weights, if they are averaged."""
        return nullcontext() if self.average is None else self.average.in_model()

    def contents(self) -> tuple[dict[str, Tensor], dict[str, Any]]:
        """Tensors and plain values of the checkpoint to resume from."""
        tensors, rest = checkpoint.pack_optimizer(self.optimizer.state_dict())
        state = {
            **self.identity,
            "step": self.step,
            "best": self.best,
            "window": self.window,
            "seconds": self.seconds,
            "optimizer": rest,
        }
        averages = {} if self.average is None else checkpoint.with_prefix("average", self.average.averages)
        return self.weights() | averages | checkpoint.with_prefix("optimizer", tensors), state

    def save(self, folder: RunFolder) -> None:
        """Write the checkpoint to resume from."""
        checkpoint.save_checkpoint(folder.last, *self.contents())

    def save_snapshot(self, folder: RunFolder) -> None:
        """Write the weights as they are now to a file of their own, in the form of the best checkpoint."""
        contents = {**self.identity, "best": {"step": self.step}}
        with self.averaged():
            checkpoint.save_checkpoint(folder.snapshot(self.step), self.weights(), contents)

    def is_finite(self) -> bool:
        """Whether every weight is a finite number; waits for the device once."""
        flags = [torch.isfinite(tensor).all() for tensor in self.plain_model.state_dict().values()]
        return bool(torch.stack(flags).all())

    def restore(self, folder: RunFolder) -> None:
        """Take up where the checkpoint left off."""
        tensors, state = checkpoint.load_checkpoint(folder.last)
        checkpoint.load_weights(self.plain_model, checkpoint.without_prefix("model", tensors), folder.last)
        self.optimizer.load_state_dict(
            checkpoint.unpack_optimizer(checkpoint.without_prefix("optimizer", tensors), state["optimizer"])
        )
        if self.average is not None:
            self.average.restore(checkpoint.without_prefix("average", tensors))
        self.step, self.best, self.window = state["step"], state["best"], state["window"]
        self.seconds = state["seconds"]

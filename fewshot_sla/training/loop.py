"""The training loop: one for every kind of training; what a step is, is the task's business."""

import math
import time
from collections.abc import Mapping
from contextlib import ExitStack
from typing import Any

import torch
from lightning_fabric import Fabric
from torch import Tensor

from episodes.errors import UserError
from episodes.progress import OnProgress
from fewshot_sla.backbones.scheduled import set_training_progress
from fewshot_sla.runs import checkpoint
from fewshot_sla.runs.folder import RunFolder
from fewshot_sla.runs.loggers import Loggers
from fewshot_sla.solvers.errors import SolverError
from fewshot_sla.training.clipping import clip_gradients
from fewshot_sla.training.clock import Clock
from fewshot_sla.training.processes import StepBuffers
from fewshot_sla.training.randomness import seeded
from fewshot_sla.training.recipe import Recipe
from fewshot_sla.training.signals import Interrupted, stop_on_signals
from fewshot_sla.training.state import TrainingState
from fewshot_sla.training.task import Outcome, TrainingTask


class Loop:
    """Trains a task from wherever its state stands to the last step.

    Writes ``last`` and ``best`` checkpoints, snapshots if they are asked for, and logs figures as it goes. Step s is a
    function of the state before it and of (seed, s), so a resumed run repeats the uninterrupted one.

    Args:
        fabric: device, precision and processes.
        task: what a step and a validation are; its recipe says how long, how often, and where figures are logged.
        state: where training stands; changed in place.
        folder: where files go; only the first process writes.
        configuration: the resolved recipe as plain containers, for the loggers.
    """

    def __init__(
        self,
        fabric: Fabric,
        task: TrainingTask,
        state: TrainingState,
        folder: RunFolder,
        configuration: Mapping[str, Any],
    ) -> None:
        self._fabric, self._task, self._state = fabric, task, state
        self._recipe: Recipe = task.recipe
        self._folder, self._configuration = folder, configuration
        self._buffers = StepBuffers(state.plain_model, task.sharing.own_passes, fabric)
        self._writes = fabric.is_global_zero
        self._unseen: list[Tensor] = []  # [loss, accuracy] of the last steps, still on the device

    def run(self, on_progress: OnProgress) -> None:
        """Train to the end; ``on_progress`` is told how it goes at every row of figures.

        Raises:
            UserError: if the loss is no longer finite; says at which step, and names the last good checkpoint.
            Interrupted: after a signal that asks for it; the run can be resumed.
        """
        state, settings = self._state, self._recipe.loop
        loggers = Loggers(self._recipe.loggers if self._writes else ())
        began = time.monotonic() - state.seconds
        with ExitStack() as stack:
            loggers.start(self._folder, state.step, self._configuration)
            stack.callback(loggers.close)  # however training ends
            stop = stack.enter_context(stop_on_signals())
            if self._task.starts_trained and state.step == 0:
                loggers.log(0, self._validate())
                self._save()
            while state.step < settings.steps:
                self._unseen.append(self._step())
                state.step += 1
                validating = state.step == settings.steps or _is_multiple(state.step, settings.validate_every)
                logging = validating or _is_multiple(state.step, settings.log_every)
                stopping = self._any_wants_to_stop(stop.made, meeting=logging)
                if logging:
                    row = self._row() | (self._validate() if validating else {})
                    loggers.log(state.step, row)
                    on_progress(_in_words(row), state.step, settings.steps)
                due = _is_multiple(state.step, settings.checkpoint_every) or self._is_snapshot_due()
                if stopping or validating or due:
                    state.seconds = time.monotonic() - began
                    self._save()
                if stopping and state.step < settings.steps:
                    self._fabric.barrier()  # launchers end all processes soon after one ends; the first may be writing
                    raise Interrupted(f"stopped after step {state.step} of {settings.steps}", stop.by)

    def _is_snapshot_due(self) -> bool:
        step, settings = self._state.step, self._recipe.loop
        return settings.snapshot_every > 0 and (step == settings.steps or _is_multiple(step, settings.snapshot_every))

    def _step(self) -> Tensor:  # [2]: loss, accuracy
        """One step of the optimiser on the mean loss of all passes."""
        fabric, state, clock, sharing = self._fabric, self._state, self._clock, self._task.sharing
        state.model.train()
        set_training_progress(state.plain_model, clock.done)
        self._recipe.schedule.apply(state.optimizer, clock)
        state.optimizer.zero_grad(set_to_none=True)
        outcomes = []
        with self._buffers.step():
            for own in range(sharing.own_passes):
                number = sharing.number(own)  # of this pass among those of all processes
                with (
                    self._buffers.one_pass(),
                    seeded(self._recipe.seed, state.step, number, device=fabric.device),
                    fabric.no_backward_sync(state.model, enabled=own < sharing.own_passes - 1),
                ):
                    outcome = self._outcome(clock, number)
                    # Gradients are averaged over the processes, so a small part of a pass counts less.
                    fabric.backward(outcome.loss * sharing.weight / sharing.own_passes)
                outcomes.append(torch.stack([outcome.loss.detach(), outcome.accuracy.detach()]) * sharing.weight)
        if self._recipe.updates.clip_norm:
            clip_gradients(state.plain_model.parameters(), self._recipe.updates.clip_norm)
        state.optimizer.step()
        if state.average is not None:
            state.average.update(state.step + 1)
        return torch.stack(outcomes).mean(dim=0)

    @property
    def _clock(self) -> Clock:
        return Clock(self._state.step, self._recipe.loop.steps)

    def _outcome(self, clock: Clock, number: int) -> Outcome:
        try:
            return self._task.outcome(self._state.model, clock, number)
        except SolverError as error:
            raise UserError(f"step {clock.step}: {error}; {self._last_good()}") from error

    def _fetch_figures(self) -> None:
        """Fetch the unseen figures from the device; stop if one is not finite.

        Done now and then and not at every step, so that the device is not waited for.
        """
        if not self._unseen:
            return
        figures = self._fabric.all_reduce(torch.stack(self._unseen), reduce_op="mean")
        for number, values in enumerate(torch.as_tensor(figures).tolist()):
            if not math.isfinite(values[0]):
                raise self._diverged(self._state.step - len(self._unseen) + number)
            self._state.window.append(values)
        self._unseen = []

    def _row(self) -> dict[str, float]:
        """Means since the last row, and the learning rate from here on."""
        self._fetch_figures()
        state = self._state
        self._recipe.schedule.apply(state.optimizer, self._clock)
        losses, accuracies = zip(*state.window, strict=True)
        state.window = []
        return {
            "learning_rate": float(state.optimizer.param_groups[0]["lr"]),
            "loss": sum(losses) / len(losses),
            "accuracy": sum(accuracies) / len(accuracies),
        }

    def _validate(self) -> dict[str, float]:
        """Validate by the averaged weights, if there are any, and keep them if they are the best so far."""
        with self._state.averaged():
            figures = self._task.validate(self._state.plain_model)
            best = self._state.best
            if not best or not self._task.score or figures[self._task.score] > best[self._task.score]:
                self._state.best = {**figures, "step": self._state.step}
                if self._writes:
                    contents = {**self._state.identity, "best": self._state.best}
                    checkpoint.save_checkpoint(self._folder.best, self._state.weights(), contents)
        return figures

    def _save(self) -> None:
        """Write the checkpoint to resume from, unless it would be of no use."""
        self._fetch_figures()
        if not self._state.is_finite():
            raise self._diverged(self._state.step - 1)
        if self._writes:
            if self._is_snapshot_due():  # first: a run that goes on behind this step does not come back to it
                self._state.save_snapshot(self._folder)
            self._state.save(self._folder)

    def _any_wants_to_stop(self, wish: bool, *, meeting: bool) -> bool:
        """Whether any process wants to stop; several processes only ask one another where they meet anyway."""
        if self._fabric.world_size == 1:
            return wish
        if not meeting:
            return False
        wishes = self._fabric.all_reduce(torch.tensor(float(wish), device=self._fabric.device), reduce_op="sum")
        return bool(torch.as_tensor(wishes) > 0)

    def _diverged(self, step: int) -> UserError:
        return UserError(
            f"the loss is not finite at step {step}; {self._last_good()}; a smaller learning rate may help"
        )

    def _last_good(self) -> str:
        last = self._folder.last
        return f"the last good checkpoint is {last}" if last.exists() else "there is no checkpoint yet"


def _is_multiple(step: int, period: int) -> bool:
    return period > 0 and step % period == 0


def _in_words(row: dict[str, float]) -> str:
    return "  ".join(f"{name} {value:.4g}" for name, value in row.items())

"""The loop with a task of a few numbers: what it writes, when it stops, and that stopping changes nothing."""

import math
import os
import signal
from collections.abc import Callable
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from lightning_fabric import Fabric
from torch import Tensor, nn
from torch.optim import lr_scheduler

from episodes.errors import UserError
from episodes.progress import no_progress
from fewshot_sla.runs import checkpoint
from fewshot_sla.runs.folder import RunFolder
from fewshot_sla.runs.loggers import CSVLogger
from fewshot_sla.runs.metrics import read_metrics
from fewshot_sla.solvers.errors import NonFiniteInputError
from fewshot_sla.training.averaging import WeightAverage
from fewshot_sla.training.clock import Clock
from fewshot_sla.training.loop import Loop
from fewshot_sla.training.recipe import LoopSettings
from fewshot_sla.training.schedules import Constant, Cosine, PiecewiseConstant, Schedule
from fewshot_sla.training.sharing import Sharing
from fewshot_sla.training.signals import Interrupted
from fewshot_sla.training.state import TrainingState
from fewshot_sla.training.task import Outcome
from fewshot_sla.training.torch_schedule import TorchSchedule
from fewshot_sla.training.updates import Updates

NO_UPDATES = Updates()
AVERAGED = Updates(clip_norm=0.5, average=0.9)
PIECEWISE = PiecewiseConstant([5 / 17, 11 / 17], [0.5, 0.1])


class Regression:
    """Noisy linear regression with dropout: as random as training gets."""

    score = "score"
    starts_trained = False

    def __init__(self, passes: int = 2, at_step: dict | None = None, scores: list[float] | None = None) -> None:
        self.sharing = Sharing(items=4, passes=passes)
        self.at_step = at_step or {}
        self.scores = scores
        self.recipe: Any = None

    def outcome(self, model: nn.Module, clock: Clock, number: int) -> Outcome:
        if clock.step in self.at_step:
            self.at_step[clock.step](model)
        inputs = torch.randn(4, 3)  # from the seeded default generator
        loss = (model(inputs) - inputs.sum(dim=1, keepdim=True)).square().mean()
        return Outcome(loss, torch.tensor(0.5))

    def validate(self, model: nn.Module) -> dict[str, float]:
        if self.scores:
            return {"score": self.scores.pop(0)}
        return {"score": -float(next(model.parameters()).detach().norm())}


def recipe_of(settings: LoopSettings, schedule: Schedule, updates: Updates = NO_UPDATES) -> Any:
    return SimpleNamespace(loop=settings, schedule=schedule, updates=updates, seed=3, loggers=[CSVLogger()])


def make_state(fabric: Fabric, average: float) -> TrainingState:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(3, 8), nn.BatchNorm1d(8), nn.Dropout(0.5), nn.Linear(8, 1))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9)
    wrapped, _ = fabric.setup(model, optimizer)
    averaged = WeightAverage(model, average) if average else None
    return TrainingState(wrapped, model, optimizer, {"extra": torch.ones(1)}, {"who": "test"}, averaged)


def run(
    path: Path,
    task: Regression | None = None,
    *,
    resume: bool = False,
    steps: int = 17,
    schedule: Schedule = PIECEWISE,
    updates: Updates = NO_UPDATES,
    **settings: int,
) -> TrainingState:
    fabric = Fabric(accelerator="cpu", devices=1)
    state, folder, task = make_state(fabric, updates.average), RunFolder(path), task or Regression()
    if resume:
        state.restore(folder)
    loop = LoopSettings(**{"steps": steps, "validate_every": 6, "log_every": 4, **settings})
    task.recipe = recipe_of(loop, schedule, updates)
    Loop(fabric, task, state, folder, {}).run(no_progress)  # type: ignore[arg-type]
    return state


def weights_of(path: Path, name: str = "last.safetensors") -> dict[str, Tensor]:
    return checkpoint.load_checkpoint(path / name)[0]


def assert_same_tensors(a: dict[str, Tensor], b: dict[str, Tensor]) -> None:
    assert a.keys() == b.keys()
    for name in a:
        assert torch.equal(a[name], b[name]), name


def test_what_is_written_and_when(tmp_path: Path) -> None:
    run(tmp_path)
    rows = read_metrics(tmp_path / "metrics.csv")
    assert [row["step"] for row in rows] == [4, 6, 8, 12, 16, 17]
    assert [row["step"] for row in rows if "score" in row] == [6, 12, 17]
    assert [row["learning_rate"] for row in rows] == pytest.approx([0.05, 0.025, 0.025, 0.005, 0.005, 0.005])
    _, state = checkpoint.load_checkpoint(tmp_path / "last.safetensors")
    assert state["step"] == 17
    assert state["who"] == "test"
    assert torch.equal(weights_of(tmp_path, "best.safetensors")["extra"], torch.ones(1))


def snapshots_of(path: Path) -> dict[str, dict[str, Tensor]]:
    return {file.name: checkpoint.load_checkpoint(file)[0] for file in sorted((path / "snapshots").iterdir())}


def test_snapshots_are_the_weights_of_their_steps(tmp_path: Path) -> None:
    run(tmp_path / "many", snapshot_every=5)
    assert RunFolder(tmp_path / "many").snapshot_steps() == [5, 10, 15, 17]
    for step in (5, 10, 17):
        whole = run(tmp_path / f"until_{step}", steps=step, schedule=Constant())
        run(tmp_path / f"again_{step}", steps=17, schedule=Constant(), snapshot_every=step)
        path = RunFolder(tmp_path / f"again_{step}").snapshot(step)
        tensors, state = checkpoint.load_checkpoint(path)
        assert_same_tensors(tensors, whole.weights())
        assert state["best"] == {"step": step}
        assert state["who"] == "test"
    run(tmp_path / "none")
    assert not (tmp_path / "none" / "snapshots").exists()


@pytest.mark.parametrize("kill_at", [3, 5, 6, 13])
def test_a_resumed_run_goes_on_with_its_snapshots(tmp_path: Path, kill_at: int) -> None:
    def kill(model: nn.Module) -> None:
        raise Killed

    run(tmp_path / "whole", snapshot_every=4)
    with pytest.raises(Killed):
        run(tmp_path / "parts", Regression(at_step={kill_at: kill}), snapshot_every=4)
    begun = RunFolder(tmp_path / "parts").snapshot_steps()
    assert begun == [step for step in (4, 8, 12) if step <= kill_at]
    run(tmp_path / "parts", resume=bool(begun), snapshot_every=4)
    whole, parts = snapshots_of(tmp_path / "whole"), snapshots_of(tmp_path / "parts")
    assert list(whole) == [f"step{step:08}.safetensors" for step in (4, 8, 12, 16, 17)] == list(parts)
    for name in whole:
        assert_same_tensors(whole[name], parts[name])


def test_spoilt_weights_are_no_snapshot(tmp_path: Path) -> None:
    def explode(model: nn.Module) -> None:
        next(model.parameters()).register_hook(lambda gradient: gradient * float("inf"))

    with pytest.raises(UserError, match="not finite at step 7"):
        run(tmp_path, Regression(at_step={7: explode}), snapshot_every=4, log_every=8)
    assert RunFolder(tmp_path).snapshot_steps() == [4]


@pytest.mark.parametrize("stop_at", range(1, 17))
def test_stopped_anywhere_and_resumed_equals_uninterrupted_bit_for_bit(tmp_path: Path, stop_at: int) -> None:
    run(tmp_path / "whole")
    signal_once = {stop_at - 1: lambda model: os.kill(os.getpid(), signal.SIGTERM)}
    with pytest.raises(Interrupted, match=f"after step {stop_at} of 17"):
        run(tmp_path / "parts", Regression(passes=2, at_step=_once(signal_once)))
    run(tmp_path / "parts", resume=True)
    assert (tmp_path / "whole/metrics.csv").read_text() == (tmp_path / "parts/metrics.csv").read_text()
    assert_same_tensors(weights_of(tmp_path / "whole"), weights_of(tmp_path / "parts"))
    assert_same_tensors(
        weights_of(tmp_path / "whole", "best.safetensors"), weights_of(tmp_path / "parts", "best.safetensors")
    )


def test_processes_that_stop_wait_for_the_one_that_saves(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    saved: list[int] = []

    def barrier(fabric: Fabric) -> None:
        saved.append(checkpoint.load_state(tmp_path / "last.safetensors")["step"])

    monkeypatch.setattr(Fabric, "barrier", barrier)
    with pytest.raises(Interrupted):
        run(tmp_path, Regression(at_step=_once({4: lambda model: os.kill(os.getpid(), signal.SIGTERM)})))
    assert saved == [5]


def _once(actions: dict) -> dict:
    """A second signal would interrupt at once, and outcome() is called once for each pass."""
    done = set()

    def guard(step: int) -> Callable[[nn.Module], None]:
        def act(model: nn.Module) -> None:
            if step not in done:
                done.add(step)
                actions[step](model)

        return act

    return {step: guard(step) for step in actions}


class Killed(BaseException):
    """As sudden as a power cut: nothing is saved on the way out."""


@pytest.mark.parametrize(("kill_at", "updates"), [(7, NO_UPDATES), (11, AVERAGED), (14, AVERAGED)])
def test_killed_and_resumed_equals_uninterrupted_bit_for_bit(tmp_path: Path, kill_at: int, updates: Updates) -> None:
    def kill(model: nn.Module) -> None:
        raise Killed

    run(tmp_path / "whole", checkpoint_every=5, updates=updates)
    with pytest.raises(Killed):
        run(tmp_path / "parts", Regression(at_step={kill_at: kill}), checkpoint_every=5, updates=updates)
    run(tmp_path / "parts", resume=True, checkpoint_every=5, updates=updates)
    assert (tmp_path / "whole/metrics.csv").read_text() == (tmp_path / "parts/metrics.csv").read_text()
    for name in ("last.safetensors", "best.safetensors"):
        assert_same_tensors(weights_of(tmp_path / "whole", name), weights_of(tmp_path / "parts", name))


def test_averaged_weights_are_validated_and_kept_and_training_does_not_see_them(tmp_path: Path) -> None:
    """Against a loop in float64 over the weights of every step of a training without an average."""
    raw = run(tmp_path / "raw", snapshot_every=1, steps=12)
    seen: list[dict[str, Tensor]] = []

    class Watching(Regression):
        def validate(self, model: nn.Module) -> dict[str, float]:
            seen.append({f"model.{name}": tensor.clone() for name, tensor in model.state_dict().items()})
            return super().validate(model)

    run(tmp_path / "averaged", Watching(), steps=12, snapshot_every=5, updates=Updates(average=0.6))
    begun = make_state(Fabric(accelerator="cpu", devices=1), 0.0).weights()
    expected = {name: tensor.double() for name, tensor in begun.items()}
    for step, of_step in enumerate(snapshots_of(tmp_path / "raw").values(), 1):
        kept = min(0.6, (1 + step) / (10 + step))  # from step 13 on 0.6; here it still grows
        for name, tensor in of_step.items():
            averaged = kept * expected[name] + (1 - kept) * tensor.double()
            expected[name] = tensor.double() if name.endswith("num_batches_tracked") else averaged
        if step in (5, 10, 12):
            kept_file = weights_of(tmp_path / "averaged", f"snapshots/step{step:08}.safetensors")
            for name in expected:
                torch.testing.assert_close(kept_file[name].double(), expected[name], rtol=1e-5, atol=1e-6)
    last = weights_of(tmp_path / "averaged")
    assert_same_tensors({name: last[name] for name in raw.weights()}, raw.weights())
    assert len(seen) == 2
    for name, tensor in seen[-1].items():
        torch.testing.assert_close(tensor.double(), expected[name], rtol=1e-5, atol=1e-6)


SCHEDULES = {
    "one-cycle": TorchSchedule(partial(lr_scheduler.OneCycleLR, max_lr=0.02, total_steps=20)),
    "cosine": Cosine(warmup=0.2),
}


@pytest.mark.parametrize("name", SCHEDULES)
def test_any_schedule_resumes(tmp_path: Path, name: str) -> None:
    def kill(model: nn.Module) -> None:
        raise Killed

    run(tmp_path / "whole", checkpoint_every=5, schedule=SCHEDULES[name])
    with pytest.raises(Killed):
        run(tmp_path / "parts", Regression(at_step={8: kill}), checkpoint_every=5, schedule=SCHEDULES[name])
    run(tmp_path / "parts", resume=True, checkpoint_every=5, schedule=SCHEDULES[name])
    assert (tmp_path / "whole/metrics.csv").read_text() == (tmp_path / "parts/metrics.csv").read_text()
    assert_same_tensors(weights_of(tmp_path / "whole"), weights_of(tmp_path / "parts"))


def test_best_is_the_first_of_the_largest_scores(tmp_path: Path) -> None:
    state = run(tmp_path, Regression(scores=[0.2, 0.7, 0.7, 0.1]), steps=24, schedule=Constant())
    assert state.best == {"score": 0.7, "step": 12}
    whole = run(tmp_path / "until_12", Regression(scores=[0.2, 0.7]), steps=12, schedule=Constant())
    best = weights_of(tmp_path, "best.safetensors")
    assert_same_tensors(best, whole.weights())


@pytest.mark.parametrize("bad_step", [0, 5, 9, 16])
def test_a_loss_that_is_not_finite_stops_with_the_step_and_keeps_the_last_good_checkpoint(
    tmp_path: Path, bad_step: int
) -> None:
    def poison(model: nn.Module) -> None:
        with torch.no_grad():
            next(model.parameters()).fill_(float("nan"))

    task = Regression(at_step={bad_step: poison})
    with pytest.raises(UserError, match=f"not finite at step {bad_step}; ") as caught:
        run(tmp_path, task, log_every=3, checkpoint_every=4)
    if bad_step < 4:
        assert "there is no checkpoint yet" in str(caught.value)
        assert not (tmp_path / "last.safetensors").exists()
    else:
        assert str(tmp_path / "last.safetensors") in str(caught.value)
        assert all(torch.isfinite(tensor).all() for tensor in weights_of(tmp_path).values())


@pytest.mark.parametrize(("factor", "clip_norm"), [(float("inf"), 0.0), (float("inf"), 0.5), (1e30, 0.5)])
def test_weights_that_an_update_spoils_are_not_saved_as_good(tmp_path: Path, factor: float, clip_norm: float) -> None:
    """Gradients of 1e30 have squares that float32 does not: clipped by an infinite norm they would be 0."""

    def explode(model: nn.Module) -> None:
        next(model.parameters()).register_hook(lambda gradient: gradient * factor)

    # The loss of step 7 is finite, its update is not, and a checkpoint is due right after it.
    updates = Updates(clip_norm=clip_norm)
    with pytest.raises(UserError, match="not finite at step 7"):
        run(tmp_path, Regression(1, {7: explode}), checkpoint_every=4, log_every=8, updates=updates)
    assert checkpoint.load_checkpoint(tmp_path / "last.safetensors")[1]["step"] == 6  # that of the validation


def test_a_solver_that_fails_is_reported_with_the_step(tmp_path: Path) -> None:
    def fail(model: nn.Module) -> None:
        raise NonFiniteInputError("ridge", "features hold NaN", episodes=(2,), batch=8)

    with pytest.raises(UserError, match="step 5: ridge: episode 2 of 8: features hold NaN; there is no checkpoint yet"):
        run(tmp_path, Regression(at_step={5: fail}))


@pytest.mark.parametrize(("passes", "clip_norm"), [(1, 0.0), (2, 0.0), (4, 0.0), (1, 0.3), (2, 0.3)])
def test_passes_average_to_the_gradient_of_the_whole_step(tmp_path: Path, passes: int, clip_norm: float) -> None:
    """Which is what is clipped, and not the gradient of each pass."""
    data = torch.randn(8, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(0))

    class Split(Regression):
        def outcome(self, model: nn.Module, clock: Clock, number: int) -> Outcome:
            inputs = data.chunk(passes)[number]
            return Outcome(model(inputs).square().mean(), torch.tensor(0.0))

    def train_once(task: Regression, path: Path) -> Tensor:
        fabric = Fabric(accelerator="cpu", devices=1)
        torch.manual_seed(1)
        model = nn.Linear(3, 1, dtype=torch.float64)
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
        wrapped, _ = fabric.setup(model, optimizer)
        task.recipe = recipe_of(LoopSettings(5, 5, 5), Constant(), Updates(clip_norm=clip_norm))
        Loop(fabric, task, TrainingState(wrapped, model, optimizer, {}, {}), RunFolder(path), {}).run(no_progress)
        return model.weight.detach()

    torch.manual_seed(1)
    by_hand = nn.Linear(3, 1, dtype=torch.float64)
    for _ in range(5):
        by_hand.zero_grad()
        by_hand(data).square().mean().backward()
        norm = math.sqrt(
            sum(float(entry) ** 2 for parameter in by_hand.parameters() for entry in parameter.grad.flatten())
        )
        assert norm > clip_norm  # so it is clipped
        with torch.no_grad():
            for parameter in by_hand.parameters():
                parameter -= 0.1 * parameter.grad * (clip_norm / (norm + 1e-6) if clip_norm else 1)
    torch.testing.assert_close(train_once(Split(passes), tmp_path), by_hand.weight.detach(), rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("field", ["steps", "validate_every", "log_every"])
def test_settings_that_count_nothing_are_refused(field: str) -> None:
    with pytest.raises(UserError, match=f"loop.{field} must be at least 1"):
        LoopSettings(**{field: 0})


@pytest.mark.parametrize("field", ["checkpoint_every", "snapshot_every"])
def test_settings_may_say_never_but_not_less(field: str) -> None:
    assert getattr(LoopSettings(**{field: 0}), field) == 0
    with pytest.raises(UserError, match=f"loop.{field} must not be negative, got -1"):
        LoopSettings(**{field: -1})

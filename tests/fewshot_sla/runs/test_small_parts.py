"""Schedules, randomness, run folder, progress, interrupts: a few lines of code and of test each."""

import os
import signal
from pathlib import Path

import pytest
import torch

from episodes.errors import UserError
from fewshot_sla.cli.progress import show_progress
from fewshot_sla.runs.folder import RunFolder
from fewshot_sla.training.randomness import seeded
from fewshot_sla.training.schedules import PiecewiseConstant
from fewshot_sla.training.signals import stop_on_signals


def test_piecewise_constant_is_metaoptnets_schedule() -> None:
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=0.1)
    schedule = PiecewiseConstant(optimizer, [20, 40, 50], [0.06, 0.012, 0.0024])
    rates = []
    for _ in range(60):
        rates.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        schedule.step()
    expected = [0.1] * 20 + [0.006] * 20 + [0.0012] * 10 + [0.00024] * 10
    assert rates == pytest.approx(expected)


@pytest.mark.parametrize(("milestones", "factors"), [([1], []), ([2, 1], [0.1, 0.2]), ([1, 1], [0.1, 0.2])])
def test_a_schedule_that_makes_no_sense_is_refused(milestones: list[int], factors: list[float]) -> None:
    with pytest.raises(UserError, match="milestones"):
        PiecewiseConstant(torch.optim.SGD([torch.zeros(1)], lr=1.0), milestones, factors)


def test_seeded_draws_the_same_and_disturbs_nobody() -> None:
    torch.manual_seed(5)
    before = torch.random.get_rng_state()
    with seeded(0, 1, 2):
        first = torch.rand(3)
    with seeded(0, 1, 2):
        again = torch.rand(3)
    with seeded(0, 1, 3):
        other = torch.rand(3)
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
    assert torch.equal(torch.random.get_rng_state(), before)


def test_a_folder_with_a_run_is_not_overwritten(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path / "run")
    folder.create()
    folder.config.write_text("seed: 0\n")
    folder.create()  # what stopped before its first checkpoint may be begun anew
    folder.last.write_bytes(b"")
    with pytest.raises(UserError, match="already holds a run"):
        folder.create()
    folder.require()


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="cannot be written"):
        RunFolder(tmp_path / "file" / "run").create()


def test_a_folder_without_a_run_is_said_to_be_one(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="holds no run"):
        RunFolder(tmp_path).require()
    with pytest.raises(UserError, match="no such folder"):
        RunFolder(tmp_path / "nowhere").require()


def test_progress_without_a_terminal_is_lines_with_an_eta(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [0.0]
    monkeypatch.setattr("fewshot_sla.cli.progress.time.monotonic", lambda: now[0])
    with show_progress("training") as progress:
        for step in range(1, 41):
            now[0] = float(step)
            progress.update(step, 60, f"loss {step}")
    lines = capsys.readouterr().err.splitlines()
    assert [line.split(",")[0] for line in lines] == [f"training: {step}/60" for step in (10, 20, 30, 40)]
    assert lines[1].endswith("loss 20")
    assert "ETA 40 s" in lines[1]  # 19 steps in 19 s since the first report: 40 more take 40 s


def test_silent_progress_is_silent(capsys: pytest.CaptureFixture[str]) -> None:
    with show_progress("training", silent=True) as progress:
        progress.update(1, 2)
    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_first_signal_asks_and_the_second_interrupts(number: signal.Signals) -> None:
    handler = signal.getsignal(number)
    with stop_on_signals() as stop:
        assert not stop.made
        os.kill(os.getpid(), number)
        assert stop.made
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), number)
    assert signal.getsignal(number) is handler


def test_a_folder_in_use_is_not_trained_into_by_another(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path)
    with folder.in_use():
        with pytest.raises(UserError, match="another process is training"), RunFolder(tmp_path).in_use():
            pass
        assert not list(tmp_path.iterdir())
    with folder.in_use():
        pass

"""Schedules, randomness, run folder, progress, interrupts: a few lines of code and of test each."""

import os
import signal
from pathlib import Path

import pytest
import torch

from episodes.errors import UserError
from fewshot_sla.runs.folder import RunFolder
from fewshot_sla.training.randomness import seeded
from fewshot_sla.training.signals import stop_on_signals


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


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGUSR2])
def test_the_first_signal_asks_and_the_second_interrupts(number: signal.Signals) -> None:
    handler = signal.getsignal(number)
    with stop_on_signals() as stop:
        assert not stop.made
        os.kill(os.getpid(), number)
        assert stop.made
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), number)
    assert signal.getsignal(number) is handler


def test_sigterm_and_the_signal_of_a_cluster_behind_it_are_one_request() -> None:
    with stop_on_signals() as stop:
        os.kill(os.getpid(), signal.SIGTERM)
        os.kill(os.getpid(), signal.SIGUSR2)
    assert stop.by == (signal.SIGTERM, signal.SIGUSR2)


def test_a_folder_in_use_is_not_trained_into_by_another(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path)
    with folder.in_use():
        with pytest.raises(UserError, match="another process is training"), RunFolder(tmp_path).in_use():
            pass
        assert not list(tmp_path.iterdir())
    with folder.in_use():
        pass

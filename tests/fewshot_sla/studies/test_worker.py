"""Workers and what drives them, without training: who takes which cell, who gives up, who is replaced."""

import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from episodes import locks
from episodes.errors import UserError
from fewshot_sla.studies import board, work, worker
from fewshot_sla.studies.claims import claim, history
from fewshot_sla.studies.kinds import KINDS
from fewshot_sla.studies.launchers.base import Launcher
from fewshot_sla.studies.plan import Cell, StudyPlan, trainings_of
from fewshot_sla.studies.worker import Assignment, work_through
from fewshot_sla.training.signals import Interrupted

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="needs fork and locks")


@pytest.fixture
def plan(tmp_path: Path) -> StudyPlan:
    return StudyPlan(trainings_of(["digits+baseline", "digits+sla"]), (0, 1), tmp_path / "study")


@pytest.fixture
def assignment(plan: StudyPlan, tmp_path: Path) -> Assignment:
    made = Assignment("classification", "test", "now", 1, tmp_path / "logs", tuple(plan.cells()))
    made.save()
    return Assignment.load(made.path)


def begin_with(monkeypatch: pytest.MonkeyPatch, act: Callable[[Cell], None]) -> list[str]:
    """Let ``act`` take the place of training and testing; the cells that it was called for."""
    done: list[str] = []

    def instead(kind: object, cell: Cell, split: str) -> None:
        done.append(str(cell))
        act(cell)

    monkeypatch.setattr(worker, "train_and_test", instead)
    return done


def in_another_process(act: Callable[[], Any]) -> int:
    """The status with which a process that does something ended."""
    process = os.fork()
    if not process:
        act()
        os._exit(0)
    return os.waitpid(process, 0)[1]


def ignore(cell: Cell) -> None:
    """Of what is begun, nothing is said."""


def test_what_was_assigned_is_what_was_saved(plan: StudyPlan, assignment: Assignment) -> None:
    assert assignment.cells == tuple(plan.cells())
    assert [str(cell.folder.path) for cell in assignment.cells] == [str(cell.folder.path) for cell in plan.cells()]


def test_a_cell_that_kills_its_worker_three_times_is_given_up(
    assignment: Assignment, monkeypatch: pytest.MonkeyPatch
) -> None:
    poison = assignment.cells[1]
    done = begin_with(monkeypatch, lambda cell: os.kill(os.getpid(), signal.SIGKILL) if cell == poison else None)
    for _ in range(3):
        assert in_another_process(lambda: work_through(assignment, ignore)) == signal.SIGKILL
    work_through(assignment, ignore)
    assert done == [str(cell) for cell in assignment.cells[2:]]  # the first one was done before the first death
    assert history(poison, "now").outcome == "failed"
    assert "it ended its worker 3 times; see" in history(poison, "now").message


def test_a_cell_that_fails_keeps_no_other_from_being_done(
    assignment: Assignment, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(cell: Cell) -> None:
        if cell.name == "digits_sla":
            raise UserError("the loss\nis not finite")

    begin_with(monkeypatch, fail)
    work_through(assignment, ignore)
    outcomes = [(history(cell, "now").outcome, history(cell, "now").message) for cell in assignment.cells]
    assert outcomes == [("done", ""), ("failed", "the loss is not finite")] * 2
    assert len(begin_with(monkeypatch, fail)) == 0


def test_what_another_has_is_left_to_it(assignment: Assignment, monkeypatch: pytest.MonkeyPatch) -> None:
    done = begin_with(monkeypatch, ignore)
    with claim(assignment.cells[0]) as mine:
        assert mine
        in_another_process(lambda: work_through(assignment, ignore))
    work_through(assignment, ignore)
    assert done == [str(assignment.cells[0])]


def test_an_interrupted_worker_did_not_die_over_its_cell(
    assignment: Assignment, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stop(cell: Cell) -> None:
        raise Interrupted("stopped after step 3 of 9")

    begin_with(monkeypatch, stop)
    for _ in range(4):
        with pytest.raises(Interrupted):
            work_through(assignment, ignore)
    assert history(assignment.cells[0], "now").deaths == 0


def test_every_training_has_its_own_number_of_threads() -> None:
    before = torch.get_num_threads()
    with worker.cpu_threads(2):
        assert torch.get_num_threads() == 2
    assert torch.get_num_threads() == before


class Stillborn(Launcher):
    """Workers that end before they take a cell."""

    started = 0

    def start(self, count: int) -> None:
        self.started += count

    def running(self) -> int:
        return 0

    def cancelled(self) -> bool:
        return False

    def stop(self) -> str:
        return ""

    def finish(self) -> None:
        raise AssertionError

    def kill(self) -> None:
        self.started = -1


def test_workers_that_end_at_once_are_not_started_for_ever(
    plan: StudyPlan, assignment: Assignment, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(work, "_LOOK_S", 0.0)
    launcher = Stillborn()
    driven = board.Board(KINDS["classification"], "test", "now", plan.cells())
    with pytest.raises(UserError, match="workers end before they begin"):
        work._drive(driven, launcher, 2, assignment)
    assert launcher.started == -1


def test_a_file_system_without_locks_has_one_worker(plan: StudyPlan, monkeypatch: pytest.MonkeyPatch) -> None:
    plan.folder.mkdir()
    assert locks.has_locks(plan.folder)
    assert not list(plan.folder.iterdir())
    monkeypatch.setattr(locks, "_lock", lambda path, wait: None)
    assert not locks.has_locks(plan.folder)
    with pytest.raises(UserError, match="this file system has no locks"):
        work.fill(KINDS["classification"], plan, workers=2)

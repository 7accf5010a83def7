"""Loggers: what each writes down, what resuming does to it, and how a recipe names them."""

import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from episodes.errors import UserError
from fewshot_sla.cli import configuration
from fewshot_sla.runs.folder import RunFolder
from fewshot_sla.runs.loggers import CSVLogger, Logger, Loggers, TensorBoardLogger, WandbLogger
from fewshot_sla.runs.metrics import read_metrics


class Remembering(Logger):
    """A logger of one's own.

    Args:
        fails: name of the method that raises.
    """

    def __init__(self, fails: str = "") -> None:
        self.fails, self.calls = fails, []

    def _note(self, *call: object) -> None:
        self.calls.append(call)
        if call[0] == self.fails:
            raise UserError(f"{call[0]} fails")

    def check(self) -> None:
        self._note("check")

    def start(self, folder: RunFolder, resume_from_step: int, configuration: Mapping[str, Any]) -> None:
        self._note("start", resume_from_step, dict(configuration))

    def log(self, step: int, values: Mapping[str, float]) -> None:
        self._note("log", step, dict(values))

    def close(self) -> None:
        self._note("close")


def write(logger: Logger, folder: Path, rows: dict[int, dict[str, float]], resume_from_step: int = 0) -> None:
    logger.start(RunFolder(folder), resume_from_step, {})
    for step, values in rows.items():
        logger.log(step, values)
    logger.close()


def test_rows_of_later_steps_are_dropped_on_resuming(tmp_path: Path) -> None:
    write(CSVLogger(), tmp_path, {10: {"loss": 0.1 + 0.2}, 20: {"loss": 2.0, "single": 0.5}, 30: {"loss": 3.0}})
    write(CSVLogger(), tmp_path, {25: {"loss": 4.0}}, resume_from_step=20)
    assert read_metrics(tmp_path / "metrics.csv") == [
        {"step": 10, "loss": 0.1 + 0.2},
        {"step": 20, "loss": 2.0, "single": 0.5},
        {"step": 25, "loss": 4.0},
    ]
    assert (tmp_path / "metrics.csv").read_bytes().startswith(b"step,loss,single\n10,0.30000000000000004,\n")


def test_a_new_run_leaves_old_rows_behind_even_damaged_ones(tmp_path: Path) -> None:
    (tmp_path / "metrics.csv").write_text("step,loss\nten,1.0\n")
    write(CSVLogger(), tmp_path, {1: {"loss": 2.0}})
    assert read_metrics(tmp_path / "metrics.csv") == [{"step": 1, "loss": 2.0}]


def test_tensorboard_shows_every_step_once(tmp_path: Path) -> None:
    write(TensorBoardLogger(), tmp_path, {10: {"loss": 1.0}, 20: {"loss": 2.0}, 30: {"loss": 3.0}})
    write(TensorBoardLogger(), tmp_path, {30: {"loss": 4.0}}, resume_from_step=20)
    shown = EventAccumulator(str(tmp_path))
    shown.Reload()
    assert [(event.step, event.value) for event in shown.Scalars("loss")] == [(10, 1.0), (20, 2.0), (30, 4.0)]


class FakeWandb(ModuleType):
    """The package wandb as far as it is used; remembers what it was told."""

    Error = type("Error", (Exception,), {})

    def __init__(self) -> None:
        super().__init__("wandb")
        self.__spec__ = SimpleNamespace(name="wandb")  # type: ignore[assignment]
        self.refuses = ""
        self.begun: list[dict[str, Any]] = []
        self.calls: list[tuple[object, ...]] = []

    def init(self, **options: Any) -> SimpleNamespace:
        if self.refuses:
            raise self.Error(self.refuses)
        self.begun.append(options)
        return SimpleNamespace(
            define_metric=lambda name, step_metric: self.calls.append(("define", name, step_metric)),
            log=lambda values: self.calls.append(("log", values)),
            finish=lambda: self.calls.append(("finish",)),
        )


@pytest.fixture
def wandb(monkeypatch: pytest.MonkeyPatch) -> FakeWandb:
    fake = FakeWandb()
    monkeypatch.setitem(sys.modules, "wandb", fake)
    return fake


def test_weights_and_biases_gets_configuration_and_figures(wandb: FakeWandb, tmp_path: Path) -> None:
    logger = WandbLogger("few", entity="team", tags=["a"], mode="offline")
    logger.check()
    logger.start(RunFolder(tmp_path), 0, {"seed": 3})
    logger.log(10, {"loss": 0.5})
    logger.close()
    (options,) = wandb.begun
    assert {name: options[name] for name in ("project", "entity", "name", "tags", "mode", "dir", "config")} == {
        "project": "few",
        "entity": "team",
        "name": str(tmp_path),
        "tags": ["a"],
        "mode": "offline",
        "dir": str(tmp_path),
        "config": {"seed": 3},
    }
    assert wandb.calls == [("define", "*", "step"), ("log", {"loss": 0.5, "step": 10}), ("finish",)]


def test_a_resumed_run_goes_on_with_the_same_id(wandb: FakeWandb, tmp_path: Path) -> None:
    write(WandbLogger(), tmp_path, {10: {"loss": 1.0}})
    write(WandbLogger(), tmp_path, {20: {"loss": 1.0}}, resume_from_step=10)
    write(WandbLogger(), tmp_path, {10: {"loss": 1.0}})  # begun anew in the same folder
    write(WandbLogger(), tmp_path / "other", {10: {"loss": 1.0}}, resume_from_step=5)  # had no such logger before
    first, resumed, anew, other = (options["id"] for options in wandb.begun)
    assert first == resumed
    assert len({first, anew, other}) == 3
    assert {options["resume"] for options in wandb.begun} == {"allow"}


def test_weights_and_biases_that_is_not_installed_or_refuses_is_one_line(
    wandb: FakeWandb, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wandb.refuses = "api_key not configured"
    with pytest.raises(UserError, match=r"cannot log this run \(api_key not configured\); run wandb login"):
        WandbLogger().start(RunFolder(tmp_path), 0, {})
    monkeypatch.delitem(sys.modules, "wandb")
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    logger = WandbLogger()  # a recipe that names it can be read anywhere
    for call in (logger.check, lambda: logger.start(RunFolder(tmp_path), 0, {})):
        with pytest.raises(UserError, match=r"pip install wandb, or leave it out of loggers$"):
            call()


def test_several_loggers_are_one(tmp_path: Path) -> None:
    a, b = Remembering(), Remembering()
    loggers = Loggers([a, b])
    loggers.check()
    loggers.start(RunFolder(tmp_path), 7, {"seed": 0})
    loggers.log(8, {"loss": 1.0})
    loggers.close()
    expected = [("check",), ("start", 7, {"seed": 0}), ("log", 8, {"loss": 1.0}), ("close",)]
    assert a.calls == b.calls == expected
    write(Loggers([]), tmp_path, {1: {"loss": 0.0}})  # of the processes that do not log


def test_all_loggers_are_closed_whatever_fails(tmp_path: Path) -> None:
    good, bad = Remembering(), Remembering(fails="start")
    with pytest.raises(UserError, match="start fails"):
        Loggers([good, bad, Remembering()]).start(RunFolder(tmp_path), 0, {})
    assert [call[0] for call in good.calls] == ["start", "close"]
    assert [call[0] for call in bad.calls] == ["start"]
    good, bad = Remembering(), Remembering(fails="close")
    with pytest.raises(UserError, match="close fails"):
        write(Loggers([good, bad]), tmp_path, {})
    assert good.calls[-1] == ("close",)


@dataclass
class Logging:
    """A recipe with loggers.

    Args:
        loggers: where the figures go.
    """

    loggers: list[Logger]


DEFAULTS = {
    "loggers": [
        {"class_path": "fewshot_sla.runs.loggers.CSVLogger"},
        {"class_path": "fewshot_sla.runs.loggers.TensorBoardLogger"},
    ]
}
OWN = "tests.fewshot_sla.runs.test_loggers.Remembering"


@pytest.mark.parametrize(
    ("text", "kinds"),
    [
        ("{}", ["CSVLogger", "TensorBoardLogger"]),
        ("loggers+: fewshot_sla.runs.loggers.WandbLogger", ["CSVLogger", "TensorBoardLogger", "WandbLogger"]),
        (f"loggers: [CSVLogger, {OWN}]", ["CSVLogger", "Remembering"]),
        (
            "loggers:\n- CSVLogger\n- {class_path: WandbLogger, init_args: {project: few}}\n"
            f"- {{class_path: {OWN}, init_args: {{fails: log}}}}\n",
            ["CSVLogger", "WandbLogger", "Remembering"],
        ),
        ("loggers: []", []),
    ],
)
def test_a_configuration_names_its_loggers(text: str, kinds: list[str], tmp_path: Path) -> None:
    (tmp_path / "config.yaml").write_text(text)
    parser = configuration.build_parser("test", "", Logging, defaults=dict(DEFAULTS))
    for _ in range(2):  # what is written back into config.yaml means the same
        options = configuration.load(parser, tmp_path / "config.yaml")
        recipe = configuration.instantiate(parser, options, Logging)
        assert [type(logger).__name__ for logger in recipe.loggers] == kinds
        (tmp_path / "config.yaml").write_text(parser.dump(options))
    if len(kinds) == 3 and kinds[-1] == "Remembering":
        assert recipe.loggers[1].project == "few"
        assert recipe.loggers[2].fails == "log"

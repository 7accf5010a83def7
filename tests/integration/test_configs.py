"""Every configuration that is shipped: its header tells the truth, it loads, and it takes two steps."""

from pathlib import Path

import pytest
import yaml

from fewshot_sla.engine.door import run_door
from fewshot_sla.engine.metrics import read_metrics
from tests.integration import doors

CONFIGS = sorted((doors.ROOT / "configs").rglob("*.yaml"))


def test_there_are_configs() -> None:
    names = {path.name for path in CONFIGS}
    assert {f"{head}_{kind}.yaml" for head in ("protonet", "ridge", "svm") for kind in ("plain", "da", "sla")} <= names


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: str(path.relative_to(doors.ROOT / "configs")))
def test_config_takes_two_steps(path: Path, tmp_path: Path) -> None:
    relative = path.relative_to(doors.ROOT)
    first_line = path.read_text().splitlines()[0]
    assert first_line == f"# python -m fewshot_sla.meta_train --config {relative}"
    assert yaml.safe_load(path.read_text())["run_folder"] == f"runs/{relative.parent.name}/{path.stem}"
    small = ["--loop.steps=2", "--loop.log_every=1", "--validation_episodes=2", "--train.n_query=2", "--train.k_shot=1"]
    folder = tmp_path / "run"
    arguments = ["--config", str(path), f"--run_folder={folder}", "--accelerator=cpu", *small]
    assert run_door(doors.meta_train.main, arguments) == 0
    assert [row["step"] for row in read_metrics(folder / "metrics.csv")] == [1, 2]

"""Every configuration that is shipped: its header tells the truth, it loads, and it takes two steps."""

from pathlib import Path

import pytest
import yaml

from fewshot_sla.engine.door import run_door
from fewshot_sla.engine.metrics import read_metrics
from tests.integration import doors

CONFIGS = sorted((doors.ROOT / "configs").rglob("*.yaml"))
PUBLISHED = [path for path in CONFIGS if "ResNet12" in path.read_text()]
SMALL = [
    "--loop.steps=2",
    "--loop.log_every=1",
    "--validation_episodes=2",
    "--train.n_query=2",
    "--validation.n_query=2",
]

# Real data sets are stood in for by a few images of the same shape, and their network by a narrow one: two steps of the
# real thing take minutes on a CPU. The real files are read by the tests of the readers and by test_real_data.py.
STAND_INS = {
    "cifarfs": (3, 32),
    "fc100": (3, 32),
    "miniimagenet": (3, 84),
    "tieredimagenet": (3, 84),
    "omniglot": (1, 28),
}


def stand_in(path: Path) -> list[str]:
    """Options that replace what the test does not have."""
    name = path.parent.name
    if name not in STAND_INS:
        return ["--train.k_shot=1"]
    channels, size = STAND_INS[name]
    data = [
        "--data=tests.tiny.TinyImages",
        f"--data.channels={channels}",
        f"--data.height={size}",
        f"--data.width={size}",
    ]
    narrow = ["--learner.backbone.widths=[4,4,4,4]"] if "ResNet12" in path.read_text() else []
    return [
        *data,
        *narrow,
        "--train.k_shot=1",
        "--validation.k_shot=1",
        "--episodes_per_step=1",
        "--episodes_per_forward=1",
    ]


def test_there_are_configs() -> None:
    names = {str(path.relative_to(doors.ROOT / "configs")) for path in CONFIGS}
    heads = ("protonet", "ridge", "svm")
    assert {f"glyphs/{head}_{kind}.yaml" for head in heads for kind in ("plain", "da", "sla")} <= names
    for folder in STAND_INS:
        assert {f"{folder}/{h}_{k}{q}.yaml" for h in heads for k in ("plain", "sla") for q in ("", "_quick")} <= names


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: str(path.relative_to(doors.ROOT / "configs")))
def test_config_takes_two_steps(path: Path, tmp_path: Path) -> None:
    relative = path.relative_to(doors.ROOT)
    first_line = path.read_text().splitlines()[0]
    assert first_line == f"# python -m fewshot_sla.meta_train --config {relative}"
    assert yaml.safe_load(path.read_text())["run_folder"] == f"runs/{relative.parent.name}/{path.stem}"
    folder = tmp_path / "run"
    arguments = ["--config", str(path), f"--run_folder={folder}", "--accelerator=cpu", *SMALL, *stand_in(path)]
    assert run_door(doors.meta_train.main, arguments) == 0
    assert [row["step"] for row in read_metrics(folder / "metrics.csv")] == [1, 2]


@pytest.mark.parametrize("path", PUBLISHED, ids=lambda path: str(path.relative_to(doors.ROOT / "configs")))
def test_config_keeps_the_published_proportions(path: Path) -> None:
    """In a quick run the learning rate falls, and DropBlock is fully on, at the same parts of the training."""
    config = yaml.safe_load(path.read_text())
    steps = config["loop"]["steps"]
    assert [m / steps for m in config["schedule"]["init_args"]["milestones"]] == pytest.approx([1 / 3, 2 / 3, 5 / 6])
    assert config["learner"]["init_args"]["backbone"]["init_args"]["schedule_steps"] / steps == pytest.approx(1 / 3)
    assert config["episodes_per_step"] == 8

"""Every configuration that is shipped: its header tells the truth, it loads, and it takes two steps."""

import fnmatch
import math
import re
import subprocess
from pathlib import Path

import pytest
import yaml
from jsonargparse import Namespace

from fewshot_sla import train
from fewshot_sla.classification.recipe import Classification, classification_parser
from fewshot_sla.cli import configuration
from fewshot_sla.cli.door import run_door
from fewshot_sla.runs.metrics import read_metrics
from tests.integration import doors

EVERY = sorted((doors.ROOT / "configs").rglob("*.yaml"))
CLASSIFICATION = [path for path in EVERY if "fewshot_sla.classification." in path.read_text()]
CONFIGS = [path for path in EVERY if path not in CLASSIFICATION]
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


# Classification: every file is parsed and checked; one file of each objective takes two steps.

EPOCHS = {"": 200, "_quick": 20}
STEPS = {"cifar10": 80_000, "cifar100": 80_000, "tinyimagenet": 80_000, "cub200": 30_000, "mit67": 30_000}
STEPS["stanforddogs"] = 30_000
IMAGES_A_CLASS = {"cifar10_lt": (5000, 10), "cifar100_lt": (500, 100)}  # and classes, before any is left out
LONG_TAILED = [path for path in CLASSIFICATION if path.parent.name in IMAGES_A_CLASS]
README = (doors.ROOT / "configs" / "README.md").read_text()
KINDS = ("baseline", "da", "mt", "sla", "sla_sd")
COMPOSED = ("sla_rotation2", "sla_color3", "sla_rotation2_color3", "sla_rotation_color3", "sla_rotation_color")
FEW = ("--loop.steps=2", "--loop.log_every=1", "--batch_size=2", "--compile=false", "--accelerator=cpu")


def short(path: Path) -> str:
    return str(path.relative_to(doors.ROOT / "configs"))


def quick(path: Path) -> bool:
    return path.stem.endswith("_quick")


def parsed(path: Path, *options: str) -> Namespace:
    return configuration.parse(classification_parser(), ["--config", str(path), *options])


def one_of_each_objective() -> list[Path]:
    """The first file with it: ResNetCifar, as far as there is one, is quicker than ResNet18."""
    backwards = reversed(CLASSIFICATION)
    return list({str(yaml.safe_load(path.read_text())["objective"]): path for path in backwards}.values())


def test_there_is_a_config_for_every_cell() -> None:
    names = {short(path) for path in CLASSIFICATION}
    for folder in STEPS:
        assert {f"{folder}/{kind}{end}.yaml" for kind in KINDS for end in EPOCHS} <= names
        assert {f"{folder}/{kind}.yaml" for kind in ("sla_color", "sla_sd_color")} <= names
    assert {f"{folder}/{kind}.yaml" for folder in ("cub200", "stanforddogs") for kind in COMPOSED} <= names
    cells = [f"{loss}{sd}_ratio" for loss in ("ce", "cb_rw", "ldam_drw") for sd in ("", "_sla_sd")]
    for folder in IMAGES_A_CLASS:
        assert {f"{folder}/{cell}{ratio}.yaml" for cell in cells for ratio in ("100", "10", "100_quick")} <= names


@pytest.mark.parametrize("path", CLASSIFICATION, ids=short)
def test_classification_config_tells_the_truth(path: Path) -> None:
    config = parsed(path)
    lines = path.read_text().splitlines()
    header = lines[: lines.index(f"run_folder: runs/{short(path).removesuffix('.yaml')}")]
    assert header[0] == f"# python -m fewshot_sla.train --config configs/{short(path)}"
    assert all(line.startswith("# ") for line in header)
    assert any("Published" in line or "docs/results.md" in line for line in header)
    assert ("# has not been measured." in header) == quick(path)
    assert config.keep == "last"  # so the split val is never opened: none of these sets is published with one
    declared = re.findall(r"# M = (\d+)$", path.read_text(), re.MULTILINE)
    given = configuration.instantiate(classification_parser(), config, Classification).objective
    assert [given.transformations.m] == ([int(m) for m in declared] or [1])


@pytest.mark.parametrize("path", [p for p in CLASSIFICATION if p.parent.name in STEPS], ids=short)
def test_schedule_of_balanced_data(path: Path) -> None:
    config = parsed(path)
    steps = STEPS[path.parent.name] // (10 if quick(path) else 1)
    assert config.loop.steps == steps
    assert config.schedule.init_args.milestones == [steps // 2, 3 * steps // 4]
    assert config.schedule.init_args.factors == [0.1, 0.01]
    assert config.schedule.init_args.warmup == 0
    assert config.batch_size == (32 if STEPS[path.parent.name] == 30_000 else 128)
    sgd = config.optimizer.init_args
    assert (sgd.lr, sgd.momentum, sgd.weight_decay) == (0.1, 0.9, 0.0001)


@pytest.mark.parametrize("path", LONG_TAILED, ids=short)
def test_schedule_of_long_tails(path: Path) -> None:
    """200 epochs (20 if quick) of the images that are left, and every change at the epoch that the paper has it at."""
    config = parsed(path)
    (largest, classes), ratio = IMAGES_A_CLASS[path.parent.name], config.data.init_args.ratio
    assert f"_ratio{ratio:g}" in path.stem
    images = sum(int(largest * ratio ** (-number / (classes - 1))) for number in range(classes))
    epochs = EPOCHS["_quick" if quick(path) else ""]
    steps, batch = config.loop.steps, config.batch_size
    assert steps % 10 == 0
    assert (steps - 10) * batch < epochs * images <= steps * batch
    assert f"{epochs} epochs of {images:,} images" in path.read_text()
    schedule = config.schedule.init_args
    assert [milestone * 10 for milestone in schedule.milestones] == [steps * 8, steps * 9]  # epochs 160 and 180 of 200
    assert schedule.factors == [0.01, 0.0001]
    assert schedule.warmup == math.ceil(steps * 5 / 200)
    assert config.optimizer.init_args.weight_decay == 0.0002
    reweighting = config.objective.init_args.label_loss.init_args.reweighting.get("init_args") or Namespace()
    assert reweighting.get("beta") == (None if path.stem.startswith("ce") else 0.9999)
    if path.stem.startswith("ldam_drw"):  # begins with the very step that the learning rate falls at
        first = schedule.milestones[0]
        assert (first - 1) / steps < reweighting.start <= first / steps


@pytest.mark.parametrize("path", one_of_each_objective(), ids=short)
def test_classification_config_takes_two_steps(path: Path, tmp_path: Path) -> None:
    data = "data.source" if "LongTailed" in path.read_text() else "data"
    shape = [f"--{data}.channels=3", f"--{data}.height=32", f"--{data}.width=32", f"--{data}.per_class=100"]
    narrow = ["--backbone.depth=8", "--backbone.width=4"] if "ResNetCifar" in path.read_text() else []
    folder = tmp_path / "run"
    stand_ins = [f"--{data}=tests.tiny.TinyImages", *shape, *narrow, f"--run_folder={folder}"]
    assert run_door(train.main, ["--config", str(path), *stand_ins, *FEW]) == 0
    assert [row["step"] for row in read_metrics(folder / "metrics.csv")] == [1, 2]


def shell_commands() -> list[list[str]]:
    """What the commands of the README are once a shell has seen them: ``python`` is a function that prints."""
    blocks = "\n".join(re.findall(r"```bash\n(.*?)```", README, re.DOTALL))
    script = 'python() { echo "$@"; }\n' + blocks
    done = subprocess.run(["bash", "-euc", script], cwd=doors.ROOT, capture_output=True, text=True, check=True)
    return [line.split() for line in done.stdout.splitlines()]


def test_commands_of_the_readme() -> None:
    runs: set[str] = set()
    for _, program, *words in shell_commands():
        own, options = (words[: words.index("--")], words[words.index("--") + 1 :]) if "--" in words else (words, [])
        if program == "fewshot_sla.study":
            configs = [Path(word) for word in own if word.startswith("configs/")]
            assert configs
            assert all((doors.ROOT / config).is_file() for config in configs)
            assert len({quick(config) for config in configs}) == 1  # a row is not mixed with its quick version
            for config in configs:
                parsed(doors.ROOT / config, *options)
            folder = own[own.index("--folder") + 1]
            seeds = own[own.index("--seeds") + 1 :][:4] if "--seeds" in own else ["0", "1", "2"]
            runs |= {f"{folder}/{config.stem}/seed{seed}" for config in configs for seed in seeds}
        else:
            assert program in ("fewshot_sla.test", "fewshot_sla.plot")
            used = [word for word in own if word.startswith("runs/")]
            assert used
            assert all(fnmatch.filter(runs, word) for word in used)


def test_options_of_the_readme() -> None:
    options = re.findall(r"`-- (--[^`]+)`", README)
    assert len(options) == 8
    for words in options:
        folder = "cifar100_lt/ldam_drw_ratio100" if "--data.source" in words else "tinyimagenet/sla"
        parsed(doors.ROOT / "configs" / f"{folder}.yaml", *words.split())
    distilled = parsed(doors.ROOT / "configs/cub200/sla_rotation_color.yaml", *options[-1].split()).objective
    assert distilled.class_path.endswith("SLASD")
    assert distilled.init_args.transformations.class_path == "episodes.Composition"

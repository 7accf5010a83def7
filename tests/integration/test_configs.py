"""The shipped configurations: every combination is understood, says what the papers say, and trains."""

import fnmatch
import itertools
import math
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest

from episodes.errors import UserError
from fewshot_sla import train
from fewshot_sla.classification.kind import CLASSIFICATION
from fewshot_sla.classification.recipe import Classification
from fewshot_sla.cli import configuration
from fewshot_sla.cli.arguments import reproducing_command
from fewshot_sla.cli.build import build
from fewshot_sla.cli.composition import compose
from fewshot_sla.cli.door import run_door
from fewshot_sla.cli.keys import check_keys
from fewshot_sla.cli.recipes import Wing, configs_folder, recipe_names, resolve
from fewshot_sla.meta.kind import META
from fewshot_sla.meta.recipe import MetaTraining
from fewshot_sla.paper.published import published_table
from fewshot_sla.runs.metrics import read_metrics
from fewshot_sla.training.clock import Clock
from fewshot_sla.training.schedules import FactorSchedule
from tests.integration import doors

PARSERS = {"meta": META.parser(), "classification": CLASSIFICATION.parser()}
META, CLASSIFICATION = recipe_names("meta"), recipe_names("classification")
README = (configs_folder() / "README.md").read_text()
SETS = {"cifar10": 10, "cifar100": 100, "tinyimagenet": 200, "cub200": 200, "mit67": 67, "stanforddogs": 120}
PHOTOGRAPHS = ("cub200", "mit67", "stanforddogs")
# MetaOptNet's side of DropBlock's blocks, padding, episodes a pass, training shots of ridge and svm, smoothing.
RESNET12 = {
    "cifarfs": (2, 4, 8, 5, 0),
    "fc100": (2, 4, 8, 15, 0),
    "miniimagenet": (5, 8, 2, 15, 0.1),
    "tieredimagenet": (5, 8, 2, 10, 0),
}
LONG_TAILS = {"cifar10_lt": (5000, 10), "cifar100_lt": (500, 100)}  # images a class, classes, before any is left out
MS = {  # views a fragment makes of an image
    "rotation2": 2,
    "rotation4": 4,
    "color3": 3,
    "color6": 6,
    "rotation2_color3": 6,
    "rotation4_color3": 12,
    "rotation4_color6": 24,
}


def words(base: str, names: dict[str, list[str]], *topics: str) -> list[str]:
    """A base with every combination of the fragments of some topics."""
    return ["+".join([base, *chosen]) for chosen in itertools.product(*(names[topic] for topic in topics))]


def every_word() -> list[tuple[Wing, str]]:
    """Every base with every fragment that makes sense with it; those of no interest to one another, once with each."""
    known = {**META, "head": ["protonet", "ridge", "svm"]}
    meta = [word for base in META[""] for word in words(base, known, "head", "objective")]
    meta += [f"{word}+1shot" for word in meta] + words("glyphs", META, "learner", "objective")
    meta += [word for base in META[""] for word in words(base, META, "head")]
    meta += [word for base in RESNET12 for word in words(f"{base}+ridge+sla", META, "backbone")]
    meta += [word for base in RESNET12 for word in words(f"{base}+ridge+sla", META, "augmentation")]
    found: list[tuple[Wing, str]] = [("meta", word) for word in [*META[""], *meta]]
    for base in CLASSIFICATION[""]:
        objectives = words(base, CLASSIFICATION, "objective")
        views = words(f"{base}+sla", CLASSIFICATION, "views")
        losses = words(base, CLASSIFICATION, "objective", "loss")
        ratios = words(base, CLASSIFICATION, "imbalance") if "_lt" in base else []
        changed = words(f"{base}+sla_sd", CLASSIFICATION, "augmentation")
        if base in ("cifar10", "cifar100"):
            changed += words(base, CLASSIFICATION, "network", "objective")
        found += [("classification", word) for word in [base, *objectives, *views, *losses, *ratios, *changed]]
    return found


def test_every_combination_has_only_keys_that_somebody_takes() -> None:
    known = {wing: configuration.known_options(parser) for wing, parser in PARSERS.items()}
    every = every_word()
    assert len(every) > 700
    for wing, word in every:
        base = PARSERS[wing].base
        assert base is not None
        check_keys(compose(base, resolve(word, wing)), known[wing])


@pytest.mark.parametrize("base", META[""])
def test_a_base_alone_is_protonet_without_label_augmentation(base: str) -> None:
    options = resolve(base, "meta")
    assert options.pop("run_folder") == f"runs/{base}/base"
    other = resolve(f"{base}+protonet+plain", "meta")
    assert other.pop("run_folder") == f"runs/{base}/protonet_plain"
    assert options == other
    parsed = configuration.parse(PARSERS["meta"], ["--recipe", f"{base}+ridge+sla"])
    made = configuration.instantiate(PARSERS["meta"], parsed, MetaTraining)
    assert made.objective.transformations.m == 4


@pytest.mark.parametrize("base", CLASSIFICATION[""])
def test_a_base_alone_is_the_baseline_with_cross_entropy(base: str) -> None:
    options = configuration.parse(PARSERS["classification"], ["--recipe", base])
    assert options.run_folder == f"runs/{base}/base"
    options.run_folder = other_folder = f"runs/{base}/ce_baseline"
    other = configuration.parse(PARSERS["classification"], ["--recipe", f"{base}+ce+baseline"])
    assert (other, other.run_folder) == (options, other_folder)


@pytest.mark.parametrize("base", RESNET12)
def test_autoaugment_comes_before_the_crop_of_the_base(base: str) -> None:
    parsed = configuration.parse(PARSERS["meta"], ["--recipe", f"{base}+protonet+plain+autoaugment"])
    steps = configuration.instantiate(PARSERS["meta"], parsed, MetaTraining).augmentation.steps()
    assert [type(step).__name__ for step in steps] == ["AutoAugment", "CropFlipJitter"]
    assert (steps[1].padding, steps[1].flip, steps[1].jitter) == (RESNET12[base][1], 0.5, 0)


# Published settings, as the papers write them.


@pytest.mark.parametrize("base", RESNET12)
@pytest.mark.parametrize("head", ["protonet", "ridge", "svm"])
@pytest.mark.parametrize("objective", ["plain", "sla"])
def test_settings_of_metaoptnet(base: str, head: str, objective: str) -> None:
    """Lee et al. 2019, section 4: 60 epochs of 1000 steps, factors 0.06, 0.012, 0.0024 from epochs 20, 40 and 50 on."""
    options = resolve(f"{base}+{head}+{objective}", "meta")
    block, padding, at_once, shots, smoothing = RESNET12[base]
    learner = options["learner"]["init_args"]
    assert learner["backbone"]["init_args"] == {
        "in_channels": 3,
        "drop_rate": 0.1,
        "block_size": block,
        "ramp": pytest.approx(20 / 60, abs=1e-6),
    }
    assert (learner["passes"], options["start"]) == ("separate", "as_given")
    assert options["objective"].get("init_args", {}).get("label_smoothing", 0) == smoothing
    assert options["train"] == {"n_way": 5, "k_shot": 5 if head == "protonet" else shots, "n_query": 6}
    assert options["validation"] == {"n_way": 5, "k_shot": 5, "n_query": 15}
    assert (options["episodes_per_step"], options["episodes_per_forward"]) == (8, at_once)
    assert options["augmentation"]["init_args"] == {"padding": padding}
    assert options["optimizer"]["init_args"] == {"lr": 0.1, "momentum": 0.9, "nesterov": True, "weight_decay": 0.0005}
    schedule = options["schedule"]["init_args"]
    assert [round(share * 60_000) for share in schedule["milestones"]] == [20_000, 40_000, 50_000]
    assert [round(share * 6_000) for share in schedule["milestones"]] == [2_000, 4_000, 5_000]  # of a tenth of it
    assert schedule["factors"] == [0.06, 0.012, 0.0024]
    assert (options["loop"]["steps"], options["loop"]["validate_every"]) == (60_000, 1000)
    one_shot = resolve(f"{base}+{head}+{objective}+1shot", "meta")
    assert (one_shot["train"]["k_shot"], one_shot["validation"]["k_shot"]) == (1, 1)


@pytest.mark.parametrize("base", SETS)
@pytest.mark.parametrize("objective", CLASSIFICATION["objective"])
def test_settings_of_balanced_data(base: str, objective: str) -> None:
    """The SLA paper, section 3.1: lr 0.1, a tenth at half and at three quarters; batches of 128, or 32 photographs."""
    options = resolve(f"{base}+{objective}", "classification")
    steps = options["loop"]["steps"]
    assert steps == (30_000 if base in PHOTOGRAPHS else 80_000)
    assert [share * steps for share in options["schedule"]["init_args"]["milestones"]] == [steps // 2, 3 * steps // 4]
    assert options["schedule"]["init_args"]["factors"] == [0.1, 0.01]
    assert options["batch_size"] == (32 if base in PHOTOGRAPHS else 128)
    assert options["optimizer"]["init_args"] == {"lr": 0.1, "momentum": 0.9, "weight_decay": 0.0001}
    assert options["backbone"]["init_args"].get("depth", 18) == (32 if base.startswith("cifar") else 18)
    assert options["keep"] == "last"  # so the split val is never opened: none of these sets is published with one


def schedule_of(options: dict[str, Any]) -> FactorSchedule:
    return build(FactorSchedule, options["schedule"])


@pytest.mark.parametrize("base", ["cifar10", "cifar100"])
@pytest.mark.parametrize("objective", ["baseline", "sla_sd"])
def test_settings_of_table_5(base: str, objective: str) -> None:
    """Fast AutoAugment's wresnet40x2_cifar.yaml, in 390 full batches an epoch; the command of CutMix's README."""
    wide = resolve(f"{base}+wrn40_2+{objective}", "classification")
    assert wide["backbone"]["init_args"] == {"in_channels": 3, "depth": 40, "widen": 2}
    assert (wide["batch_size"], wide["loop"]["steps"]) == (128, 200 * (50_000 // 128))
    sgd = {"momentum": 0.9, "nesterov": True}
    assert wide["optimizer"]["init_args"] == {"lr": 0.1, "weight_decay": 0.0002, **sgd}
    assert wide["updates"] == {"clip_norm": 5, "decay": "not_norm"}
    rates = [schedule_of(wide).factor(Clock(390 * epoch - 1, 78_000)) for epoch in (1, 5, 200)]
    assert rates == pytest.approx([0.2, 1, 0], abs=1e-6)

    pyramid = resolve(f"{base}+pyramidnet200+{objective}", "classification")
    assert pyramid["backbone"]["init_args"] == {"in_channels": 3, "depth": 200, "alpha": 240}
    steps = pyramid["loop"]["steps"]
    assert (pyramid["batch_size"], steps) == (64, math.ceil(300 * 50_000 / 64 / 10) * 10)
    assert pyramid["optimizer"]["init_args"] == {"lr": 0.25, "weight_decay": 0.0001, **sgd}
    assert "updates" not in pyramid
    factors = [schedule_of(pyramid).factor(Clock(round(steps * epoch / 300), steps)) for epoch in (149, 150, 224, 225)]
    assert factors == pytest.approx([1, 0.1, 0.1, 0.01])
    for options in (wide, pyramid):
        assert options["augmentation"]["init_args"] == {"padding": 4, "jitter": 0}
        assert options["keep"] == "last"


@pytest.mark.parametrize("network", ["wrn40_2", "pyramidnet200"])
def test_networks_and_augmentations_compose_in_any_order(network: str) -> None:
    for mixing in CLASSIFICATION["augmentation"]:
        one = resolve(f"cifar100+{network}+{mixing}+sla_sd", "classification")
        other = resolve(f"cifar100+sla_sd+{mixing}+{network}", "classification")
        alone = resolve(f"cifar100+{mixing}", "classification")
        assert one.pop("run_folder") != other.pop("run_folder")
        assert one == other
        assert one["augmentation"] == alone["augmentation"]


def test_every_cell_of_table_5_has_a_recipe_of_its_own() -> None:
    cells = published_table("5").cells
    assert len({cell.recipe for cell in cells}) == len(cells) == 22
    for cell in cells:
        options = resolve(cell.recipe, "classification")
        assert ("SLA+SD" in cell.method) == options["objective"]["class_path"].endswith("SLASD")
        assert ("WRN" in cell.method) == options["backbone"]["class_path"].endswith("WideResNet")
        assert options["data"]["class_path"].endswith(cell.data_set.replace("-", ""))


@pytest.mark.parametrize("base", ["imagenet", "inaturalist"])
def test_settings_of_large_sets(base: str) -> None:
    """The authors' program: StepLR(steps // 3), and 900,000 steps of 128 where nothing else is said."""
    options = resolve(base, "classification")
    steps = options["loop"]["steps"]
    factors = [schedule_of(options).factor(Clock(step, steps)) for step in range(0, steps, steps // 6)]
    assert factors == pytest.approx([1, 1, 0.1, 0.1, 0.01, 0.01])
    assert options["optimizer"]["init_args"] == {"lr": 0.1, "momentum": 0.9, "weight_decay": 0.0001}
    assert (options["batch_size"], options["backbone"]["init_args"]["depth"]) == (128, 50)
    assert steps == {"imagenet": 900_000, "inaturalist": 300_000}[base]
    reductions = {
        objective: resolve(f"{base}+{objective}", "classification")["objective"].get("init_args", {}).get("reduction")
        for objective in CLASSIFICATION["objective"]
    }
    assert reductions == {"baseline": None, "da": None, "mt": None, "sla": "sum", "sla_sd": "sum"}


@pytest.mark.parametrize("base", LONG_TAILS)
@pytest.mark.parametrize("ratio", [10, 100])
@pytest.mark.parametrize("loss", ["ce", "cb_rw", "ldam_drw"])
@pytest.mark.parametrize("distilled", ["", "+sla_sd"])
def test_settings_of_long_tails(base: str, ratio: int, loss: str, distilled: str) -> None:
    """Cao et al. 2019: 200 epochs of what is left, every change at its epoch."""
    options = resolve(f"{base}+ratio{ratio}+{loss}{distilled}", "classification")
    largest, classes = LONG_TAILS[base]
    images = sum(int(largest * ratio ** (-number / (classes - 1))) for number in range(classes))
    steps, batch = options["loop"]["steps"], options["batch_size"]
    assert steps % 10 == 0
    assert (steps - 10) * batch < 200 * images <= steps * batch
    assert options["data"]["init_args"]["ratio"] == ratio
    schedule = options["schedule"]["init_args"]
    assert [share * 200 for share in schedule["milestones"]] == [160, 180]
    assert (schedule["factors"], schedule["warmup"] * 200) == ([0.01, 0.0001], 5)
    assert options["optimizer"]["init_args"]["weight_decay"] == 0.0002
    assert options["objective"]["class_path"].endswith("SLASD" if distilled else "Baseline")
    arguments = options["objective"]["init_args"]["label_loss"].get("init_args", {})
    reweighting = arguments.get("reweighting", {}).get("init_args", {})
    assert reweighting.get("beta") == (None if loss == "ce" else 0.9999)
    if loss == "ldam_drw":  # begins with the very step that the learning rate falls at
        assert (arguments["max_margin"], arguments["scale"]) == (0.5, 30)
        assert math.isclose(reweighting["start"], schedule["milestones"][0])


@pytest.mark.parametrize("views", CLASSIFICATION["views"])
def test_number_of_views(views: str) -> None:
    parser = PARSERS["classification"]
    options = configuration.parse(parser, ["--recipe", f"digits+sla_sd+{views}"])
    assert configuration.instantiate(parser, options, Classification).objective.transformations.m == MS[views]


def test_the_digits_of_a_train_without_arguments() -> None:
    options = resolve("digits+sla", "classification")
    options.pop("run_folder")
    parser = PARSERS["classification"]
    assert parser.base is not None
    assert configuration.typed(parser, compose(parser.base, options)) == configuration.parse(parser, [])


# Every configuration of the time when each was a file of its own: 209 of them, a third at a fraction of the length.

QUICK = ("--loop.steps=6000", "--loop.validate_every=500", "--validation_episodes=500")
FORMER_VIEWS = {
    "rotation2": "rotation2",
    "color3": "color3",
    "rotation2_color3": "rotation2_color3",
    "rotation_color3": "rotation4_color3",
    "rotation_color": "rotation4_color6",
}


Former = dict[str, tuple[Wing, str, tuple[str, ...]]]  # path of the file: wing, word of the recipe, further options


def former_meta() -> Former:
    found: Former = {}
    for base in (*RESNET12, "omniglot"):
        short = QUICK if base in RESNET12 else ("--loop.steps=2000",)
        for head, kind in itertools.product(("protonet", "ridge", "svm"), ("plain", "sla")):
            found[f"{base}/{head}_{kind}"] = ("meta", f"{base}+{head}+{kind}", ())
            found[f"{base}/{head}_{kind}_quick"] = ("meta", f"{base}+{head}+{kind}", short)
    for head, kind in itertools.product(("protonet", "ridge", "svm"), ("plain", "da", "sla")):
        found[f"glyphs/{head}_{kind}"] = ("meta", f"glyphs+{head}+{kind}", ())
    for kind in ("plain", "sla"):
        found[f"glyphs/maml_{kind}"] = ("meta", f"glyphs+maml+{kind}", ())
        found[f"cifarfs/conv4_protonet_{kind}"] = ("meta", f"cifarfs_conv4+protonet+{kind}", ())
    return found


def former_balanced() -> Former:
    found: Former = {}
    for base in SETS:
        for kind in ("baseline", "da", "mt", "sla", "sla_sd"):
            found[f"{base}/{kind}"] = ("classification", f"{base}+{kind}", ())
            steps = 3000 if base in PHOTOGRAPHS else 8000
            short = (f"--loop.steps={steps}", "--compile=false")
            found[f"{base}/{kind}_quick"] = ("classification", f"{base}+{kind}", short)
        for kind in ("sla", "sla_sd"):
            found[f"{base}/{kind}_color"] = ("classification", f"{base}+{kind}+color6", ())
    for base, views in itertools.product(("cub200", "stanforddogs"), FORMER_VIEWS):
        found[f"{base}/sla_{views}"] = ("classification", f"{base}+sla+{FORMER_VIEWS[views]}", ())
    for kind in ("baseline", "da", "mt", "sla", "sla_sd"):
        found[f"cifar100_cpu/{kind}"] = ("classification", f"cifar100_cpu+{kind}", ())
    for kind in ("baseline", "sla", "sla_sd"):
        found[f"cifar100_limited_cpu/{kind}"] = ("classification", f"cifar100_limited_cpu+{kind}", ())
    return found


def former_long_tailed() -> Former:
    found: Former = {}
    for base, loss, kind in itertools.product(LONG_TAILS, ("ce", "cb_rw", "ldam_drw"), ("", "_sla_sd")):
        word = f"{base}+{loss}{kind.replace('_', '+', 1)}"
        found[f"{base}/{loss}{kind}_ratio100"] = ("classification", word, ())
        found[f"{base}/{loss}{kind}_ratio10"] = ("classification", f"{word}+ratio10", ())
        steps = 1940 if base == "cifar10_lt" else 1700
        short = (f"--loop.steps={steps}", "--compile=false")
        found[f"{base}/{loss}{kind}_ratio100_quick"] = ("classification", word, short)
    for loss, kind in itertools.product(CLASSIFICATION["loss"], ("", "_sla_sd")):
        word = f"cifar100_lt_cpu+{loss}{kind.replace('_', '+', 1)}"
        found[f"cifar100_lt_cpu/{loss}{kind}"] = ("classification", word, ())
    return found


def test_every_former_configuration_has_a_word() -> None:
    files = {**former_meta(), **former_balanced(), **former_long_tailed()}
    assert len(files) == 209
    resolved = {}
    for path, (wing, word, options) in files.items():
        key = (word, *options)
        assert key not in resolved  # two files were never the same training
        resolved[key] = path
        base = word.partition("+")[0]
        assert base == ("cifarfs_conv4" if "conv4" in path else path.partition("/")[0])
        assert resolve(word, wing)["run_folder"].startswith(f"runs/{base}/")
    for wing, word, options in list(files.values())[1::40]:
        parsed = configuration.parse(PARSERS[wing], ["--recipe", word, *options])
        assert all(f"--loop.steps={parsed.loop.steps}" == option for option in options[:1])


# One of each objective, head and loss takes two steps on a few images of the right shape, with a narrow network.

FEW = ("--loop.steps=2", "--loop.log_every=1", "--accelerator=cpu")
FEW_EPISODES = (
    "--validation_episodes=2",
    "--train.n_query=2",
    "--validation.n_query=2",
    "--train.k_shot=1",
    "--validation.k_shot=1",
    "--episodes_per_step=1",
    "--episodes_per_forward=1",
)
TINY_COLOUR = ("--data=tests.tiny.TinyImages", "--data.channels=3", "--data.height=32", "--data.width=32")
TINY_GREY = ("--data=tests.tiny.TinyImages", "--data.height=28", "--data.width=28")
NARROW = "--learner.backbone.widths=[4,4,4,4]"


@pytest.mark.parametrize(
    ("word", "options"),
    [
        ("cifarfs+protonet+sla", (*TINY_COLOUR, NARROW)),
        ("miniimagenet+svm+plain", (*TINY_COLOUR, NARROW)),
        ("fc100+ridge+da", (*TINY_COLOUR, NARROW)),
        ("glyphs+maml+sla", (*TINY_GREY, "--learner.backbone.channels=8")),
    ],
)
def test_two_steps_of_meta_training(word: str, options: tuple[str, ...], tmp_path: Path) -> None:
    arguments = ["--recipe", word, f"--run_folder={tmp_path / 'run'}", *FEW, *FEW_EPISODES, *options]
    assert run_door(doors.meta_train.main, arguments) == 0
    check_two_steps(tmp_path / "run", "meta_train", arguments)


@pytest.mark.parametrize(
    "word",
    [
        "cifar100_lt+ce+baseline",
        "cifar100_lt_cpu+cb_rw+da",
        "cifar10_lt+logit_adjustment+mt",
        "cifar100_lt_cpu+balanced_softmax+sla+rotation2_color3",
        "cifar100_lt+ldam_drw+sla_sd",
    ],
)
def test_two_steps_of_classification(word: str, tmp_path: Path) -> None:
    images = ["--data.source=tests.tiny.TinyImages", "--data.source.per_class=100"]
    images += [f"--data.source.{name}={size}" for name, size in (("channels", 3), ("height", 32), ("width", 32))]
    narrow = ["--backbone.depth=8", "--backbone.width=4", "--batch_size=2", "--compile=false"]
    arguments = ["--recipe", word, f"--run_folder={tmp_path / 'run'}", *FEW, *images, *narrow]
    assert run_door(train.main, arguments) == 0
    check_two_steps(tmp_path / "run", "train", arguments)


def check_two_steps(folder: Path, program: str, arguments: list[str]) -> None:
    assert [row["step"] for row in read_metrics(folder / "metrics.csv")] == [1, 2]
    written = (folder / "config.yaml").read_text()
    assert written.startswith(f"# {reproducing_command(program, arguments)}\n")


# The README.


def shell_commands() -> list[list[str]]:
    """What the commands of the README are once a shell has seen them: ``python`` is a function that prints."""
    blocks = "\n".join(re.findall(r"```bash\n(.*?)```", README, re.DOTALL))
    script = 'python() { echo "$@"; }\n' + blocks
    done = subprocess.run(["bash", "-euc", script], cwd=doors.ROOT, capture_output=True, text=True, check=True)
    return [line.split() for line in done.stdout.splitlines()]


def test_commands_of_the_readme() -> None:
    runs: set[str] = set()
    commands = shell_commands()
    assert len(commands) >= 10
    for _, program, *line in commands:
        own, options = (line[: line.index("--")], line[line.index("--") + 1 :]) if "--" in line else (line, [])
        if program == "fewshot_sla.study":
            recipes = [word for word in own if "+" in word and not word.startswith("runs/")]
            assert recipes
            for word in recipes:
                understood("classification", ["--recipe", word, *options])
            folder = own[own.index("--folder") + 1] if "--folder" in own else "runs/study"
            seeds = own[own.index("--seeds") + 1 :][:4] if "--seeds" in own else ["0", "1", "2"]
            runs |= {f"{folder}/{name(word)}/seed{seed}" for word in recipes for seed in seeds}
        elif program in ("fewshot_sla.meta_train", "fewshot_sla.train"):
            wing: Wing = "meta" if program.endswith("meta_train") else "classification"
            runs.add(understood(wing, own)["run_folder"])
        else:
            used = [word for word in own if word.startswith("runs/")]
            assert used
            assert all(fnmatch.filter(runs, word) + fnmatch.filter(runs, f"{word}/*") for word in used), own


def name(word: str) -> str:
    return "_".join(word.split("+"))


def understood(wing: Wing, arguments: list[str]) -> dict[str, Any]:
    try:
        return vars(configuration.parse(PARSERS[wing], arguments))
    except UserError as error:
        pytest.fail(f"{arguments}: {error}")


def test_words_and_options_of_the_readme() -> None:
    for word in re.findall(r"`([a-z0-9_]+(?:\+[a-z0-9_]+)+)`", README):
        for wing, names in (("meta", META), ("classification", CLASSIFICATION)):
            if word.partition("+")[0] in names[""]:
                resolve(word, wing)
    options = re.findall(r"`-- (--[^`]+)`", README)
    assert len(options) >= 5
    for line in options:
        understood("classification", ["--recipe", "tinyimagenet+sla", *line.split()])
    for topic in {**META, **CLASSIFICATION}:
        assert topic in README
    for part in (*META[""], *CLASSIFICATION[""]):
        assert f"`{part}`" in README

"""Command lines with recipes and files: what counts over what, and that a class comes with its own arguments."""

import shlex
from pathlib import Path

import pytest
import yaml

from episodes.errors import UserError
from fewshot_sla.classification.kind import CLASSIFICATION
from fewshot_sla.cli import configuration
from fewshot_sla.cli.arguments import reproducing_command
from fewshot_sla.meta.kind import META


def parsed(words: str) -> configuration.Namespace:
    return configuration.parse(CLASSIFICATION.parser(), shlex.split(words))


@pytest.mark.parametrize(
    "words",
    [
        "--optimizer=torch.optim.Adam",
        "--recipe cifar100+sla --optimizer torch.optim.Adam",
        "--optimizer.class_path=torch.optim.Adam --recipe cifar100+sla",
        "--config CONFIG --optimizer=torch.optim.Adam",
        "--config CONFIG --optimizer.lr=7 --optimizer=torch.optim.Adam",
    ],
)
def test_a_chosen_class_has_its_own_defaults_whatever_was_said_of_its_predecessor(words: str, tmp_path: Path) -> None:
    config = tmp_path / "config.yaml"
    config.write_text("optimizer: {class_path: torch.optim.SGD, init_args: {lr: 0.1, weight_decay: 0.0001}}\n")
    chosen = parsed(words.replace("CONFIG", str(config))).optimizer
    assert chosen.class_path == "torch.optim.Adam"
    assert (chosen.init_args.lr, chosen.init_args.weight_decay) == (0.001, 0.0)


def test_data_and_backbone_are_built_with_their_own_defaults() -> None:
    options = parsed("--data=episodes.datasets.ClassificationFolders --data.root=x")
    assert options.data.init_args.image_size == 32  # that of the digits is 16
    options = configuration.parse(META.parser(), ["--learner.backbone=fewshot_sla.backbones.ResNet12"])
    assert options.learner.init_args.backbone.init_args.in_channels == 3  # that of the letters is 1


def test_recipe_then_files_then_options(tmp_path: Path) -> None:
    one, two = tmp_path / "one.yaml", tmp_path / "two.yaml"
    one.write_text("loop: {steps: 11, log_every: 11, validate_every: 11}\n")
    two.write_text("loop: {steps: 22, log_every: 22}\n")
    options = parsed(f"--loop.steps 33 --config {one} --config {two} --recipe cifar100_lt+ratio10")
    assert (options.loop.steps, options.loop.log_every, options.loop.validate_every) == (33, 22, 11)
    assert options.data.init_args.ratio == 10
    assert options.run_folder == "runs/cifar100_lt/ratio10"
    assert parsed("--recipe digits+sla --run_folder x").run_folder == "x"


def test_values_are_read_by_the_type_of_their_option() -> None:
    options = parsed(
        "--recipe digits+sla --optimizer.lr=1e-3 --compile true --resume --schedule.milestones [0.5] "
        "--schedule.factors=[0.1] --data.seed -1 --run_folder 12 --loop '{steps: 4, log_every: 2}'"
    )
    assert options.optimizer.init_args.lr == 0.001
    assert (options.compile, options.resume, options.run_folder) == (True, True, "12")
    assert (options.schedule.init_args.milestones, options.schedule.init_args.factors) == ([0.5], [0.1])
    assert (options.data.init_args.seed, options.loop.steps, options.loop.log_every) == (-1, 4, 2)


def test_the_resolved_configuration_is_whole_and_read_back_as_the_same(tmp_path: Path) -> None:
    parser = CLASSIFICATION.parser()
    options = configuration.parse(parser, ["--recipe", "cifar10_lt+sla_sd+ldam_drw", "--seed=3"])
    path = tmp_path / "config.yaml"
    path.write_text(parser.dump(options))
    assert configuration.load(parser, path) == options
    written = yaml.safe_load(path.read_text())
    assert not {"recipe", "config"} & set(written)
    assert written["objective"]["init_args"]["label_loss"]["init_args"]["reweighting"]["init_args"]["start"] == 0.8


def test_a_parser_forgets_what_it_was_asked_before() -> None:
    parser = CLASSIFICATION.parser()
    before = configuration.parse(parser, [])
    configuration.parse(parser, ["--recipe", "cub200+sla", "--keep=last"])
    assert configuration.parse(parser, []) == before


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("--recipee digits", "unknown key 'recipee'; did you mean 'recipe'?"),
        ("digits", "unrecognized: 'digits'; options begin with --, as in --seed 1"),
        ("--recipe digits --recipe cub200", "--recipe: give one word"),
        ("--recipe digits+color6", "unknown key 'transformations' in objective (fewshot_sla.classification.Baseline)"),
        ("--config nowhere.yaml", "nowhere.yaml: there is no such configuration file"),
        (
            "--loop=3",
            "loop: must hold options (steps, validate_every, log_every, checkpoint_every, snapshot_every), got '3'",
        ),
        ("--objective.label_loss=fewshot_sla.classification.label_losses.LDMA", "did you mean 'LDAM'?"),
        ("--objective.label_loss.reweightin=x", "did you mean 'reweighting'?"),
        ("--loop '{steps'", "--loop: not readable as YAML"),
    ],
)
def test_mistakes_are_one_line(words: str, message: str) -> None:
    with pytest.raises(UserError) as caught:
        parsed(words)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_help_and_print_config_tell_what_the_recipe_says(capsys: pytest.CaptureFixture[str]) -> None:
    for asked in ("--help", "--print_config"):
        with pytest.raises(SystemExit) as caught:
            parsed(f"{asked} --recipe cifar100_lt+ratio10 --seed 5")
        assert caught.value.code == 0
    told, printed = capsys.readouterr().out.split("data:\n", 1)
    assert "default: 30590" in " ".join(told.split())
    options = yaml.safe_load("data:\n" + printed)
    assert (options["loop"]["steps"], options["seed"]) == (30590, 5)


def test_the_command_that_asks_for_the_same_again() -> None:
    first = reproducing_command("train", ["--recipe", "digits+sla", "--run_folder", "a b", "--resume"])
    assert first == "python -m fewshot_sla.train --recipe digits+sla --run_folder 'a b'"
    longer = reproducing_command("train", ["--resume", "--run_folder", "a b", "--loop.steps=9"], first)
    assert longer == f"{first} --run_folder 'a b' --loop.steps=9"
    again = reproducing_command("train", ["--resume", "--run_folder", "a b", "--loop.steps=9"], longer)
    assert again == longer

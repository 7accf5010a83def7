"""Classification objectives as a recipe describes them: class_path and init_args, defaults, help, mistakes."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml

from episodes import UserError
from episodes.targets import Targets
from fewshot_sla.classification.label_losses import LDAM, CrossEntropy
from fewshot_sla.classification.objectives import DA, MT, SLA, SLASD, Baseline, ClassificationObjective, Standing
from fewshot_sla.classification.reweighting import ClassBalanced, NoReweighting
from fewshot_sla.cli.configuration import build_parser, instantiate, load, parse

HERE = "fewshot_sla.classification"
ROTATION = {"class_path": "episodes.Rotation"}
DEFAULTS = {
    "objective": {"class_path": f"{HERE}.SLASD", "init_args": {"transformations": ROTATION}},
}


@dataclass
class Recipe:
    """A recipe with an objective.

    Args:
        objective: what is trained on.
    """

    objective: ClassificationObjective


def built(arguments: list[str]) -> Any:
    parser = build_parser("program", "description", Recipe, defaults=DEFAULTS)
    return instantiate(parser, parse(parser, arguments), Recipe).objective


def test_the_yaml_of_a_long_tail(tmp_path: Path) -> None:
    path = tmp_path / "recipe.yaml"
    reweighting = {"class_path": f"{HERE}.reweighting.ClassBalanced", "init_args": {"start": 0.8}}
    label_loss = {"class_path": f"{HERE}.label_losses.LDAM", "init_args": {"reweighting": reweighting}}
    arguments = {"transformations": ROTATION, "label_loss": label_loss, "beta": 1}
    recipe = {"objective": {"class_path": f"{HERE}.SLASD", "init_args": arguments}}
    path.write_text(yaml.safe_dump(recipe), encoding="utf-8")
    parser = build_parser("program", "description", Recipe, defaults=DEFAULTS)
    options = load(parser, path)
    objective = instantiate(parser, options, Recipe).objective
    assert type(objective) is SLASD
    assert (objective.transformations.m, objective.beta, objective.temperature) == (4, 1, 1.0)
    assert type(objective.label_loss) is LDAM
    assert (objective.label_loss.max_margin, objective.label_loss.scale) == (0.5, 30.0)
    assert type(objective.label_loss.reweighting) is ClassBalanced
    assert (objective.label_loss.reweighting.beta, objective.label_loss.reweighting.start) == (0.9999, 0.8)
    # What is written into a run folder is read back as the same.
    path.write_text(parser.dump(options), encoding="utf-8")
    assert load(parser, path) == options


@pytest.mark.parametrize("kind", [Baseline, DA, MT, SLA, SLASD])
def test_a_loss_that_is_not_named_is_plain_cross_entropy(kind: type[ClassificationObjective]) -> None:
    arguments = [f"--objective={HERE}.{kind.__name__}"]
    if kind is not Baseline:
        arguments.append("--objective.transformations=episodes.Rotation")
    objective = built(arguments)
    assert type(objective) is kind
    assert type(objective.label_loss) is CrossEntropy
    assert type(objective.label_loss.reweighting) is NoReweighting
    assert objective.reduction == "mean"


@pytest.mark.parametrize("name", ["CrossEntropy", "BalancedSoftmax", "LogitAdjustment", "LDAM"])
def test_every_loss_takes_a_reweighting_from_the_command_line(name: str) -> None:
    objective = built(
        [
            f"--objective.label_loss={HERE}.label_losses.{name}",
            f"--objective.label_loss.reweighting={HERE}.reweighting.ClassBalanced",
            "--objective.label_loss.reweighting.start=0.5",
        ]
    )
    assert type(objective.label_loss).__name__ == name
    assert objective.label_loss.reweighting.start == 0.5
    assert objective.label_loss.reweighting.weights(torch.tensor([1, 2]), 0.4) is None


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--objective.beta=2"], "objective.beta: Expected a typing.Literal[0, 1]. Got value: 2"),
        (
            ["--objective.reduction=max"],
            "objective.reduction: Expected a typing.Literal['mean', 'sum']. Got value: max",
        ),
        (["--objective.temperature=0"], "SLASD temperature must be positive and finite, got 0.0"),
        (
            ["--objective.label_loss=episodes.Rotation"],
            "objective.label_loss: episodes.Rotation is not a LabelLoss, nor a function annotated to return one",
        ),
        (
            ["--objective.label_loss.tau=1"],
            f"unknown key 'tau' in objective.label_loss ({HERE}.label_losses.CrossEntropy); valid ones are reweighting",
        ),
        (
            [f"--objective.label_loss={HERE}.label_losses.LDAM", "--objective.label_loss.max_margin=-1"],
            "LDAM max_margin must be positive and finite, got -1.0",
        ),
        (
            [
                f"--objective.label_loss.reweighting={HERE}.reweighting.ClassBalanced",
                "--objective.label_loss.reweighting.start=1",
            ],
            "ClassBalanced start must be at least 0 and below 1, got 1.0",
        ),
        (
            ["--objective=fewshot_sla.meta.SLA"],
            "objective: fewshot_sla.meta.SLA is not a ClassificationObjective, nor a function annotated to return one",
        ),
    ],
)
def test_mistakes_are_told_in_one_line(arguments: list[str], message: str) -> None:
    with pytest.raises(UserError) as caught:
        built(arguments)
    assert str(caught.value) == message


@pytest.mark.parametrize("name", ["DA", "MT", "SLA", "SLASD"])
def test_help_explains_every_option(
    name: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "250")  # words are cut in two where a line ends
    with pytest.raises(SystemExit) as caught:
        built(["--objective.help", f"{HERE}.{name}"])
    assert caught.value.code == 0
    told = " ".join(capsys.readouterr().out.split())
    assert "the M known transformations." in told
    assert '"mean" or "sum" of the' in told
    assert "default: {'class_path': 'fewshot_sla.classification.CrossEntropy'}" in told


@pytest.mark.parametrize("kind", [Baseline, DA, MT, SLA, SLASD])
def test_counts_are_checked_before_training_and_asked_for_in_it(kind: type[ClassificationObjective]) -> None:
    loss = CrossEntropy(ClassBalanced(start=0.8))
    arguments = [] if kind is Baseline else [built([]).transformations]
    objective = kind(*arguments, label_loss=loss)
    objective.check(torch.tensor([4, 2, 1]))
    kind(*arguments).check(None)
    with pytest.raises(UserError, match=r"^ClassBalanced needs the class counts"):
        objective.check(None)
    with pytest.raises(UserError, match=r"^ClassBalanced needs training images of every class, but label 1 has 0"):
        objective.check(torch.tensor([4, 0, 1]))
    m = objective.transformations.m
    logits = {name: torch.zeros(2, m, size) for name, size in objective.outputs(3).items()}
    with pytest.raises(UserError, match=r"^ClassBalanced needs the class counts"):
        objective.loss(logits, Targets(torch.tensor([0, 2])), Standing())

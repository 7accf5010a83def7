"""A class that is chosen in place of the default one comes with its own arguments, not with those of the default."""

from pathlib import Path

import pytest

from fewshot_sla.classification.kind import CLASSIFICATION
from fewshot_sla.cli import configuration
from fewshot_sla.cli.class_choices import without_void_arguments
from fewshot_sla.meta.kind import META

DEFAULTS = {
    "learner": {
        "class_path": "p.Learner",
        "init_args": {"backbone": {"class_path": "p.Small", "init_args": {"channels": 1}}, "scale": 2},
    },
    "optimizer": {"class_path": "p.SGD", "init_args": {"lr": 0.1}},
    "steps": 3,
}


def test_nothing_chosen_nothing_changed() -> None:
    assert without_void_arguments(DEFAULTS, []) == DEFAULTS
    assert without_void_arguments(DEFAULTS, ["--optimizer=p.SGD", "--optimizer.lr=3"]) == DEFAULTS


@pytest.mark.parametrize(
    "words",
    [
        ["--learner.backbone=p.Large"],
        ["--learner.backbone", "p.Large"],
        ["--learner.backbone.class_path=p.Large"],
        ["--learner.init_args.backbone.class_path", "p.Large", "--steps=4"],
    ],
)
def test_a_class_inside_another_is_replaced_alone(words: list[str]) -> None:
    learner = {"class_path": "p.Learner", "init_args": {"backbone": {"class_path": "p.Large"}, "scale": 2}}
    assert without_void_arguments(DEFAULTS, words) == {**DEFAULTS, "learner": learner}


def test_another_class_outside_takes_what_was_inside_with_it() -> None:
    words = ["--learner=p.Other", "--learner.backbone=p.Large"]
    assert without_void_arguments(DEFAULTS, words)["learner"] == {"class_path": "p.Other"}


def test_files_count_like_options(tmp_path: Path) -> None:
    file = tmp_path / "a.yaml"
    file.write_text("optimizer:\n  class_path: p.Adam\nlearner:\n  init_args:\n    backbone: p.Large\n")
    found = without_void_arguments(DEFAULTS, ["--config", str(file)])
    assert found["optimizer"] == {"class_path": "p.Adam"}
    assert found["learner"]["init_args"] == {"backbone": {"class_path": "p.Large"}, "scale": 2}
    file.write_text("- no\n- mapping\n")
    assert without_void_arguments(DEFAULTS, ["--config", str(file)]) == DEFAULTS
    assert without_void_arguments(DEFAULTS, ["--config", str(tmp_path / "none.yaml")]) == DEFAULTS


def test_the_defaults_themselves_stay_as_they_are() -> None:
    before = str(DEFAULTS)
    without_void_arguments(DEFAULTS, ["--optimizer=p.Adam", "--learner.backbone=p.Large"])
    assert str(DEFAULTS) == before


def test_a_backbone_is_built_with_its_own_defaults() -> None:
    options = configuration.parse(META.parser(), ["--learner.backbone=fewshot_sla.backbones.ResNet12"])
    assert options.learner.init_args.backbone.init_args.in_channels == 3
    options = configuration.parse(META.parser(), [])
    assert options.learner.init_args.backbone.init_args.in_channels == 1


def test_data_and_optimiser_are_built_with_their_own_defaults() -> None:
    words = ["--data=episodes.datasets.ClassificationFolders", "--data.root=x", "--optimizer=torch.optim.Adam"]
    options = configuration.parse(CLASSIFICATION.parser(), words)
    assert options.data.init_args.image_size == 32  # that of the digits is 16
    assert options.optimizer.init_args.lr == 0.001  # that of SGD is 0.1

"""``python -m fewshot_sla.study RECIPE...``: several recipes, several seeds each: one table, one picture."""

import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from episodes.errors import UserError
from fewshot_sla.cli import configuration
from fewshot_sla.cli.door import INTERRUPTED, OK, run_door
from fewshot_sla.cli.recipes import recipe_name, wing_of
from fewshot_sla.runs.folder import OtherRunError, RunFolder
from fewshot_sla.runs.results import Result
from fewshot_sla.studies.kinds import KINDS
from fewshot_sla.training.door import run_training
from fewshot_sla.training.kind import Kind
from fewshot_sla.training.recipe import Hardware

# What is compared where no recipe is named: the objectives of the paper on handwritten digits.
DIGITS = ("digits+baseline", "digits+da", "digits+mt", "digits+sla", "digits+sla_sd")


@dataclass
class Study:
    """What to train and to test.

    Args:
        seeds: each recipe is trained once with each.
        folder: run folders are made in it, FOLDER/RECIPE/seedS, and study.json and study.png written; what is there
            already is not done again.
        split: that the figures are of.
    """

    seeds: list[int] = field(default_factory=lambda: [0, 1, 2])
    folder: str = "runs/study"
    split: str = "test"

    def __post_init__(self) -> None:
        """Refuse a study of nothing."""
        if not self.seeds or len(set(self.seeds)) < len(self.seeds):
            raise UserError(f"seeds must be at least one number, each once, got {self.seeds}")


def main(arguments: Sequence[str]) -> int:
    """Train and test whatever has not been, then print the table and draw the picture."""
    own, options_of_train = _divided(arguments)
    parser = configuration.build_parser(
        "python -m fewshot_sla.study",
        "Train and test several recipes with several seeds each, and compare them: few-shot ones on the same episodes "
        "at 1 and 5 shots, classifiers on the same images. Without a recipe: all objectives on handwritten digits. "
        "Options after -- go to every training: -- --loop.steps 100",
        Study,
        config_option=False,
    )
    parser.add_argument(
        "recipes", type=str, nargs="*", help="Words as --recipe of meta_train and train takes them, or YAML files."
    )
    try:
        options = configuration.parse(parser, configuration.join_lists(own, "--seeds"))
    except UserError as error:
        raise UserError(f"{error}; options of train go behind --, as in -- --loop.steps 100") from error
    study: Study = configuration.instantiate(parser, options, Study)
    words = options.recipes or list(DIGITS)
    recipes = {name: [*described, *options_of_train] for name, described in _recipes(words).items()}
    kind = _kind(words)
    _check(kind, recipes)

    # Heavy imports come after the command line is known to be good.
    from fewshot_sla.reporting.formats import show
    from fewshot_sla.reporting.study import draw_study, save_study, study_rows, study_table

    runs: dict[str, dict[str, list[Result]]] = {}
    for name, described in recipes.items():
        runs[name] = {}
        for seed in study.seeds:
            folder = RunFolder(Path(study.folder) / name / f"seed{seed}")
            code = _train_and_test(kind, [*described, f"--seed={seed}"], folder, study.split)
            if code == INTERRUPTED:
                sys.stderr.write("the study itself goes on with the same command that began it\n")
            if code != OK:
                return code
            runs[name][str(folder.path)] = kind.results(folder, study.split)
    rows = study_rows(runs)
    picture = Path(study.folder) / "study.png"
    save_study(Path(study.folder) / "study.json", rows, study.seeds)
    draw_study(picture, rows)
    show(study_table(rows, study.seeds), f"picture: {picture}")
    return OK


def _divided(arguments: Sequence[str]) -> tuple[list[str], list[str]]:
    """Options of the study, and those behind ``--``, which are for train."""
    words = list(arguments)
    place = words.index("--") if "--" in words else len(words)
    return words[:place], words[place + 1 :]


def _kind(words: Sequence[str]) -> Kind[Any, Any]:
    """The kind of training that all recipes are of."""
    wings = {word: wing_of(word) for word in words}
    if len(set(wings.values())) > 1:
        of = {wing: word for word, wing in wings.items()}
        raise UserError(
            f"{of['meta']} is meta-training and {of['classification']} is classification: their figures cannot stand "
            "in one table; study them one after the other"
        )
    return KINDS[wings[words[0]]]


def _recipes(words: Sequence[str]) -> dict[str, list[str]]:
    """Name of each recipe, and what its training is told of it."""
    names = [recipe_name(word) for word in words]
    if len(set(names)) < len(names):
        names = [recipe_name(word, with_base=True) for word in words]
    if len(set(names)) < len(names):
        raise UserError(f"two recipes have the same name: {', '.join(sorted(names))}; rename one")
    return {name: ["--recipe", word] for name, word in zip(names, words, strict=True)}


def _check(kind: Kind[Any, Any], recipes: dict[str, list[str]]) -> None:
    """Raise UserError if a training would not understand what it is told: now, and not after the others."""
    parser = kind.parser()
    for name, described in recipes.items():
        try:
            configuration.parse(parser, described)
        except UserError as error:
            raise UserError(f"{name}: {error}") from error


def _train_and_test(kind: Kind[Any, Any], described: list[str], folder: RunFolder, split: str) -> int:
    """Both, unless it was done before; the exit code."""
    into = [f"--run_folder={folder.path}", *(["--resume"] if folder.holds_run else [])]
    try:
        code = run_training(kind, [*described, *into])  # a run that is complete only has its report written again
    except OtherRunError as error:
        raise UserError(f"{error} (of a study: another --folder)") from error
    if code == OK and not kind.results(folder, split):
        kind.test(folder, split, _hardware(folder))
    return code


def _hardware(folder: RunFolder) -> Hardware:
    """What a run was trained on, as one process."""
    configured = yaml.safe_load(folder.config.read_text())
    names = ("accelerator", "precision", "channels_last", "placement")
    return Hardware(**{name: configured[name] for name in names})


if __name__ == "__main__":
    sys.exit(run_door(main))

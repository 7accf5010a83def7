"""``python -m fewshot_sla.study RECIPE...``: several recipes, several seeds each: one table, one picture."""

import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import yaml

from episodes.errors import UserError
from fewshot_sla.classification.kind import CLASSIFICATION
from fewshot_sla.cli import configuration
from fewshot_sla.cli.door import INTERRUPTED, OK, run_door
from fewshot_sla.cli.recipes import recipe_name
from fewshot_sla.runs.folder import OtherRunError, RunFolder
from fewshot_sla.training.door import run_training
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
        "Train and test several recipes with several seeds each, and compare them. Without a recipe: all "
        "objectives on handwritten digits. Options after -- go to every training: -- --loop.steps 100",
        Study,
        config_option=False,
    )
    parser.add_argument("recipes", type=str, nargs="*", help="Words as --recipe of train takes them, or YAML files.")
    try:
        options = configuration.parse(parser, configuration.join_lists(own, "--seeds"))
    except UserError as error:
        raise UserError(f"{error}; options of train go behind --, as in -- --loop.steps 100") from error
    study: Study = configuration.instantiate(parser, options, Study)
    recipes = {name: [*described, *options_of_train] for name, described in _recipes(options.recipes).items()}
    _check(recipes)

    # Heavy imports come after the command line is known to be good.
    from fewshot_sla.classification.study import draw_study, save_study, study_rows, study_table
    from fewshot_sla.reporting.tables import show

    runs: dict[str, list[RunFolder]] = {}
    for name, described in recipes.items():
        runs[name] = []
        for seed in study.seeds:
            folder = RunFolder(Path(study.folder) / name / f"seed{seed}")
            code = _train_and_test([*described, f"--seed={seed}"], folder, study.split)
            if code == INTERRUPTED:
                sys.stderr.write("the study itself goes on with the same command that began it\n")
            if code != OK:
                return code
            runs[name].append(folder)
    rows = study_rows(runs, study.split)
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


def _recipes(words: Sequence[str]) -> dict[str, list[str]]:
    """Name of each recipe, and what train is told of it."""
    chosen = list(words) or list(DIGITS)
    names = [recipe_name(word) for word in chosen]
    if len(set(names)) < len(names):
        names = [recipe_name(word, with_base=True) for word in chosen]
    if len(set(names)) < len(names):
        raise UserError(f"two recipes have the same name: {', '.join(sorted(names))}; rename one")
    return {name: ["--recipe", word] for name, word in zip(names, chosen, strict=True)}


def _check(recipes: dict[str, list[str]]) -> None:
    """Raise UserError if train would not understand what it is told of a recipe: now, and not after the others."""
    parser = CLASSIFICATION.parser()
    for name, described in recipes.items():
        try:
            configuration.parse(parser, described)
        except UserError as error:
            raise UserError(f"{name}: {error}") from error


def _train_and_test(described: list[str], folder: RunFolder, split: str) -> int:
    """Both, unless it was done before; the exit code."""
    kind = CLASSIFICATION
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

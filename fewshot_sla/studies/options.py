"""What a study is asked for: by options on a command line, by a file, by both."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml
from jsonargparse import Namespace

from episodes.errors import UserError
from fewshot_sla.cli import configuration
from fewshot_sla.cli.configuration import ComposingParser
from fewshot_sla.cli.keys import check_keys
from fewshot_sla.cli.recipes import read_options, recipe_name, wing_of
from fewshot_sla.reporting.formats import Format
from fewshot_sla.studies.kinds import KINDS
from fewshot_sla.studies.launchers.base import Launch
from fewshot_sla.studies.launchers.slurm_options import SlurmOptions
from fewshot_sla.studies.plan import StudyPlan, shown_names
from fewshot_sla.training.kind import Kind


@dataclass
class Study:
    """What to train and to test, who does it, and how it is shown.

    Args:
        seeds: each recipe is trained once with each.
        folder: run folders are made in it, FOLDER/RECIPE/seedS, and study.json and study.png written; what is there
            already is not done again.
        split: that the figures are of.
        baseline: recipe that all others are compared with, pair by pair.
        workers: trainings at once; 0 for as many as there are GPUs, else CPU cores, 1 for this process alone.
        threads: CPU threads of each training.
        launch: "here" for processes of this machine, "slurm" for jobs of a cluster, "local" for such jobs here.
        slurm: what each job asks SLURM for.
        format: of the tables: terminal, markdown, latex, csv, json or html.
        output: file that the tables are written to.
    """

    seeds: list[int] = field(default_factory=lambda: [0, 1, 2])
    folder: str = "runs/study"
    split: str = "test"
    baseline: str = ""
    workers: int = 0
    threads: int = 1
    launch: Launch = "here"
    slurm: SlurmOptions = field(default_factory=SlurmOptions)
    format: Format = "terminal"
    output: str = ""


def understood(parser: ComposingParser, arguments: Sequence[str]) -> tuple[list[str], list[str], Study]:
    """Words of the recipes, options of every training, and what is asked of the study.

    Args:
        parser: with the arguments of :class:`Study` as options, and any number of ``recipes``.
        arguments: of the command line; those behind ``--`` go to every training. The only recipe may be a file with a
            study: ``recipes``, ``options`` of every training, and options of the study; the command line wins.

    Raises:
        UserError: if one of them is wrong.
    """
    words = list(arguments)
    place = words.index("--") if "--" in words else len(words)
    own, told = configuration.join_lists(words[:place], "--seeds"), words[place + 1 :]
    asked = _parsed(parser, own)
    recipes = asked.recipes
    if len(recipes) == 1 and _is_study(recipes[0]):
        recipes, options, study = _read_study(recipes[0], parser)
        parser.set_defaults(study)
        asked, told = _parsed(parser, own), [*options, *told]
    return recipes, told, configuration.instantiate(parser, asked, Study)


def _parsed(parser: ComposingParser, words: Sequence[str]) -> Namespace:
    try:
        return configuration.parse(parser, words)
    except UserError as error:
        raise UserError(f"{error}; options of train go behind --, as in -- --loop.steps 100") from error


def _is_study(word: str) -> bool:
    """Whether a word is a file that describes a study, and no recipe."""
    path = Path(word).expanduser()
    return path.suffix in (".yaml", ".yml") and path.is_file() and "recipes" in read_options(path)


def _read_study(path: str, parser: ComposingParser) -> tuple[list[str], list[str], dict[str, Any]]:
    """Recipes, options of every training as words, and options of the study, as a file gives them."""
    content = read_options(path)
    recipes, options = content.pop("recipes"), content.pop("options", None) or {}
    if not isinstance(recipes, list) or not recipes or not all(isinstance(word, str) for word in recipes):
        raise UserError(f"{path}: recipes must be a list of words, as in [digits+baseline, digits+sla]")
    if not isinstance(options, dict):
        raise UserError(f"{path}: options must be options of a training, as in 'loop: {{steps: 100}}'")
    try:
        check_keys(content, configuration.known_options(parser))
    except UserError as error:
        raise UserError(f"{path}: {error}") from error
    return recipes, words_of(options), content


def words_of(options: Mapping[str, Any], prefix: str = "") -> list[str]:
    """Options as words of a command line.

    >>> words_of({"loop": {"steps": 100}, "accelerator": "cpu", "augmentation": None})
    ['--loop.steps=100', '--accelerator=cpu', '--augmentation=null']
    """
    words = []
    for name, value in options.items():
        if isinstance(value, Mapping):
            words += words_of(value, f"{prefix}{name}.")
        else:
            written = value if isinstance(value, str) else yaml.safe_dump(value, default_flow_style=True, width=10**9)
            words.append(f"--{prefix}{name}={written.removesuffix('...' + chr(10)).strip()}")
    return words


def kind_of(words: Sequence[str]) -> Kind[Any, Any]:
    """The kind of training that all recipes are of.

    Raises:
        UserError: if they are of two.
    """
    wings = {wing_of(word): word for word in words}
    if len(wings) > 1:
        raise UserError(
            f"{wings['meta']} is meta-training and {wings['classification']} is classification: their figures cannot "
            "stand in one table; study them one after the other"
        )
    return KINDS[next(iter(wings))]


def check_trainings(kind: Kind[Any, Any], plan: StudyPlan) -> None:
    """Raise UserError if a training would not understand what it is told: now, and not after the others."""
    parser = kind.parser()
    for name, told in plan.trainings.items():
        try:
            configuration.parse(parser, told)
        except UserError as error:
            raise UserError(f"{name}: {error}") from error


def name_of_baseline(asked: str, words: Sequence[str]) -> str:
    """The whole name of a recipe that is named by its word, its name, or as it is shown; empty if none is asked for.

    Raises:
        UserError: if no recipe of the study is called so.
    """
    if not asked:
        return ""
    shown = shown_names(words)
    for word in words:
        name = recipe_name(word, with_base=True)
        if asked in (word, name, shown[name]):
            return name
    raise UserError(f"the baseline {asked!r} is none of the recipes: {', '.join(shown.values())}")

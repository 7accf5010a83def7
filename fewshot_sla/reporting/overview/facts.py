"""What every run folder tells whatever was trained: its command, configuration, curves, results, and where from."""

import json
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from episodes.errors import UserError
from fewshot_sla.cli import configuration
from fewshot_sla.cli.composition import compose
from fewshot_sla.cli.configuration import ComposingParser
from fewshot_sla.cli.recipes import resolve
from fewshot_sla.reporting.overview.parts import Missing, part
from fewshot_sla.reporting.training_curves import metrics_of
from fewshot_sla.runs.checkpoint import load_state
from fewshot_sla.runs.folder import RunFolder
from fewshot_sla.runs.results import Result, read_document

_NOT_OF_THE_RECIPE = ("run_folder", "resume")


@dataclass(frozen=True)
class RunFacts:
    """One run.

    Attributes:
        name: the shortest part of its path that tells it from the others.
        folder: where it is.
        program: that trained it.
        tester: that tests it.
        command: that trained it; "" if its configuration does not say.
        recipe: the word in that command; "" if there is none.
        configuration: every option, flat: "optimizer.lr" -> "0.1".
        base: the same of the recipe's base, without any fragment or option.
        steps: made so far.
        planned: steps of the whole training.
        state: what the checkpoint says beside the weights.
        metrics: rows of metrics.csv; none if there are none yet.
        entries: results as they stand in results.json.
        details: what stands beside them.
    """

    name: str
    folder: RunFolder
    program: str
    tester: str
    command: str
    recipe: str
    configuration: dict[str, str]
    base: dict[str, str] | Missing
    steps: int
    planned: int
    state: dict[str, Any]
    metrics: list[dict[str, float]] | Missing
    entries: list[dict[str, Any]]
    details: dict[str, Any]

    @property
    def base_name(self) -> str:
        """What ``base`` is."""
        return self.recipe.split("+")[0] if self.recipe else f"{self.program} without options"

    @property
    def test_command(self) -> str:
        """What tests the run."""
        return f"python -m fewshot_sla.{self.tester} {self.folder.path}"

    @property
    def is_finished(self) -> bool:
        """Whether all steps were made."""
        return self.steps >= self.planned


def read_facts(
    name: str,
    folder: RunFolder,
    parser: ComposingParser,  # of the program that trained it
) -> RunFacts:
    """What the files of a run say.

    Raises:
        UserError: if there is no such run, or one of its files is damaged.
    """
    folder.require()
    last = folder.last if folder.last.exists() else folder.best
    state = load_state(last)
    try:
        text = folder.config.read_text(encoding="utf-8")
    except ValueError as error:
        raise UserError(f"{folder.config}: not UTF-8 text ({error})") from error
    options = _options(folder.config, text)
    command = text.partition("\n")[0].removeprefix("# ") if text.startswith("# python") else ""
    recipe = recipe_of(command)
    document = read_document(folder, Result) if folder.results.exists() else None
    return RunFacts(
        name=name,
        folder=folder,
        program=str(state.get("program", "")),
        tester=str(state.get("tester", "")),
        command=command,
        recipe=recipe,
        configuration=flat(options),
        base=part(lambda: base_configuration(parser, recipe)),
        steps=int(state["step"] if "step" in state else state["best"]["step"]),
        planned=int(state.get("steps") or options["loop"]["steps"]),
        state=state,
        metrics=part(lambda: metrics_of(folder)),
        entries=document.entries if document else [],
        details=document.details if document else {},
    )


def recipe_of(command: str) -> str:
    """The recipe's word in a command.

    >>> recipe_of("python -m fewshot_sla.train --recipe digits+sla --seed 1"), recipe_of("python -m fewshot_sla.train")
    ('digits+sla', '')
    """
    try:
        words = shlex.split(command)
    except ValueError:  # of a line that somebody edited
        return ""
    for place, word in enumerate(words):
        if word.startswith("--recipe="):
            return word.removeprefix("--recipe=")
        if word == "--recipe" and place + 1 < len(words):
            return words[place + 1]
    return ""


def base_configuration(parser: ComposingParser, recipe: str) -> dict[str, str]:
    """Every option as the base of a recipe has it, or as the program has it without a recipe; flat.

    Raises:
        UserError: if there is no such base any more.
    """
    layers = [resolve(recipe.split("+")[0], parser.wing)] if recipe and parser.wing else []
    options = configuration.typed(parser, compose(parser.base or {}, *layers))
    return flat(yaml.safe_load(parser.dump(options)))


def flat(options: Mapping[str, Any]) -> dict[str, str]:
    """Options without the words that only YAML needs: an object stands under its key, its arguments below it.

    >>> flat({"optimizer": {"class_path": "torch.optim.SGD", "init_args": {"lr": 0.1}}, "seed": 0, "loggers": []})
    {'optimizer': 'torch.optim.SGD', 'optimizer.lr': '0.1', 'seed': '0', 'loggers': '[]'}
    """
    return {key: value for key, value in _flat("", options) if key.split(".")[0] not in _NOT_OF_THE_RECIPE}


def differences(configurations: Sequence[Mapping[str, str]]) -> dict[str, list[str | None]]:
    """The options that are not the same in all, with the value of each; None where there is no such option."""
    keys = dict.fromkeys(key for options in configurations for key in options)
    table = {key: [options.get(key) for options in configurations] for key in keys}
    return {key: values for key, values in table.items() if len(set(values)) > 1}


def _flat(key: str, value: Any) -> list[tuple[str, str]]:
    if not isinstance(value, Mapping) or not value:
        return [(key, value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str))]
    found = []
    inner = dict(value)
    if "class_path" in inner:
        found.append((key, str(inner.pop("class_path"))))
        inner = {**(inner.get("init_args") or {}), **(inner.get("dict_kwargs") or {})}
    for name, item in inner.items():
        found += _flat(f"{key}.{name}" if key else str(name), item)
    return found


def _options(path: Path, text: str) -> dict[str, Any]:
    try:
        options = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise UserError(f"{path}: not readable as YAML ({' '.join(str(error).split())})") from error
    if not isinstance(options, dict) or not isinstance(options.get("loop"), dict):
        raise UserError(f"{path}: this is not the configuration of a training")
    return options

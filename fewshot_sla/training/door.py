"""What the doors of all kinds of training have in common: options to a recipe, a run that is new or resumed."""

import sys
from argparse import ArgumentError
from argparse import ArgumentParser as PlainParser
from collections.abc import Sequence
from typing import Any

import yaml
from jsonargparse import ArgumentParser, Namespace

from episodes.errors import UserError
from fewshot_sla.cli import configuration
from fewshot_sla.cli.arguments import reproducing_command
from fewshot_sla.cli.door import INTERRUPTED, OK
from fewshot_sla.cli.recipes import read_options
from fewshot_sla.runs.checkpoint import load_state
from fewshot_sla.runs.folder import OtherRunError, RunFolder
from fewshot_sla.training.kind import Kind, M, R
from fewshot_sla.training.randomness import seeded
from fewshot_sla.training.recipe import Hardware
from fewshot_sla.training.signals import Interrupted

# What may change when a run is resumed: how long, how often, on what, and where its figures go.
FREE = {"run_folder", "loop", "loggers", *Hardware.__dataclass_fields__}


def run_training(kind: Kind[R, M], arguments: Sequence[str]) -> int:
    """Parse, check, train, report; the exit code.

    Args:
        kind: of training.
        arguments: of the command line.

    Raises:
        UserError: if the command line, or anything that it describes, is wrong.
    """
    try:
        train_as_told(kind, arguments)
    except Interrupted as interrupted:
        sys.stderr.write(f"{interrupted}\n")
        return INTERRUPTED
    return OK


def train_as_told(kind: Kind[R, M], arguments: Sequence[str]) -> None:
    """Parse, check, train, report.

    Args:
        kind: of training.
        arguments: of the command line.

    Raises:
        UserError: if the command line, or anything that it describes, is wrong.
        Interrupted: if a signal asked for it; everything is saved, and the message says how to go on.
    """
    parser = kind.parser()
    options = configuration.parse(parser, _with_config_of_run(parser, arguments))
    folder = RunFolder(options.run_folder)
    resolved = _resolved(parser, options)
    resuming = options.resume and folder.holds_run
    if resuming and not folder.last.exists():
        raise UserError(f"{folder.last}: the checkpoint to resume from is gone; start anew in another --run_folder")
    if resuming:
        _check_same_recipe(folder, resolved)
    with seeded(options.seed):  # initial weights
        recipe: R = configuration.instantiate(parser, options, kind.recipe)
    hardware: Hardware = configuration.instantiate(parser, options, Hardware)
    begun = _command_of_run(folder, arguments) if resuming else ""
    command = reproducing_command(kind.program, arguments, begun)
    config = f"# {command}\n" + yaml.safe_dump(resolved, sort_keys=False)
    # Heavy imports come after the command line is known to be good.
    from fewshot_sla.training.train import train

    try:
        training = train(kind, kind.task(recipe), hardware, folder, config, resuming=resuming)
    except Interrupted as interrupted:
        again = f"python -m fewshot_sla.{kind.program} --resume --run_folder {folder.path}"
        raise Interrupted(f"{interrupted}; continue with: {again}", interrupted.by) from interrupted
    if training.is_first_process:
        kind.report(training, folder, resolved)


def is_trained(kind: Kind[R, M], arguments: Sequence[str]) -> bool:
    """Whether the run that the arguments ask for is there, with all its steps.

    Args:
        kind: of training.
        arguments: of the command line that would train it.

    Raises:
        UserError: if the command line, or the run's configuration or checkpoint, is wrong.
        OtherRunError: if the folder holds a run by another recipe.
    """
    parser = kind.parser()
    options = configuration.parse(parser, arguments)
    folder = RunFolder(options.run_folder)
    if not folder.holds_run:
        return False
    _check_same_recipe(folder, _resolved(parser, options))
    return folder.best.exists() and folder.last.exists() and load_state(folder.last)["step"] == options.loop.steps


def _with_config_of_run(parser: ArgumentParser, arguments: Sequence[str]) -> list[str]:
    """The arguments, behind the run's own config.yaml if a run is to be resumed and no recipe is named.

    It comes first so that the other arguments are understood by what it says: which options there are depends on it.
    """
    peek = PlainParser(add_help=False, allow_abbrev=False, exit_on_error=False)
    peek.add_argument("--run_folder", default=parser.get_default("run_folder"))
    peek.add_argument("--resume", action="store_true")
    peek.add_argument("--config")
    peek.add_argument("--recipe")
    try:
        found, rest = peek.parse_known_args(list(arguments))
    except ArgumentError:  # the parser itself will say what is wrong
        return list(arguments)
    if not found.resume or found.config or found.recipe or {"-h", "--help"} & set(rest):
        return list(arguments)
    folder = RunFolder(found.run_folder)
    folder.require()
    return ["--config", str(folder.config), *arguments]


def _command_of_run(folder: RunFolder, arguments: Sequence[str]) -> str:
    """The command in the first line of the run's config.yaml, if the arguments go on from there; else nothing."""
    if any(word.split("=")[0] in ("--config", "--recipe") for word in arguments):
        return ""
    first = folder.config.read_text(encoding="utf-8").partition("\n")[0]
    return first.removeprefix("# ") if first.startswith("# python") else ""


def _resolved(parser: ArgumentParser, options: Namespace) -> dict[str, Any]:
    """The whole configuration as plain containers, without what is only a wish of this command."""
    resolved = yaml.safe_load(parser.dump(options))
    resolved.pop("resume", None)
    return resolved


def _check_same_recipe(folder: RunFolder, asked: dict[str, Any]) -> None:
    """A run is resumed by the recipe it began with; only how long, how often and on what may change."""
    began = read_options(folder.config)
    for key in asked:
        if key not in FREE and began.get(key) != asked[key]:
            raise OtherRunError(
                f"{folder.path}: the run began with another {key!r}; resume it without --config and --{key}, "
                "or start anew in another --run_folder"
            )

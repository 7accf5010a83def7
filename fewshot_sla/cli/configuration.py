"""From the command line and YAML files to objects, and from a mistake in them to one line that says how to mend it."""

import difflib
import importlib
import inspect
import itertools
import re
from argparse import ArgumentError
from collections.abc import Iterable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from jsonargparse import ArgumentParser, Namespace

from episodes.errors import UserError
from fewshot_sla.cli.class_choices import without_void_arguments
from fewshot_sla.cli.describe import construct

# Lines of jsonargparse's messages that say where, or what a value was not, but not why.
_NO_REASON = re.compile(
    r"Parser key \"[\w.]+\":$|Problem with given class_path|Does not validate against any|Subtypes:|Errors:$"
    r"|Expected a <class '(NoneType|str)'>$|Given value"
)


class _Parser(ArgumentParser):
    """A parser that knows which defaults it was given beside those of the signatures."""

    recipe_defaults: dict[str, Any] | None = None


def build_parser(
    program: str,
    description: str,
    *groups: type,
    defaults: dict[str, Any] | None = None,
    config_option: bool = True,
) -> ArgumentParser:
    """A parser whose options are the arguments of dataclasses, explained by their docstrings.

    Args:
        program: what the user types, for instance ``"python -m fewshot_sla.meta_train"``.
        description: shown by --help.
        groups: dataclasses; each argument of their constructors becomes an option.
        defaults: values of arguments that have no default of their own.
        config_option: whether ``--config FILE`` and ``--print_config`` are offered.
    """
    parser = _Parser(prog=program, description=description, exit_on_error=False, default_env=False, allow_abbrev=False)
    if config_option:
        parser.add_argument("--config", action="config", help="YAML file with any of the options; may be repeated")
    for group in groups:
        parser.add_class_arguments(group, nested_key=None, fail_untyped=True, sub_configs=False)
    if defaults:
        parser.set_defaults(defaults)
        parser.recipe_defaults = defaults
        for action in parser._actions:
            action.required = action.required and action.dest.split(".")[0] not in defaults
    return parser


def parse(parser: ArgumentParser, arguments: Sequence[str]) -> Namespace:
    """Parse and check the command line.

    Raises:
        UserError: one line: which key is wrong, and the nearest valid one or the values allowed.
        SystemExit: with code 0, after --help or --print_config.
    """
    if isinstance(parser, _Parser) and parser.recipe_defaults:
        _set_defaults(parser, without_void_arguments(parser.recipe_defaults, arguments))
    try:
        return parser.parse_args(list(arguments))
    except ArgumentError as error:
        raise UserError(_explain(str(error), parser)) from error
    except UnicodeDecodeError as error:
        raise UserError(f"a configuration file is not UTF-8 text ({error.reason} at byte {error.start})") from error


def _set_defaults(parser: _Parser, defaults: dict[str, Any]) -> None:
    """Chosen classes as defaults; one that does not exist is left for the parser to complain of."""
    for name, value in defaults.items():
        with suppress(TypeError, ValueError, AttributeError, ImportError, KeyError):
            parser.set_defaults({name: value})


def join_lists(arguments: Sequence[str], option: str) -> list[str]:
    """Let a list of whole numbers be given as people type it.

    >>> join_lists(["run", "--k_shot", "1", "5", "--seed", "3"], "--k_shot")
    ['run', '--k_shot=[1,5]', '--seed', '3']
    >>> join_lists(["--k_shot=1,5"], "--k_shot")
    ['--k_shot=[1,5]']
    """
    joined: list[str] = []
    rest = list(arguments)
    while rest:
        word = rest.pop(0)
        if word.startswith(f"{option}=") and "[" not in word:
            word = f"{option}=[{word.removeprefix(f'{option}=')}]"
        if word == option and rest and re.fullmatch(r"\d+(,\d+)+", rest[0]):
            word = f"{option}=[{rest.pop(0)}]"
        if word == option and rest and rest[0].isdecimal():
            numbers = list(itertools.takewhile(str.isdecimal, rest))
            rest = rest[len(numbers) :]
            word = f"{option}=[{','.join(numbers)}]"
        joined.append(word)
    return joined


def load(parser: ArgumentParser, path: Path) -> Namespace:
    """Parse a configuration file as :func:`parse` would."""
    if not path.is_file():
        raise UserError(f"{path}: there is no such configuration file")
    try:
        return parse(parser, ["--config", str(path)])
    except UserError as error:
        raise UserError(f"{path}: {error}") from error


def instantiate(parser: ArgumentParser, options: Namespace, group: type) -> Any:
    """Build the dataclass ``group``, and all objects that its options describe, from parsed options."""
    made = instantiate_all(parser, options)
    return group(**{name: made[name] for name in inspect.signature(group).parameters})


def instantiate_all(parser: ArgumentParser, options: Namespace) -> Namespace:
    """Parsed options with objects, which keep a record of their arguments, in place of what describes them.

    Raises:
        UserError: if one cannot be built.
    """
    try:
        return parser.instantiate(options, instantiators=[(construct, object, True)])
    except (TypeError, ValueError) as error:  # of a constructor that was given what it does not take
        if isinstance(error, UserError):
            raise
        raise UserError(f"cannot build what the configuration describes: {_last_words(str(error), '')}") from error


def _explain(message: str, parser: ArgumentParser) -> str:
    """One line for what jsonargparse says in many."""
    place = ".".join(re.findall(r'Parser key "([\w.]+)"', message))
    class_paths = re.findall(r"class_path '([\w.]+)'", message)
    unknown = re.search(
        r"unrecognized arguments: -*([\w.]+)|Option '([\w.]+)' is not accepted|does not accept option '([\w.]+)'",
        message,
    )
    if unknown:
        key = next(group for group in unknown.groups() if group)
        group = re.search(r"Group '([\w.]+)'", message)
        if class_paths:
            return _unknown(key, f"{place} ({class_paths[-1]})", _arguments_of(class_paths[-1]))
        if group:
            return _unknown(key, group[1], _keys_below(parser, f"{group[1]}."))
        return _unknown(key, "", _keys_below(parser, ""))
    missing = re.search(r"module '([\w.]+)' has no attribute '(\w+)'", message)
    if missing:
        return _unknown(missing[2], f"{place} (module {missing[1]})", _names_in(missing[1]), what="class")
    return _last_words(message, place)


def _unknown(name: str, where: str, valid: Iterable[str], what: str = "key") -> str:
    valid = sorted(set(valid))
    near = difflib.get_close_matches(name, valid, n=1, cutoff=0.5) or [
        key for key in valid if key.rpartition(".")[2] == name.rpartition(".")[2]
    ]
    told = f"did you mean {near[0]!r}?" if near else f"valid ones are {', '.join(valid)}"
    return f"unknown {what} {name!r}{f' in {where}' if where else ''}; {told}"


def _keys_below(parser: ArgumentParser, prefix: str) -> list[str]:
    keys = [action.dest for action in parser._actions if action.dest not in ("help", "print_config")]
    return [key.removeprefix(prefix) for key in keys if key.startswith(prefix) and not key.endswith(".help")]


def _arguments_of(class_path: str) -> list[str]:
    module, _, name = class_path.rpartition(".")
    parameters = inspect.signature(getattr(importlib.import_module(module), name)).parameters
    return list(parameters)


def _names_in(module: str) -> list[str]:
    found = importlib.import_module(module)
    return [name for name in dir(found) if not name.startswith("_")]


def _last_words(message: str, place: str) -> str:
    """The innermost reason, on one line, behind the place it is about."""
    lines = [line.strip(" -") for line in message.splitlines()]
    reasons = [line for line in lines if line and not _NO_REASON.match(line)]
    text = re.sub(r'^Parser key "[\w.]+": *', "", "; ".join(reasons) or lines[-1])
    if given := re.search(r"Given value: ([\w.]+)$", message):
        text = text.replace("Import path does not", f"Import path {given[1]} does not")
    text = re.sub(r"<class '([\w.]+)'>", r"\1", text)
    text = re.sub(
        r"Import path ([\w.]+) does not correspond to a subclass of (\w+)",
        r"\1 is not a \2, nor a function annotated to return one",
        text,
    )
    text = re.sub(r"\. Got value: Namespace\(.*", "", text)
    text = re.sub(
        r"Expected a dot import path string: (\S+)", r"\1 is not a known class; give its path, as in package.\1", text
    )
    return f"{place}: {text}" if place else text

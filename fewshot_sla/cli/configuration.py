"""From the command line and YAML files to objects, and from a mistake in them to one line that says how to mend it."""

import importlib
import inspect
import itertools
import re
from argparse import SUPPRESS, ArgumentError
from collections.abc import Mapping, Sequence
from dataclasses import is_dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

from jsonargparse import ArgumentParser, Namespace

from episodes.errors import UserError
from fewshot_sla.cli.arguments import CommandLine, read_arguments
from fewshot_sla.cli.composition import compose
from fewshot_sla.cli.describe import construct
from fewshot_sla.cli.keys import check_keys, unknown
from fewshot_sla.cli.recipes import Wing, read_options, resolve

# Lines of jsonargparse's messages that say where, or what a value was not, but not why.
_NO_REASON = re.compile(
    r"Parser key \"[\w.]+\":$|Problem with given class_path|Does not validate against any|Subtypes:|Errors:$"
    r"|Expected a <class '(NoneType|str)'>$|Given value"
)


class ComposingParser(ArgumentParser):
    """A parser whose options are composed: defaults, a recipe, files, the command line, each laid over the former.

    Attributes:
        base: what the options are where nothing else is said; None for a program without configurations.
        wing: whose recipes ``--recipe`` names.
        parameters: of the dataclasses whose arguments are options, by name.
    """

    base: Mapping[str, Any] | None = None
    wing: Wing | None = None
    parameters: Mapping[str, inspect.Parameter] = MappingProxyType({})

    def flags(self) -> set[str]:
        """Options that take no value: those of the program itself that are off by default."""
        defaults = self.get_defaults().as_dict()
        return {f"--{key}" for key, value in defaults.items() if value is False and key not in self.parameters}


def build_parser(
    program: str,
    description: str,
    *groups: type,
    defaults: dict[str, Any] | None = None,
    wing: Wing | None = None,
    config_option: bool = True,
) -> ComposingParser:
    """A parser whose options are the arguments of dataclasses, explained by their docstrings.

    Args:
        program: what the user types, for instance ``"python -m fewshot_sla.meta_train"``.
        description: shown by --help.
        groups: dataclasses; each argument of their constructors becomes an option.
        defaults: values of arguments that have no default of their own.
        wing: whose recipes can be named by ``--recipe WORD``; None for none.
        config_option: whether ``--config FILE`` and ``--print_config`` are offered.
    """
    parser = ComposingParser(
        prog=program, description=description, exit_on_error=False, default_env=False, allow_abbrev=False
    )
    if wing:
        parser.wing = wing
        parser.add_argument(
            "--recipe",
            type=str,
            default=SUPPRESS,
            help="Base and fragments joined by +, each a name (configs/README.md) or a YAML file",
        )
    if config_option:
        parser.base = defaults or {}
        parser.add_argument("--config", action="config", help="YAML file with any of the options; may be repeated")
    parser.parameters = {
        name: parameter for group in groups for name, parameter in inspect.signature(group).parameters.items()
    }
    for group in groups:
        parser.add_class_arguments(group, nested_key=None, fail_untyped=True, sub_configs=False)
    return parser


def parse(parser: ArgumentParser, arguments: Sequence[str]) -> Namespace:
    """Parse and check the command line.

    Where there are configurations, the parser's defaults, the recipe, the files in their order, and the other options
    are composed (:func:`~fewshot_sla.cli.composition.compose`), wherever on the command line they stand.

    Raises:
        UserError: one line: which key is wrong, and the nearest valid one or the values allowed.
        SystemExit: with code 0, after --help or --print_config.
    """
    words = read_arguments(arguments, parser.flags() if isinstance(parser, ComposingParser) else set())
    try:
        if not isinstance(parser, ComposingParser) or parser.base is None:
            check_keys(compose({}, *words.options), known_options(parser))
            return parser.parse_args(list(arguments))
        return _composed(parser, words)
    except ArgumentError as error:
        raise UserError(_explain(str(error))) from error


def load(parser: ArgumentParser, path: Path) -> Namespace:
    """Parse a configuration file as :func:`parse` would.

    Raises:
        UserError: one line, which names the file.
    """
    options = read_options(path)
    try:
        return typed(parser, compose(getattr(parser, "base", None) or {}, options))
    except ArgumentError as error:
        raise UserError(f"{path}: {_explain(str(error))}") from error
    except UserError as error:
        raise UserError(f"{path}: {error}") from error


def understood(parser: ArgumentParser, options: dict[str, Any]) -> Namespace:
    """Composed options that come from no file and no command line, as :func:`typed` gives them.

    Raises:
        UserError: one line: what is wrong with which key.
    """
    try:
        return typed(parser, options)
    except ArgumentError as error:
        raise UserError(_explain(str(error))) from error


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


def _composed(parser: ComposingParser, words: CommandLine) -> Namespace:
    if words.stray:
        raise UserError(f"unrecognized: {words.stray[0]!r}; options begin with --, as in --seed 1")
    if len(words.recipes) > 1 or (words.recipes and parser.wing is None):
        raise UserError("--recipe: give one word, base and fragments joined by +")
    # Before files are read: mistyped names of the options that name them are found here.
    check_keys(compose({}, *words.options), {**known_options(parser), "recipe": None, "config": None})
    recipes = [resolve(word, parser.wing) for word in words.recipes if parser.wing]
    options = compose(parser.base or {}, *recipes, *map(read_options, words.configs), *words.options)
    if words.asked:
        check_keys(options, known_options(parser))
        parser.set_defaults(options)
        return parser.parse_args(words.asked)  # exits
    return typed(parser, options)


def typed(parser: ArgumentParser, options: dict[str, Any]) -> Namespace:
    """Composed options, every one of its type; classes with all their arguments.

    Raises:
        UserError: for a key or a class that there is not.
        ArgumentError: for a value of another type.
    """
    check_keys(options, known_options(parser))
    return parser.parse_object(options)


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
        raise UserError(f"cannot build what the configuration describes: {_explain(str(error))}") from error


def known_options(parser: ArgumentParser) -> dict[str, Any]:
    """Every option, as :func:`~fewshot_sla.cli.keys.check_keys` wants to know them."""
    parameters = parser.parameters if isinstance(parser, ComposingParser) else {}
    defaults = {key: value for key, value in parser.get_defaults().as_dict().items() if key != "config"}
    groups = {key for key in defaults if key in parameters and is_dataclass(parameters[key].annotation)}
    return {key: value if key in groups else parameters.get(key) for key, value in defaults.items()}


def _explain(message: str) -> str:
    """One line for what jsonargparse says in many: the innermost reason, behind the place that it is about."""
    place = ".".join(re.findall(r'Parser key "([\w.]+)"', message))
    if missing := re.search(r"module '([\w.]+)' has no attribute '(\w+)'", message):
        names = [name for name in dir(importlib.import_module(missing[1])) if not name.startswith("_")]
        return unknown(missing[2], f"{place} (module {missing[1]})", names, what="class")
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

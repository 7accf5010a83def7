"""The words of a command line: which name recipes and files, which set an option, which ask for help."""

import shlex
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import yaml

from episodes.errors import UserError

_ASK_ALONE = ("-h", "--help", "--print_config")


@dataclass
class CommandLine:
    """A command line, taken apart.

    Attributes:
        recipes: words behind ``--recipe``.
        configs: paths behind ``--config``, in their order.
        options: the others, one nested mapping each, in their order.
        asked: for help, or for the configuration to be printed.
        stray: what belongs to no option.
    """

    recipes: list[str] = field(default_factory=list)
    configs: list[str] = field(default_factory=list)
    options: list[dict[str, Any]] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)
    stray: list[str] = field(default_factory=list)


def read_arguments(
    arguments: Sequence[str],
    flags: set[str],  # options that take no value
) -> CommandLine:
    """Take a command line apart; of lists with spaces, all but the first value is stray.

    Raises:
        UserError: for a value that begins as a YAML mapping and is none.
    """
    words = CommandLine()
    rest = list(arguments)
    while rest:
        word = rest.pop(0)
        name, equals, value = word.partition("=")
        if not name.startswith("--") and name != "-h":
            words.stray.append(word)
            continue
        asks = name in _ASK_ALONE or name.endswith(".help")
        if not equals and name not in flags and rest and not rest[0].startswith("--") and name not in _ASK_ALONE:
            value, equals = rest.pop(0), "="
        if asks:
            words.asked += [f"{name}={value}" if equals else name]
        elif name in ("--recipe", "--config"):
            (words.recipes if name == "--recipe" else words.configs).append(value)
        else:
            words.options.append(_nested(name.removeprefix("--"), value if equals else True))
    return words


def _nested(key: str, value: str | bool) -> dict[str, Any]:
    """An option as a fragment of a configuration; its value stays the text that the type of the option will read.

    >>> _nested("loop.steps", "3")
    {'loop': {'steps': '3'}}
    """
    node: Any = value
    if isinstance(value, str) and value.lstrip().startswith("{"):
        try:
            node = yaml.safe_load(value)
        except yaml.YAMLError as error:
            raise UserError(f"--{key}: not readable as YAML ({' '.join(str(error).split())})") from error
    for name in reversed(key.split(".")):
        node = {name: node}
    return node


def reproducing_command(program: str, arguments: Sequence[str], begun: str = "") -> str:
    """The command that asks for the same again; of a run that is resumed, the one that began it with what is new.

    >>> reproducing_command("train", ["--recipe", "cifar100+sla", "--resume"])
    'python -m fewshot_sla.train --recipe cifar100+sla'

    Args:
        program: name of the door.
        arguments: of its command line.
        begun: the command that began the run, if the arguments do not say it anew.
    """
    asked = shlex.join(word for word in arguments if word != "--resume")
    command = begun or f"python -m fewshot_sla.{program}"
    return command if begun and asked in begun else f"{command} {asked}".strip()

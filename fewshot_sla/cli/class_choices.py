"""Which classes a user chose, on the command line or in YAML files: then the arguments of the default ones are void.

jsonargparse hands the default class's arguments on to whatever class is chosen instead, if it knows the names: a
ResNet-12 would be built for the one channel of the default Conv-4, and Adam would run at the learning rate of SGD.
"""

import copy
import itertools
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

_CLASS_PATH = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)+")
Place = tuple[str, ...]  # keys that lead to a class, without "init_args"


def without_void_arguments(
    defaults: Mapping[str, Any],  # of a parser: plain containers, classes as class_path and init_args
    arguments: Sequence[str],
) -> dict[str, Any]:
    """The defaults, with the chosen classes in place of theirs, and of those no arguments.

    >>> defaults = {"optimizer": {"class_path": "torch.optim.SGD", "init_args": {"lr": 0.1}}}
    >>> without_void_arguments(defaults, ["--optimizer=torch.optim.Adam"])
    {'optimizer': {'class_path': 'torch.optim.Adam'}}
    """
    chosen = copy.deepcopy(dict(defaults))
    for place, class_path in _choices(arguments):
        *above, name = place
        node: Any = chosen
        for key in above:
            node = _below(node, key)
        inside = node.get("init_args", node) if isinstance(node, dict) else {}
        default = inside.get(name)
        if isinstance(default, dict) and default.get("class_path", class_path) != class_path:
            inside[name] = {"class_path": class_path}
    return chosen


def _below(node: Any, key: str) -> Any:
    if not isinstance(node, dict):
        return {}
    return node.get("init_args", node).get(key, {})


def _choices(arguments: Sequence[str]) -> Iterator[tuple[Place, str]]:
    """Every class that is named, in the order in which the names count."""
    words = list(arguments)
    for word, following in itertools.pairwise([*words, ""]):
        option, _, value = word.partition("=")
        value = value if "=" in word else following
        if option == "--config":
            yield from _choices_in(_read(value), ())
        elif option.startswith("--") and _CLASS_PATH.fullmatch(value):
            place = option.removeprefix("--").removesuffix(".class_path").split(".")
            yield tuple(key for key in place if key != "init_args"), value


def _choices_in(node: Any, place: Place) -> Iterator[tuple[Place, str]]:
    """The classes of a configuration, outer ones first."""
    if not isinstance(node, dict):
        return
    if place and isinstance(node.get("class_path"), str):
        yield place, node["class_path"]
    for key, value in node.items():
        if isinstance(value, str) and _CLASS_PATH.fullmatch(value) and key != "class_path":
            yield (*place, str(key)), value
        else:
            yield from _choices_in(value, place if key == "init_args" else (*place, str(key)))


def _read(path: str) -> Any:
    """A configuration, or nothing: the parser itself will say what is wrong with it."""
    try:
        return yaml.safe_load(Path(path).expanduser().read_text(encoding="utf-8"))
    except (OSError, ValueError, yaml.YAMLError):
        return None

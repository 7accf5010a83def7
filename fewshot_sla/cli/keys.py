"""Whether every key of a configuration is one that somebody takes; if not, which was meant."""

import difflib
import importlib
import inspect
from collections.abc import Iterable, Mapping
from typing import Any

from episodes.errors import UserError


def check_keys(
    options: Mapping[str, Any],
    known: Mapping[str, Any],  # every option: under a group of options theirs, else the parameter or anything
    where: str = "",
) -> None:
    """Raise UserError, with the nearest valid name, for a key that nobody takes or a class that is not there.

    What has no ``class_path`` to tell what it takes is not looked into, nor are classes that take any keyword.
    """
    for key, value in options.items():
        place = f"{where}.{key}" if where else str(key)
        if key not in known:
            raise UserError(unknown(str(key), where, known))
        if isinstance(known[key], Mapping):
            if not isinstance(value, Mapping):
                raise UserError(f"{place}: must hold options ({', '.join(known[key])}), got {value!r}")
            check_keys(value, known[key], place)
        else:
            parameter = known[key]
            _check_class(_with_class(value, parameter) if isinstance(parameter, inspect.Parameter) else value, place)


def unknown(name: str, where: str, valid: Iterable[str], what: str = "key") -> str:
    """One line about a name that is not valid.

    >>> unknown("kshot", "train", ["n_way", "k_shot"])
    "unknown key 'kshot' in train; did you mean 'k_shot'?"
    """
    valid = sorted(set(valid))
    near = difflib.get_close_matches(name, valid, n=1, cutoff=0.5)
    told = f"did you mean {near[0]!r}?" if near else f"valid ones are {', '.join(valid)}"
    return f"unknown {what} {name!r}{f' in {where}' if where else ''}; {told}"


def _check_class(node: Any, place: str) -> None:
    if not isinstance(node, Mapping) or "." not in str(node.get("class_path", "")):
        return
    described = _class_at(node["class_path"], place)
    arguments = node.get("init_args") or {}
    if described is None or not isinstance(arguments, Mapping):
        return
    parameters = inspect.signature(described).parameters
    if any(parameter.kind is inspect.Parameter.VAR_KEYWORD for parameter in parameters.values()):
        return
    for key, value in arguments.items():
        if key not in parameters:
            raise UserError(unknown(str(key), f"{place} ({node['class_path']})", parameters))
        _check_class(_with_class(value, parameters[key]), f"{place}.{key}")


def _class_at(class_path: str, place: str) -> Any:
    """What is there to be called; None if only the parser knows how to find it."""
    module_name, _, name = class_path.rpartition(".")
    try:
        module = importlib.import_module(module_name)
    except ImportError:  # the parser will say so
        return None
    if not hasattr(module, name):
        names = [name for name in dir(module) if not name.startswith("_")]
        raise UserError(unknown(name, f"{place} (module {module_name})", names, what="class"))
    found = getattr(module, name)
    return found if callable(found) else None


def _with_class(value: Any, parameter: inspect.Parameter) -> Any:
    """The node of an argument that is an object: it may be the name of a class alone, or leave out the default's."""
    if isinstance(value, str) and _is_object(parameter.annotation):
        return {"class_path": value}
    if isinstance(value, Mapping) and "class_path" not in value and _is_object(type(parameter.default)):
        default = type(parameter.default)
        return {"class_path": f"{default.__module__}.{default.__qualname__}", "init_args": value}
    return value


def _is_object(kind: Any) -> bool:
    return inspect.isclass(kind) and kind.__module__ not in ("builtins", "dataclasses", "pathlib")

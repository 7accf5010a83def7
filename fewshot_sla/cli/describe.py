"""Objects as class paths with arguments: what a file can say of a model without pickling it."""

import functools
import inspect
from collections.abc import Mapping
from contextlib import suppress
from enum import Enum
from typing import Any, TypeVar

from torch import Tensor, nn

from episodes.errors import UserError

T = TypeVar("T")
# {"class_path": ..., "init_args": {...}}, as in YAML files; "dict_kwargs" holds arguments that no signature names.
Description = Mapping[str, Any]

_RECORD = "_constructed_from"  # attribute with the description of an object that was made from one


def construct(kind: type[T], *args: Any, **kwargs: Any) -> T:
    """Make an object and record its arguments: jsonargparse's instantiator for everything that is configured."""
    made = kind(*args, **kwargs)
    if not args:
        record(made, {"class_path": kind, "init_args": kwargs})
    return made


def record(thing: object, description: Description) -> None:
    """Keep with an object what it was made from; :func:`describe` will return it."""
    with suppress(AttributeError, TypeError):  # builtins and classes with slots have no room for it
        object.__setattr__(thing, _RECORD, description)


def record_all(thing: object, description: Description) -> None:
    """The same for an object and its parts, as far as they are attributes: what a function made has no record yet."""
    record(thing, description)
    for name, inner in description.get("init_args", {}).items():
        if isinstance(inner, Mapping) and "class_path" in inner and hasattr(thing, name):
            record_all(getattr(thing, name), inner)


def forget(thing: object) -> None:
    """Drop the record of an object that was changed: its attributes say more from now on."""
    vars(thing).pop(_RECORD, None)


def describe(thing: object) -> dict[str, Any]:
    """Class path and arguments of an object, as plain values.

    They are those that were recorded when it was made, or else its attributes that have the names of its constructor's
    parameters. The latter is a convention, not a law: whoever writes a file makes the object again and compares.

    Raises:
        UserError: if its class has no path, or a parameter has no attribute of its name.
    """
    recorded = getattr(thing, _RECORD, None)
    return plain(recorded or _by_attributes(thing), _path(type(thing)))


def plain(value: Any, where: str) -> Any:
    """Numbers, text, lists and descriptions.

    Raises:
        UserError: if ``value`` cannot be said so; ``where`` it was found is named.
    """
    match value:
        case None | bool() | int() | float() | str():
            return value
        case Enum():
            return value.name
        case Tensor() if value.ndim == 0:
            return value.item()
        case list() | tuple():
            return [plain(item, where) for item in value]
        case Mapping():
            return {str(key): plain(item, f"{where}.{key}") for key, item in value.items()}
        case type():
            return _path(value)
        case functools.partial() if not value.args:
            return {"class_path": _path(value.func), "init_args": plain(value.keywords, where)}
    if type(value).__module__ == "builtins" or isinstance(value, Tensor):
        raise UserError(f"{where} is a {type(value).__name__}, which cannot be described")
    return describe(value)


def _path(kind: Any) -> str:
    path = f"{kind.__module__}.{kind.__qualname__}"
    if kind.__module__ == "__main__" or "<" in path:
        raise UserError(f"{path} cannot be found again by its name; put the class into a module of its own")
    return path


def _by_attributes(thing: object) -> Description:
    """Attributes with the names of the constructor's parameters."""
    kind = type(thing)
    takes_none = kind.__init__ in (nn.Module.__init__, object.__init__)  # whose signature says (*args, **kwargs)
    names = [] if takes_none else list(inspect.signature(kind).parameters)
    missing = [name for name in names if not hasattr(thing, name)]
    if missing:
        raise UserError(
            f"{_path(kind)} keeps no attribute {missing[0]!r}, so it cannot be described; "
            f"let its constructor keep the argument under that name, unchanged"
        )
    return {"class_path": kind, "init_args": {name: getattr(thing, name) for name in names}}

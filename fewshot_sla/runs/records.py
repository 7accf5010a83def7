"""Dataclasses as JSON and back: strict about what a field holds, lenient about fields that one side does not know."""

import json
import math
from collections.abc import Callable, Mapping
from dataclasses import MISSING, fields, is_dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar, get_args, get_origin, get_type_hints

from episodes.errors import UserError
from fewshot_sla.runs.folder import write_text

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

    Record = TypeVar("Record", bound=DataclassInstance)
else:
    Record = TypeVar("Record")


def to_json(record: "DataclassInstance") -> dict[str, Any]:
    """Every field by its name, as values that JSON has; see :func:`plain`."""
    return {field.name: plain(getattr(record, field.name)) for field in fields(record)}


def from_json(
    kind: type[
        Record
    ],  # a dataclass; its fields are str, bool, int, float, dataclasses like it, or lists or dicts of these
    values: object,  # what json.loads made of the text
    where: str,  # of the values in their file, for messages
) -> Record:
    """Inverse of :func:`to_json`.

    Fields that the dataclass does not have are ignored: a newer program wrote them. Fields that are not among the
    values take their defaults: an older one did.

    Raises:
        UserError: if a value is not of its field's type, or a field without a default is missing; names the field.
    """
    if not isinstance(values, dict):
        raise _wrong(where, "an object with named fields", values)
    types = get_type_hints(kind)
    given = {}
    for field in fields(kind):
        place = f"{where}.{field.name}" if where else field.name
        if field.name in values:
            given[field.name] = _read(types[field.name], values[field.name], place)
        elif field.default is MISSING and field.default_factory is MISSING:
            raise UserError(f"{place} is missing")
    return kind(**given)


def plain(value: Any) -> Any:
    """Records, containers, text and numbers as JSON has them: NaN is null, infinity is text.

    >>> plain({"ci95": float("nan"), "bounds": (0.5, float("inf"))})
    {'ci95': None, 'bounds': [0.5, 'inf']}
    """
    if isinstance(value, float) and not math.isfinite(value):
        return None if math.isnan(value) else str(value)
    if isinstance(value, Mapping):
        return {name: plain(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    if is_dataclass(value) and not isinstance(value, type):
        return to_json(value)
    return value


def write_json(path: Path, document: Mapping[str, Any]) -> None:
    """Write :func:`plain` values so that people can read them too; the file is whole or not there at all."""
    write_text(path, json.dumps(plain(document), indent=2, ensure_ascii=False, allow_nan=False) + "\n")


def _read(kind: Any, value: object, where: str) -> Any:
    """A value of a field of this type."""
    items = get_args(kind)
    if get_origin(kind) is list:
        if not isinstance(value, list):
            raise _wrong(where, "a list", value)
        return [_read(items[0], item, f"{where}[{place}]") for place, item in enumerate(value)]
    if get_origin(kind) is dict:
        if not isinstance(value, dict):
            raise _wrong(where, "an object with named fields", value)
        return {name: _read(items[1], item, f"{where}.{name}") for name, item in value.items()}
    if isinstance(kind, type) and is_dataclass(kind):
        return from_json(kind, value, where)
    read, words = _SCALARS[kind]
    try:
        return read(value)
    except (TypeError, ValueError, OverflowError) as error:
        raise _wrong(where, words, value) from error


def _exactly(kind: type) -> Callable[[Any], Any]:
    """Takes values of one type and no other: to Python True is an int, to a reader of results it is not."""

    def read(value: Any) -> Any:
        if type(value) is not kind:
            raise TypeError
        return value

    return read


def _float(value: Any) -> float:
    """A number; NaN and infinities as :func:`plain` writes them."""
    if value is None:
        return float("nan")
    if type(value) in (int, float) or value in ("inf", "-inf"):
        return float(value)
    raise TypeError


_SCALARS: dict[type, tuple[Callable[[Any], Any], str]] = {
    str: (_exactly(str), "text"),
    bool: (_exactly(bool), "true or false"),
    int: (_exactly(int), "a whole number"),
    float: (_float, "a number"),
}


def _wrong(where: str, expected: str, got: object) -> UserError:
    return UserError(f"{where or 'it'} must be {expected}, got {json.dumps(got, ensure_ascii=False):.60}")

"""Python's plain values as JSON and back, exactly: what JSON alone would change (tuples, number keys) is marked."""

import json
from collections import Counter
from typing import Any

from episodes.errors import UserError

_MARK = "__python__"


def dumps(value: Any) -> str:
    """JSON text from which :func:`loads` makes an equal value of equal types.

    >>> loads(dumps({1: (0.1, None), "a": [True]}))
    {1: (0.1, None), 'a': [True]}

    Raises:
        UserError: if something in it is not a number, text, list, tuple, dict or None.
    """
    return json.dumps(_encode(value))


def loads(text: str) -> Any:
    """Inverse of :func:`dumps`."""
    return _decode(json.loads(text))


def _encode(value: Any) -> Any:
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, list):
        return [_encode(item) for item in value]
    if isinstance(value, tuple):
        return {_MARK: "tuple", "items": [_encode(item) for item in value]}
    if isinstance(value, dict):
        if type(value) is dict and all(isinstance(key, str) for key in value):
            return {key: _encode(item) for key, item in value.items()}
        kind = "counter" if isinstance(value, Counter) else "dict"
        return {_MARK: kind, "items": [[_encode(key), _encode(item)] for key, item in value.items()]}
    raise UserError(
        f"a checkpoint cannot hold a {type(value).__name__} ({value!r:.60}); "
        "use a schedule and an optimizer whose state is numbers, text, lists, dicts and tensors"
    )


def _decode(value: Any) -> Any:
    if isinstance(value, list):
        return [_decode(item) for item in value]
    if not isinstance(value, dict):
        return value
    kind = value.get(_MARK)
    if kind is None:
        return {key: _decode(item) for key, item in value.items()}
    if kind == "tuple":
        return tuple(_decode(item) for item in value["items"])
    pairs = {_decode(key): _decode(item) for key, item in value["items"]}
    return Counter(pairs) if kind == "counter" else pairs

"""From a dotted path to a head, with every way this can fail told in one line."""

import importlib
import json
from collections.abc import Callable
from typing import Any

from episodes.errors import UserError
from fewshot_sla.heads.base import Head


def head_factory(
    class_path: str,
    init_args: str = "{}",
) -> Callable[[], Head]:
    """What makes the head; it has made one already, to see that it can.

    Args:
        class_path: dotted path of a class.
        init_args: JSON object of keyword arguments of its constructor.

    Raises:
        UserError: the arguments are no JSON object, or the class cannot be imported, is not a Head, or cannot be
            constructed.
    """
    arguments = _json_object(init_args)
    head_class = _import_head_class(class_path)

    def make() -> Head:
        return head_class(**arguments)

    try:
        make()
    except Exception as error:  # a stranger's constructor may raise anything
        raise UserError(f"cannot construct {class_path}(**{arguments}): {_line(error)}") from error
    return make


def _import_head_class(class_path: str) -> type[Head]:
    module_name, _, name = class_path.rpartition(".")
    if not module_name:
        raise UserError(f"'{class_path}' is no dotted path: give package.module.Class")
    try:
        module = importlib.import_module(module_name)
    except Exception as error:  # a stranger's module may raise anything while it is imported
        raise UserError(f"cannot import {module_name}: {_line(error)}") from error
    found = getattr(module, name, None)
    if found is None:
        raise UserError(f"module {module_name} has no {name}")
    if not (isinstance(found, type) and issubclass(found, Head)):
        raise UserError(f"{class_path} is not a subclass of fewshot_sla.heads.Head")
    return found


def _json_object(text: str) -> dict[str, Any]:
    try:
        value = json.loads(text)
    except json.JSONDecodeError as error:
        raise UserError(f"--init_args is not JSON: {error}") from error
    if not isinstance(value, dict):
        raise UserError(f"--init_args must be a JSON object, got {text}")
    return value


def _line(error: Exception) -> str:
    text = str(error).strip().splitlines()
    return f"{type(error).__name__}: {text[0]}" if text else type(error).__name__

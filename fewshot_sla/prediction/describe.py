"""Objects as class paths with arguments, and back: what a file can say of a model without pickling it."""

import functools
import inspect
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from jsonargparse import ArgumentParser
from torch import Tensor

from episodes.errors import UserError
from fewshot_sla.cli import configuration
from fewshot_sla.meta.learners.base import MetaLearner
from fewshot_sla.meta.objectives import EpisodeObjective

Description = Mapping[str, Any]  # {"class_path": ..., "init_args": {...}}, plain values only


@dataclass
class Parts:
    """What predicts.

    Args:
        learner: the meta-learner.
        objective: says how to infer, and with which transformations.
    """

    learner: MetaLearner
    objective: EpisodeObjective


def describe(thing: Any) -> dict[str, Any]:
    """Class path and arguments of an object, read off its attributes that are called as its constructor's parameters.

    That is a convention, not a law; whoever writes a file makes the object again and compares.

    Raises:
        UserError: if its class has no path, or a parameter without default has no such attribute.
    """
    kind = type(thing)
    path = f"{kind.__module__}.{kind.__qualname__}"
    if kind.__module__ == "__main__" or "<" in path:
        raise UserError(f"{path} cannot be found again by its name; put the class into a module of its own")
    arguments = {}
    for name, parameter in inspect.signature(kind).parameters.items():
        if hasattr(thing, name):
            arguments[name] = _plain(getattr(thing, name), f"{path}.{name}")
        elif parameter.default is inspect.Parameter.empty and parameter.kind is not inspect.Parameter.VAR_KEYWORD:
            raise UserError(f"{path} keeps no attribute {name!r}, so it cannot be described; keep one of that name")
    return {"class_path": path, "init_args": arguments}


def build(learner: Description, objective: Description) -> Parts:
    """Inverse of :func:`describe` for the two that predict.

    Raises:
        UserError: if one of them cannot be built.
    """
    parser = _parser()
    options = configuration.parse(
        parser, [f"--learner={json.dumps(dict(learner))}", f"--objective={json.dumps(dict(objective))}"]
    )
    return configuration.instantiate(parser, options, Parts)


@functools.cache
def _parser() -> ArgumentParser:
    return configuration.build_parser("predict", "", Parts, config_option=False)


def _plain(value: Any, where: str) -> Any:
    """Numbers, text, lists and descriptions."""
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, Tensor) and value.ndim == 0:
        return value.item()
    if isinstance(value, list | tuple):
        return [_plain(item, where) for item in value]
    if isinstance(value, dict):
        return {str(key): _plain(item, where) for key, item in value.items()}
    if type(value).__module__ == "builtins":
        raise UserError(f"{where} is a {type(value).__name__}, which cannot be described")
    return describe(value)

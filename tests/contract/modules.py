"""The modules of the project and what each defines, for the tests that hold for all of them."""

import importlib
import inspect
import pkgutil
from collections.abc import Iterator
from functools import cached_property
from types import ModuleType
from typing import Any

PACKAGES = ("episodes", "fewshot_sla")


def module_names() -> list[str]:
    """Dotted names of all modules, without the ones that run when they are imported."""
    found = list(PACKAGES)
    for package in PACKAGES:
        walk = pkgutil.walk_packages(importlib.import_module(package).__path__, f"{package}.")
        found += [module.name for module in walk if not module.name.endswith(".__main__")]
    return sorted(found)


def is_ours(thing: object) -> bool:
    """Whether a class or function is defined in this project."""
    return str(getattr(thing, "__module__", "")).split(".")[0] in PACKAGES


def definitions(module: ModuleType) -> Iterator[tuple[str, Any]]:
    """The public classes and functions of a module, and the public methods of its classes, each with its name."""
    for name, value in vars(module).items():
        if not name.startswith("_") and getattr(value, "__module__", "") == module.__name__ and callable(value):
            yield name, value
            if inspect.isclass(value):
                yield from ((f"{name}.{method}", function) for method, function in methods(value))


def methods(cls: type) -> Iterator[tuple[str, Any]]:
    """The public methods and properties in the body of a class: what is called or read, unwrapped."""
    for name, value in vars(cls).items():
        function = getattr(value, "__func__", None) or getattr(value, "fget", None) or value
        function = function.func if isinstance(function, cached_property) else function
        if inspect.isfunction(function) and (not name.startswith("_") or name == "__call__"):
            yield name, function

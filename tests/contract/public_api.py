"""What is public: the names in ``__all__`` of the packages, what they are called with, and what they are for.

``docs/api.md`` shows it; ``python -m tests.contract.public_api --write`` writes that page anew.
"""

import importlib
import inspect
import re
import sys
from collections.abc import Iterator
from enum import Enum
from functools import cache, cached_property
from pathlib import Path
from types import ModuleType
from typing import Any

from tests.contract.modules import is_ours, methods, module_names

PAGE = Path(__file__).parents[2] / "docs" / "api.md"
COMMAND = "python -m tests.contract.public_api --write"
HEAD = f"""# What is public

The names that the packages export, what they are called with, and what they are for; the docstrings give shapes, ranges
and errors. A class that builds on another of these has the other's methods, too. All else may change without notice.
`{COMMAND}` writes this page anew; a test compares it with the code.
"""


def page() -> str:
    """The page, as it should be."""
    return "\n".join([HEAD, *(line for package in packages() for line in section(package))])


@cache
def packages() -> tuple[ModuleType, ...]:
    """The packages that export something."""
    modules = [importlib.import_module(name) for name in module_names()]
    return tuple(module for module in modules if hasattr(module, "__path__") and hasattr(module, "__all__"))


@cache
def exported() -> frozenset[Any]:
    """All that some package exports, by value."""
    return frozenset(getattr(package, name) for package in packages() for name in package.__all__)


def section(package: ModuleType) -> Iterator[str]:
    """A heading, and the exported names: classes with their methods, functions, and the rest by name."""
    yield from (f"## `{package.__name__}`", "", first_line(package), "")
    for name in sorted(package.__all__):
        thing = getattr(package, name)
        yield f"- `{name}{signature(thing)}`: {first_line(thing)}" if callable(thing) else f"- `{name}`"
        if inspect.isclass(thing) and (found := interface(thing)):
            yield "  - " + ", ".join(f"`.{method}{arguments}`" for method, arguments in sorted(found.items()))
    yield ""


def first_line(thing: Any) -> str:
    """What a docstring begins with, without its references."""
    line = (inspect.getdoc(thing) or "").partition("\n")[0]
    return re.sub(r":\w+:`~?([^`]*)`", r"`\1`", line).replace("``", "`").removesuffix("::")


def interface(cls: type) -> dict[str, str]:
    """Public methods with their signatures, but those that stand with an exported base class."""
    bases = [base for base in cls.__mro__[1:] if is_ours(base) and base in exported()]
    elsewhere = {name for base in bases for name, _ in methods(base)} | {"extra_repr"}
    own = [base for base in reversed(cls.__mro__) if is_ours(base) and base not in bases]
    found = ((name, vars(base)[name], function) for base in own for name, function in methods(base))
    return {
        name: "" if isinstance(value, property | cached_property) else signature(function)
        for name, value, function in found
        if name not in elsewhere
    }


def signature(thing: Any) -> str:
    """Names and plain defaults of the arguments: the same text under every version of Python."""
    if inspect.isclass(thing):
        maker = next(base for base in thing.__mro__ if {"__init__", "__new__"} & vars(base).keys())
        if not is_ours(maker) or inspect.isabstract(thing) or issubclass(thing, Enum):
            return ""
    given = inspect.signature(thing).parameters.values()
    bare = [one.replace(annotation=one.empty, default=plain(one.default)) for one in given]
    return str(inspect.Signature([one for one in bare if one.name not in ("self", "cls")]))


class _Dots:
    """A default that is an object."""

    def __repr__(self) -> str:
        return "..."


def plain(default: Any) -> Any:
    """A default that reads the same everywhere, or dots."""
    parts = default if isinstance(default, tuple) else (default,)
    simple = all(isinstance(part, str | int | float | None) for part in parts) or default is inspect.Parameter.empty
    return default if simple else _Dots()


if __name__ == "__main__":
    if sys.argv[1:] != ["--write"]:
        sys.exit(f"usage: {COMMAND}")
    PAGE.write_text(page(), encoding="utf-8")

"""Docstrings are true: their examples give what they say, and they name no argument or error that does not exist."""

import builtins
import doctest
import importlib
import inspect
import re
from collections.abc import Iterator
from functools import cache
from types import ModuleType
from typing import Any

import pytest

from tests.contract.modules import definitions, is_ours, module_names

SECTION = re.compile(r"^(Args|Attributes|Raises|Returns|Yields):$")
ENTRY = re.compile(r"^ {4}(\S[^:]*): (.*)$")
CAPITAL = re.compile(r"(A|[A-Z][a-z]+)\b(?!\()")  # of a sentence; not RGB, [C], N-way or ResNet12
NAMES = {"True", "False", "None", "Euclidean", "Gaussian", "Hessian", "Python"}  # have capitals in a sentence, too


def entries(docstring: str, wanted: str) -> list[tuple[str, str]]:
    """Names and texts of one section of a docstring, in order."""
    found, section = [], ""
    for line in inspect.cleandoc(docstring).splitlines():
        if head := SECTION.match(line):
            section = head[1]
        elif line and not line.startswith(" "):
            section = ""
        elif section == wanted and (entry := ENTRY.match(line)):
            found += [(name.lstrip("*"), entry[2]) for name in entry[1].split(", ")]
    return found


def faults(module: ModuleType, thing: Any) -> Iterator[str]:
    """What the docstring of a class or function says that is not so."""
    text = thing.__doc__ or ""
    documented = [name for name, _ in entries(text, "Args")]
    arguments = list(inspect.signature(thing).parameters) if documented else []
    yield from (f"Args: no argument {name}" for name in documented if name not in arguments)
    in_order = [name for name in arguments if name in documented]
    if len(in_order) == len(documented) and in_order != documented:
        yield f"Args: the order of the signature is {', '.join(in_order)}"
    yield from (f"Attributes: no attribute {name}" for name, _ in entries(text, "Attributes") if not has(thing, name))
    yield from (f"Raises: no error {name}" for name, _ in entries(text, "Raises") if not is_error(module, name))
    for section in ("Args", "Attributes", "Raises"):
        for name, said in entries(text, section):
            if (first := CAPITAL.match(said)) and first[0] not in NAMES | classes().keys():
                yield f"{section}: {name}: {first[0]!r} begins in upper case"


def has(cls: type, name: str) -> bool:
    """Whether objects of a class have an attribute: a field, a property, or set in one of its methods."""
    ours = [base for base in cls.__mro__ if is_ours(base)]
    declared = any(name in vars(base) or name in inspect.get_annotations(base) for base in ours)
    return declared or any(re.search(rf"\bself\.{name}\b.* = ", inspect.getsource(base)) for base in ours)


def is_error(module: ModuleType, name: str) -> bool:
    """Whether a name is an exception: Python's, the project's, or what the module calls so, like zipfile.BadZipFile."""
    first, _, attribute = name.partition(".")
    value = getattr(builtins, first, None) or classes().get(first) or vars(module).get(first)
    value = getattr(value, attribute) if attribute else value
    return isinstance(value, type) and issubclass(value, BaseException)


@cache
def classes() -> dict[str, type]:
    """All classes of the project by name: who raises an error, or takes an object, need not import its class."""
    things = (entry for name in module_names() for entry in definitions(importlib.import_module(name)))
    return {name: thing for name, thing in things if inspect.isclass(thing)}


@pytest.mark.parametrize("name", module_names())
def test_docstrings_fit_what_they_describe(name: str) -> None:
    module = importlib.import_module(name)
    found = [f"{name}.{where}: {fault}" for where, thing in definitions(module) for fault in faults(module, thing)]
    assert not found, "\n".join(found)


@pytest.mark.parametrize("name", module_names())
def test_examples_in_docstrings_give_what_they_say(name: str) -> None:
    assert not doctest.testmod(importlib.import_module(name)).failed


def described(first: int, second: int = 0) -> None:
    """A function whose docstring the next test replaces by one with a fault."""


@pytest.mark.parametrize(
    ("section", "fault"),
    [
        ("Args:\n    third: of three.", "Args: no argument third"),
        ("Args:\n    second: of two.\n    first: of two.", "Args: the order of the signature is first, second"),
        ("Args:\n    first: The first.", "Args: first: 'The' begins in upper case"),
        ("Raises:\n    UserEror: if it is wrong.", "Raises: no error UserEror"),
    ],
)
def test_the_search_for_faults_finds_them(section: str, fault: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(described, "__doc__", f"One line.\n\n{section}\n")
    assert list(faults(importlib.import_module(__name__), described)) == [fault]

"""The pages name only what there is: modules, classes and their attributes, files, and headings that they link to."""

import importlib
import importlib.util
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from episodes import EpisodeBatch

ROOT = Path(__file__).parents[2]
# Not CHANGELOG.md: what it says of the past may be gone.
PAGES = [
    ROOT / "README.md",
    ROOT / "CONTRIBUTING.md",
    *sorted(ROOT.glob("[!.]*/*.md")),
    *sorted(ROOT.glob("fewshot_sla/**/*.md")),
]
DOTTED = re.compile(r"(?<![\w./])(?:episodes|fewshot_sla|benchmarks)(?:\.(?!NAME)\w+)+(?![\w/])")
FILE = re.compile(
    r"(?<![\w./])(?:episodes|fewshot_sla|benchmarks|tests|docs|configs|examples)/[\w.*-][\w./*-]*[\w/*](?![\w./*{-])"
)
CODE = re.compile(r"`([\w/]+\.py)`")  # a file by its last names
ROLE = re.compile(r":\w+:`~?((?:episodes|fewshot_sla)\.[\w.]+)`")  # in a docstring
LINK = re.compile(r"\]\((?!https?:|mailto:)([^)#\s]*)(?:#([^)\s]*))?\)")


def name_of(path: Path) -> str:
    return str(path.relative_to(ROOT))


def dead_names(text: str) -> Iterator[str]:
    """Dotted names that neither are a module nor lead to anything inside of one."""
    yield from (name for name in sorted(set(DOTTED.findall(text))) if not leads_somewhere(name))


def leads_somewhere(name: str) -> bool:
    """Whether a dotted name is a module, or an attribute of one, of a class in it, ..."""
    module, attributes = name, []
    while not exists(module):
        module, _, attribute = module.rpartition(".")
        attributes.insert(0, attribute)
    if attributes and module == "episodes" and attributes[0] in EpisodeBatch._fields:
        return True  # what a batch of episodes is called in examples
    value = importlib.import_module(module) if attributes else None
    for attribute in attributes:
        if not hasattr(value, attribute):
            return attribute in getattr(value, "__annotations__", {})
        value = getattr(value, attribute)
    return True


def exists(module: str) -> bool:
    try:
        return importlib.util.find_spec(module) is not None
    except ModuleNotFoundError:  # its parent is not a package
        return False


def dead_files(text: str) -> Iterator[str]:
    """Files and folders of the repository that are not there; a name may be a pattern."""
    yield from (name for name in sorted(set(FILE.findall(text))) if not any(ROOT.glob(name.rstrip("/"))))
    code = {name for name in CODE.findall(text) if not (ROOT / name).exists()}
    yield from (name for name in sorted(code) if not any(ROOT.glob(f"[!.]*/**/{name}")))


def dead_links(page: Path, text: str) -> Iterator[str]:
    """Links to files that are not there, or to headings that those files do not have."""
    for name, heading in LINK.findall(text):
        target = page.parent / name if name else page
        if not target.exists() or (heading and heading not in headings(target)):
            yield f"{name}#{heading}" if heading else name


def headings(page: Path) -> set[str]:
    """What a page's headings are called in links: in lower case, with hyphens, without other marks."""
    titles = re.findall(r"^#+ (.*)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_a_page_names_only_what_there_is(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    assert [*dead_names(text), *dead_files(text), *dead_links(page, text)] == []


def test_docstrings_refer_only_to_what_there_is() -> None:
    sources = [path for package in ("episodes", "fewshot_sla") for path in (ROOT / package).rglob("*.py")]
    found = {(name_of(path), name) for path in sources for name in ROLE.findall(path.read_text(encoding="utf-8"))}
    assert [(path, name) for path, name in sorted(found) if not leads_somewhere(name)] == []


@pytest.mark.parametrize(
    "text",
    [
        "`fewshot_sla.heads.NoHead`",
        "python -m fewshot_sla.no_door",
        "`episodes.Rotation.no_method`",
        "`fewshot_sla/heads/no_head.py`",
        "`newton_step.py`",
        "docs/*.rst",
        "[page](no_page.md)",
        "[heading](docs/api.md#no-heading)",
    ],
)
def test_the_search_for_dead_names_finds_them(text: str) -> None:
    assert [*dead_names(text), *dead_files(text), *dead_links(ROOT / "README.md", text)]

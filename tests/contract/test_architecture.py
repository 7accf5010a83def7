"""The order of the rooms (docs/design.md): who may import whom, what is loaded when, and what nobody does."""

import ast
import subprocess
import sys
from collections.abc import Iterator, Mapping
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
# A layer imports only the layers before it; the doors are the modules at the root of the package.
ROOMS = ("solvers", "backbones", "heads", "inference", "runs", "cli", "reporting", "training")
WINGS = ("meta", "classification")
LAYERS = (*ROOMS, *WINGS, "prediction", "studies", "stages", "paper", "doors")
# Rooms that stand in no line with each other, whatever the order says.
APART = (
    {"meta", "classification"},
    {"prediction", "classification"},
    {"prediction", "paper"},
    {"prediction", "studies"},
    {"prediction", "stages"},
)
# In episodes what is no data set comes first; after the readers come the programs and the package itself.
DATASETS = ("base", "store", "layouts", "glyphs", "readers")
PROGRAMS = ("episodes.datasets.glyphs.sheet",)
PACKAGES = ("episodes", "fewshot_sla")
FILES = [path for package in PACKAGES for path in sorted((ROOT / package).rglob("*.py"))]
MOST_LINES = 300


def name_of(path: Path) -> str:
    """Dotted name of a module."""
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


def imports_of(code: str, package: str, *, types: bool = True) -> set[str]:
    """Dotted names that a module imports, anywhere in it: in functions and, with ``types``, under TYPE_CHECKING too.

    ``package`` is what relative imports are relative to.
    """
    found: set[str] = set()
    for node in nodes(ast.parse(code), types):
        if isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            above = package.split(".")[: len(package.split(".")) - node.level + 1] if node.level else []
            origin = ".".join([*above, *([node.module] if node.module else [])])
            # `from fewshot_sla import engine` imports fewshot_sla.engine as much as `import fewshot_sla.engine` does.
            found.update(f"{origin}.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.Call) and getattr(node.func, "attr", getattr(node.func, "id", "")) == "import_module":
            found.update(a.value for a in node.args if isinstance(a, ast.Constant) and isinstance(a.value, str))
    return found


def nodes(tree: ast.AST, types: bool) -> Iterator[ast.AST]:
    """All nodes of a syntax tree; without ``types`` none of those that run for the type checker alone."""
    yield tree
    for child in ast.iter_child_nodes(tree):
        if types or not (isinstance(child, ast.If) and ast.unparse(child.test).endswith("TYPE_CHECKING")):
            yield from nodes(child, types)


def imports_of_file(path: Path, *, types: bool = True) -> set[str]:
    name = name_of(path)
    package = name if path.name == "__init__.py" else name.rpartition(".")[0]
    return imports_of(path.read_text(encoding="utf-8"), package, types=types)


def layer_of(module: str) -> str | None:
    """Layer of a module of fewshot_sla; None outside of it."""
    parts = module.split(".")
    if parts[0] != "fewshot_sla":
        return None
    return parts[1] if len(parts) > 1 and parts[1] in LAYERS else "doors"


def floor_of(module: str) -> int:
    """How high a module of episodes stands: 0 outside of the data sets."""
    if not f"{module}.".startswith("episodes.datasets."):
        return 0
    room = module.split(".")[2] if module.count(".") > 1 and module not in PROGRAMS else ""
    return 1 + (DATASETS.index(room) if room in DATASETS else len(DATASETS))


def breaches(module: str, imported: set[str]) -> set[str]:
    """The imports that a module must not make."""
    if module.split(".")[0] == "episodes":
        above = {name for name in imported if floor_of(name) > floor_of(module)}
        return above | {name for name in imported if name.split(".")[0] == "fewshot_sla"}
    own = layer_of(module) or "doors"
    return {name for name in imported if (layer := layer_of(name)) and not may_import(own, layer)}


def may_import(own: str, other: str) -> bool:
    """Whether a layer may import another: one before it that it is not kept apart from."""
    return LAYERS.index(other) <= LAYERS.index(own) and {own, other} not in APART


@pytest.mark.parametrize("path", FILES, ids=name_of)
def test_a_layer_imports_only_layers_before_it(path: Path) -> None:
    assert breaches(name_of(path), imports_of_file(path)) == set()


@pytest.mark.parametrize(
    ("module", "code"),
    [
        ("episodes.sampler", "import fewshot_sla"),
        ("episodes.sampler", "def f():\n    from fewshot_sla.heads import Head"),
        ("fewshot_sla.heads.svm", "from fewshot_sla.inference import aggregation"),
        ("fewshot_sla.heads.svm", "from fewshot_sla import training"),
        ("fewshot_sla.heads.svm", "from .. import meta_train"),
        ("fewshot_sla.heads.svm", "from ..training.loop import run"),
        ("fewshot_sla.heads.svm", "import importlib\nimportlib.import_module('fewshot_sla.training')"),
        ("fewshot_sla.reporting.tables", "if TYPE_CHECKING:\n    import fewshot_sla.training.loop"),
        ("fewshot_sla.training.loop", "import fewshot_sla.meta.task"),
        ("fewshot_sla.meta.task", "from fewshot_sla.classification import objectives"),
        ("fewshot_sla.classification.task", "def f():\n    import fewshot_sla.meta"),
        ("fewshot_sla.reporting.tables", "import fewshot_sla.meta_test"),
        ("fewshot_sla.reporting.tables", "from fewshot_sla.training import loop"),
        ("fewshot_sla.prediction.model", "from fewshot_sla.classification import SLA"),
        ("fewshot_sla.paper.figures.digits", "from fewshot_sla.prediction import FewShotClassifier"),
        ("episodes.source", "from episodes.datasets import Digits"),
        ("episodes.source", "import episodes.datasets.base"),
        ("episodes.datasets.base", "from episodes.datasets.store import source"),
        ("episodes.datasets.layouts.cifar", "from episodes.datasets.readers.cifar import CIFAR10"),
        ("episodes.datasets.readers.cifar", "from episodes.datasets import verify"),
    ],
)
def test_the_search_for_breaches_finds_them(module: str, code: str) -> None:
    assert breaches(module, imports_of(code, module.rpartition(".")[0]))


@pytest.mark.parametrize(
    ("module", "code"),
    [
        ("fewshot_sla.heads.svm", "from .base import Head\nfrom ..solvers import dense_qp\nimport episodes, torch"),
        ("fewshot_sla.meta_test", "from fewshot_sla.cli import door\nfrom fewshot_sla import meta_train"),
        ("fewshot_sla.prediction.model", "from fewshot_sla.meta import MetaLearner"),
        ("episodes.datasets.readers.cifar", "from episodes.datasets.layouts import cifar\nimport episodes.sampler"),
        ("episodes.datasets.verify", "from episodes.datasets.store.source import StoredSource"),
    ],
)
def test_the_search_for_breaches_finds_nothing_else(module: str, code: str) -> None:
    assert not breaches(module, imports_of(code, module.rpartition(".")[0]))


def test_every_room_is_in_the_order() -> None:
    rooms = {path.parent.name for path in (ROOT / "fewshot_sla").glob("*/__init__.py")}
    assert rooms == set(LAYERS) - {"doors"}


def test_files_import_one_another_in_no_circle() -> None:
    """An import inside a function counts; one for the type checker alone does not, for a type is not run."""
    known = {name_of(path): path for path in FILES}
    graph = {
        name: {within(found, known) for found in imports_of_file(path, types=False)} for name, path in known.items()
    }
    list(TopologicalSorter({name: found - {name, ""} for name, found in graph.items()}).static_order())  # or CycleError


def within(name: str, known: Mapping[str, Path]) -> str:
    """The module that an imported name is, or stands in; empty outside of the project."""
    while name and name not in known:
        name = name.rpartition(".")[0]
    return name


@pytest.mark.parametrize("path", FILES, ids=name_of)
def test_a_file_defines_something_of_its_own(path: Path) -> None:
    """Only ``__init__.py`` may pass on what others define."""
    defining = (ast.FunctionDef, ast.ClassDef, ast.Assign, ast.AnnAssign)
    passing = [node for node in ast.parse(path.read_text(encoding="utf-8")).body if ast.unparse(node)[:7] != "__all__"]
    assert path.name == "__init__.py" or any(isinstance(node, defining) for node in passing)


def test_no_file_repeats_the_name_of_a_wing_or_of_its_room() -> None:
    inside = [path for path in (ROOT / "fewshot_sla").rglob("*.py") if path.parent.name != "fewshot_sla"]
    repeated = [
        str(path) for path in inside if path.stem.startswith((*(f"{w}_" for w in WINGS), f"{path.parent.name}_"))
    ]
    assert not repeated


def test_the_library_loads_nothing_heavy_that_it_does_not_need() -> None:
    heavy = "learn2learn qpth matplotlib lightning_fabric jsonargparse sklearn scipy kornia torchvision PIL pandas rich"
    code = (
        "import sys, episodes, fewshot_sla.heads, fewshot_sla.meta, fewshot_sla.solvers\n"
        f"print('loaded:', [name for name in '{heavy}'.split() if name in sys.modules])"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, check=True)
    assert result.stdout.strip() == "loaded: []"
    assert result.stderr == ""


SEEDERS = ("manual_seed", "manual_seed_all", "seed_all", "seed", "set_rng_state", "seed_everything")
# Inside of torch.random.fork_rng, which puts the generator back. Rooms before training cannot import its randomness.
SEEDING = [ROOT / "fewshot_sla" / file for file in ("training/randomness.py", "heads/conformance_problems.py")]
# A generator of one's own may be seeded: torch.Generator().manual_seed(...), generator.manual_seed(...).
GLOBAL_GENERATORS = ("", "torch", "random", "torch.random", "torch.cuda", "np.random", "numpy.random", "pl", "L")


def misdeeds(code: str) -> Iterator[str]:
    """Calls that a library must not make: they speak, pick a device, or disturb everybody's random numbers."""
    for node in ast.walk(ast.parse(code)):
        if isinstance(node, ast.Call):
            call = ast.unparse(node.func)
            owner, _, method = call.rpartition(".")
            speaks, picks_device = call == "print", method == "cuda" and owner != ""
            if speaks or picks_device or (method in SEEDERS and owner in GLOBAL_GENERATORS):
                yield call


@pytest.mark.parametrize("path", FILES, ids=name_of)
def test_a_library_neither_prints_nor_picks_a_device_nor_seeds_global_generators(path: Path) -> None:
    allowed = {"torch.manual_seed"} if path in SEEDING else set()
    assert set(misdeeds(path.read_text(encoding="utf-8"))) - allowed == set()


@pytest.mark.parametrize(
    "code",
    ["print(1)", "model.cuda()", "torch.manual_seed(0)", "np.random.seed(1)", "random.seed(2)", "manual_seed(3)"],
)
def test_the_search_for_misdeeds_finds_them(code: str) -> None:
    assert list(misdeeds(code))


@pytest.mark.parametrize("code", ["console.print(1)", "torch.cuda.is_available()", "generator.manual_seed(0)"])
def test_the_search_for_misdeeds_finds_nothing_else(code: str) -> None:
    assert not list(misdeeds(code))


@pytest.mark.parametrize("path", FILES, ids=name_of)
def test_no_file_is_too_long(path: Path) -> None:
    assert len(path.read_text(encoding="utf-8").splitlines()) <= MOST_LINES

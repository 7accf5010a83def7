"""One word names a recipe: a base and fragments from the folder of configurations, joined by "+"."""

import difflib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args

import yaml

from episodes.errors import UserError
from fewshot_sla.cli.composition import compose, depth_of_class

Wing = Literal["meta", "classification"]
_YAML = (".yaml", ".yml")
_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # ten times as fast, where it was built


@dataclass(frozen=True)
class Part:
    """One part of a recipe's word.

    Attributes:
        name: of the file, without its ending.
        topic: the subfolder of a fragment; empty for a base and for a file of one's own.
        content: the options that it sets.
        beside: by the name of another part: options that it sets where that one is in the word too.
    """

    name: str
    topic: str
    content: dict[str, Any]
    beside: dict[str, dict[str, Any]]


def configs_folder() -> Path:
    """The configurations that are shipped, in an installed package and in a checkout.

    Raises:
        UserError: if they are in neither place.
    """
    package = Path(__file__).parents[1]
    for folder in (package / "configs", package.parent / "configs"):
        if (folder / "meta").is_dir():
            return folder
    raise UserError(f"{package.parent}/configs: the shipped configurations are missing; install the package anew")


def recipe_names(wing: Wing) -> dict[str, list[str]]:
    """What words are made of: under "" the bases, under each subfolder's name its fragments; all sorted."""
    folder = configs_folder() / wing
    names: dict[str, list[str]] = {"": []}
    for path in sorted(folder.rglob("*.yaml")):
        names.setdefault(_topic(path, folder), []).append(path.stem)
    return names


def resolve(
    word: str,  # for instance "cifarfs+ridge+sla"
    wing: Wing,
) -> dict[str, Any]:
    """The options that a word stands for, as plain containers.

    The first part is a base, the others are fragments; each is a name from the wing's folder of configurations or the
    path of a YAML file. A fragment that chooses an outer class is laid down before one that chooses or fills in what is
    inside of it, so the order in which they are named matters only between fragments of one depth. What a part says
    under ``beside:`` of another part follows as soon as both are laid down.

    Raises:
        UserError: if a part is no name and no file, is named twice, or two of one subfolder are named.
    """
    base, *fragments = _parts(word, wing)
    fragments.sort(key=lambda part: depth_of_class(part.content))
    layers: list[dict[str, Any]] = []
    laid: list[Part] = []
    for part in (base, *fragments):
        layers.append(part.content)
        layers += [other.beside[part.name] for other in laid if part.name in other.beside]
        layers += [part.beside[other.name] for other in laid if other.name in part.beside]
        laid.append(part)
    return compose({"run_folder": default_run_folder(word)}, *layers)


def resolve_fragment(name: str, wing: Wing) -> dict[str, Any]:
    """The options that one fragment sets: of that name in the wing's folder of configurations, or a YAML file.

    Raises:
        UserError: if it is no name and no file.
    """
    return _part(name, configs_folder() / wing, base=False).content


def wing_of(word: str) -> Wing:
    """Which wing a recipe is of: the one that has its base; a file is of the meta wing if it names a learner.

    Raises:
        UserError: if no wing has such a base.
    """
    base = word.split("+")[0]
    if _is_path(base):
        return "meta" if "learner" in read_options(base) else "classification"
    owners: list[Wing] = [wing for wing in get_args(Wing) if base in recipe_names(wing)[""]]
    if not owners:
        bases = [name for wing in get_args(Wing) for name in recipe_names(wing)[""]]
        near = difflib.get_close_matches(base, bases, n=3, cutoff=0.5) or bases
        raise UserError(f"unknown base {base!r}; a recipe begins with one of {', '.join(near)}")
    return owners[0]


def default_run_folder(word: str) -> str:
    """Where a recipe's run goes if nothing else is said.

    >>> default_run_folder("cifarfs+ridge+sla")
    'runs/cifarfs/ridge_sla'
    >>> default_run_folder("cifarfs")
    'runs/cifarfs/base'
    """
    base, *fragments = _names(word)
    return f"runs/{base}/{'_'.join(fragments) or 'base'}"


def recipe_name(word: str, *, with_base: bool = False) -> str:
    """What a recipe is called among others of its base, or of several bases.

    >>> recipe_name("cifar100+sla+color6"), recipe_name("cifar100+sla", with_base=True), recipe_name("my/own.yaml")
    ('sla_color6', 'cifar100_sla', 'own')
    """
    base, *fragments = _names(word)
    return "_".join([base, *fragments] if with_base or not fragments else fragments)


def read_options(path: str | Path) -> dict[str, Any]:
    """The options in a YAML file.

    Raises:
        UserError: if there is no such file, or it is no YAML mapping.
    """
    path = Path(path).expanduser()
    if not path.is_file():
        raise UserError(f"{path}: there is no such configuration file")
    try:
        options = yaml.load(path.read_text(encoding="utf-8"), Loader=_LOADER)
    except UnicodeDecodeError as error:
        raise UserError(f"{path}: not UTF-8 text ({error.reason} at byte {error.start})") from error
    except (OSError, yaml.YAMLError) as error:
        raise UserError(f"{path}: not readable as YAML ({' '.join(str(error).split())})") from error
    if options is None:
        return {}
    if not isinstance(options, dict):
        raise UserError(f"{path}: holds a {type(options).__name__}, but must hold options, as in 'seed: 1'")
    return options


def _names(word: str) -> list[str]:
    return [Path(part).stem if _is_path(part) else part for part in word.split("+")]


def _is_path(part: str) -> bool:
    return "/" in part or part.endswith(_YAML)


def _parts(word: str, wing: Wing) -> list[Part]:
    folder = configs_folder() / wing
    base, *others = word.split("+")
    parts = [_part(base, folder, base=True), *(_part(name, folder, base=False) for name in others)]
    topics: dict[str, str] = {}
    for part in parts[1:]:
        topic = part.topic or part.name  # files of one's own are told apart by their names
        if topic in topics:
            what = f"both are of {topic!r}" if part.topic else "it stands there twice"
            raise UserError(f"recipe {word!r}: {topics[topic]!r} and {part.name!r}: {what}; name one of them")
        topics[topic] = part.name
    return parts


def _part(name: str, folder: Path, *, base: bool) -> Part:
    if _is_path(name):
        return _read_part(Path(name).expanduser(), "")
    found = [path for path in sorted(folder.rglob("*.yaml")) if path.stem == name and base == (path.parent == folder)]
    if len(found) == 1:
        return _read_part(found[0], _topic(found[0], folder))
    if found:
        raise UserError(f"{name!r} names several configurations: {', '.join(map(str, found))}; give one as a path")
    raise UserError(_not_found(name, folder, base=base))


def _read_part(path: Path, topic: str) -> Part:
    content = read_options(path)
    beside = content.pop("beside", {})
    if not isinstance(beside, Mapping) or not all(isinstance(options, dict) for options in beside.values()):
        raise UserError(f"{path}: beside must hold options under the names of other parts")
    return Part(path.stem, topic, content, dict(beside))


def _topic(path: Path, folder: Path) -> str:
    return "" if path.parent == folder else str(path.parent.relative_to(folder))


def _not_found(name: str, folder: Path, *, base: bool) -> str:
    """One line: what there is instead, the nearest first."""
    paths = sorted(folder.rglob("*.yaml"))
    names = [path.stem for path in paths if base == (path.parent == folder)]
    others = [path.stem for path in paths if base != (path.parent == folder)]
    what, place = ("base", "first") if base else ("fragment", "behind a base")
    if name in others:
        return f"{name!r} is no {what}; a recipe is BASE+FRAGMENT+..., as in {_example(folder)}"
    near = difflib.get_close_matches(name, names, n=3, cutoff=0.5)
    told = f"did you mean {' or '.join(map(repr, near))}?" if near else f"{place} may stand {', '.join(names)}"
    return f"unknown {what} {name!r} of {folder.name} recipes; {told}"


def _example(folder: Path) -> str:
    return {"meta": "cifarfs+ridge+sla", "classification": "cifar100+sla"}[folder.name]

"""Whether a run was trained by a cell's recipe, and for which share of its schedule."""

from collections.abc import Iterator, Mapping
from typing import Any

import yaml

from episodes.errors import UserError
from fewshot_sla.cli import configuration
from fewshot_sla.cli.recipes import read_options
from fewshot_sla.runs.folder import RunFolder
from fewshot_sla.training.door import FREE
from fewshot_sla.training.kind import Kind

_FREE = FREE | {"seed", "resume", "config"}
# Where data lies and how it is read, in whatever source they stand; not which data it is.
_PLACES = {"root", "cache_dir", "workers"}


def resolved_recipe(kind: Kind[Any, Any], word: str) -> dict[str, Any]:
    """The whole configuration that a word stands for, as plain containers.

    Raises:
        UserError: if it is no recipe.
    """
    parser = kind.parser()
    resolved: dict[str, Any] = yaml.safe_load(parser.dump(configuration.parse(parser, ["--recipe", word])))
    return resolved


def configuration_of(kind: Kind[Any, Any], folder: RunFolder, recipe: Mapping[str, Any]) -> dict[str, Any]:
    """The configuration of a run in the same form: as it stands there if it is of the recipe, else parsed anew.

    An older program may have left out what has a default.

    Raises:
        UserError: if it cannot be read, or is of another kind of training.
    """
    configured = read_options(folder.config)
    if not any(differences(configured, recipe)):
        return configured
    parser = kind.parser()
    resolved: dict[str, Any] = yaml.safe_load(parser.dump(configuration.load(parser, folder.config)))
    return resolved


def check_recipe(
    folder: RunFolder,
    configured: Mapping[str, Any],  # of the run
    word: str,
    recipe: Mapping[str, Any],  # that the word stands for
) -> None:
    """Raise UserError unless a run is of a recipe; seed, length, hardware, loggers and places of files are its own."""
    for key, ran, wanted in differences(configured, recipe):
        raise UserError(
            f"{folder.path}: a run of another recipe lies there: its {key} is {ran}, that of {word} is {wanted}; "
            "move it away, or name another --folder"
        )


def differences(
    configured: Mapping[str, Any],
    recipe: Mapping[str, Any],
) -> Iterator[tuple[str, Any, Any]]:  # key with dots, value of the one, value of the other
    """Where two configurations say different things of what sways a result.

    >>> list(differences({"seed": 1, "start": "as_given"}, {"seed": 0, "start": "calibrated"}))
    [('start', 'as_given', 'calibrated')]
    """
    for key in sorted({*configured, *recipe} - _FREE):
        yield from _different(configured.get(key), recipe.get(key), key, inside_data=key == "data")


def share_of(configured: Mapping[str, Any], recipe: Mapping[str, Any]) -> float:
    """Steps of a run, as a share of those of its recipe."""
    return float(configured["loop"]["steps"] / recipe["loop"]["steps"])


def _different(one: Any, other: Any, place: str, *, inside_data: bool) -> Iterator[tuple[str, Any, Any]]:
    if isinstance(one, Mapping) and isinstance(other, Mapping):
        for key in sorted({*one, *other}):
            if not (inside_data and key in _PLACES):
                yield from _different(one.get(key), other.get(key), f"{place}.{key}", inside_data=inside_data)
    elif one != other:
        yield place.replace(".init_args", ""), _short(one), _short(other)


def _short(value: Any) -> Any:
    """A class by its name alone."""
    return value.rpartition(".")[2] if isinstance(value, str) else value

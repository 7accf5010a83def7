"""Which unknown images are meant: from the words of a command line to data sets."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import yaml

from episodes.datasets import UnlabelledFolder
from episodes.datasets.base import DataSource
from episodes.datasets.verify import NAMES
from episodes.errors import UserError
from fewshot_sla.cli.build import build
from fewshot_sla.cli.keys import unknown

FOLDER = "folder"
# Pictures without classes; LSUN and ImageNet as they are handed on for this purpose, cropped or resized.
FOLDERS = (FOLDER, "lsun", "imagenet")
EMBEDDED = {"digits": "episodes.datasets.Digits", "glyphs": "episodes.datasets.Glyphs"}
WORDS = tuple(sorted({*FOLDERS, *EMBEDDED, *NAMES} - {"unlabelled-folder"}))
_LISTS = (".yaml", ".yml")

Item = str | Mapping[str, Any]


def unknown_sets(
    items: Iterable[Item],
    image_shape: tuple[int, int, int],  # (C, H, W) that a network takes
) -> list[DataSource]:
    """The data sets that are named, each in one of these ways:

    - ``WORD=PATH``, where the word is one of WORDS; ``mnist=mnist.npz`` or ``lsun=LSUN_resize``, for instance
    - ``digits`` or ``glyphs``, which need no files
    - ``PATH``, a folder of pictures; the same as ``folder=PATH``
    - ``package.module.Class`` or ``package.module.Class=ROOT``
    - ``{class_path: ..., init_args: {...}}``, as in every YAML
    - ``FILE.yaml``, a list of such items

    Raises:
        UserError: if an item is none of these, or two data sets have one name.
    """
    sources = [named_set(item, image_shape) for item in _listed(items)]
    names = [source.name for source in sources]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice:
        raise UserError(f"--against: two of the data sets are called {twice!r}; leave one out, or rename its folder")
    return sources


def named_set(
    item: Item,
    image_shape: tuple[int, int, int],  # (C, H, W)
) -> DataSource:
    """One data set; pictures from files are read in the size and the channels of the network.

    Raises:
        UserError: as :func:`unknown_sets`.
    """
    if isinstance(item, Mapping):
        return _described(item)
    name, equals, place = str(item).strip().partition("=")
    word = name.lower().replace("_", "-")
    if word in WORDS:
        return _of_word(word, place, image_shape)
    path = Path(str(item)).expanduser()
    if not equals and path.is_dir():
        return _of_word(FOLDER, str(item), image_shape)
    if "." in name and "/" not in name:
        return _described({"class_path": name, "init_args": {"root": place} if place else {}})
    if not equals and ("/" in name or path.exists()):
        what = "is a file; say what it is, mnist=FILE for instance" if path.exists() else "there is no such folder"
        raise UserError(f"--against {item}: {what}")
    raise UserError(f"--against: {unknown(name, '', WORDS, what='data set')}, or give a folder, or a class path")


def _of_word(word: str, place: str, image_shape: tuple[int, int, int]) -> DataSource:
    if word in EMBEDDED:
        if place:
            raise UserError(f"--against {word}={place}: {word} needs no files; leave ={place} out")
        return _described({"class_path": EMBEDDED[word]})
    if not place:
        raise UserError(f"--against {word}: say where it is, {word}=FOLDER")
    if word in FOLDERS:
        channels, height, width = image_shape
        return UnlabelledFolder(place, max(height, width), channels == 1, "" if word == FOLDER else word)
    return NAMES[word](place)


def _described(description: Mapping[str, Any]) -> DataSource:
    if "class_path" not in description:
        raise UserError(f"--against {dict(description)}: give class_path, and init_args if it takes any")
    try:
        return build(DataSource, dict(description))  # type: ignore[type-abstract]
    except UserError as error:
        raise UserError(f"--against {description['class_path']}: {error}") from error


def _listed(items: Iterable[Item]) -> list[Item]:
    """The items, with those of YAML files, and mappings that were typed, in their place."""
    listed: list[Item] = []
    for item in items:
        if isinstance(item, str) and item.lower().endswith(_LISTS) and "=" not in item:
            listed += _of_file(Path(item).expanduser())
        elif isinstance(item, str) and item.lstrip().startswith("{"):
            listed.append(_read(item, f"--against {item}", dict))
        else:
            listed.append(item)
    return listed


def _of_file(path: Path) -> list[Item]:
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, ValueError) as error:
        raise UserError(f"--against {path}: cannot be read ({error}); give a YAML list of data sets") from error
    items: list[Item] = _read(text, f"--against {path}", list)
    if wrong := [item for item in items if not isinstance(item, str | Mapping)]:
        raise UserError(f"--against {path}: {wrong[0]!r} is no data set; write WORD=PATH, or class_path and init_args")
    return items


def _read(text: str, where: str, kind: type) -> Any:
    try:
        value = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise UserError(f"{where}: not readable as YAML ({' '.join(str(error).split())})") from error
    if not isinstance(value, kind):
        raise UserError(f"{where}: must be a YAML {'list' if kind is list else 'mapping'}")
    return value

"""A file that says which class belongs to which split, for folders that are not divided themselves."""

import csv
import json
import unicodedata
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from episodes.errors import UserError

# Names under which a split file is found beside the folders of the classes.
NAMES = tuple(f"{stem}.{end}" for stem in ("splits", "split") for end in ("csv", "json", "txt"))
ALIASES: Mapping[str, str] = {"train": "train", "val": "val", "valid": "val", "validation": "val", "test": "test"}


def read_split_file(path: Path) -> dict[str, str]:  # class -> "train", "val" or "test"
    """Classes and their splits.

    ``.json`` holds ``{"train": ["cat", ...], ...}`` or ``{"cat": "train", ...}``; any other file has a line a class,
    ``cat,train`` (or with a tab, a semicolon, or a space between them), with or without the heading ``class,split``.

    Raises:
        UserError: if the file cannot be read, names a split that there is not, or puts one class into two.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
        pairs = list(_json_pairs(json.loads(text)) if path.suffix.lower() == ".json" else _line_pairs(text))
    except (OSError, ValueError) as error:
        raise UserError(f"cannot read the split file {path} ({error})") from None
    splits: dict[str, str] = {}
    for raw, split in pairs:
        name = unicodedata.normalize("NFC", raw)
        if split not in ALIASES:
            raise UserError(f"{path}: class {name!r} is put into {split!r}; the splits are train, val and test")
        if splits.setdefault(name, ALIASES[split]) != ALIASES[split]:
            raise UserError(f"{path}: class {name!r} is both in {splits[name]} and in {ALIASES[split]}")
    if not splits:
        raise UserError(f"{path}: there is no class in this split file")
    return splits


def _json_pairs(content: Any) -> Iterator[tuple[str, str]]:
    """(class, split) of either form."""
    if not isinstance(content, Mapping):
        raise ValueError('neither {"train": ["cat", ...]} nor {"cat": "train"}')
    for key, value in content.items():
        if isinstance(value, str):
            yield str(key), value
        elif isinstance(value, list):
            yield from ((str(name), str(key)) for name in value)
        else:
            raise ValueError(f"the entry {key!r} is neither the name of a split nor a list of classes")


def _line_pairs(text: str) -> Iterator[tuple[str, str]]:
    """(class, split) of every line; empty ones and the heading are passed over."""
    lines = [line for line in text.splitlines() if line.strip()]
    mark = next((mark for mark in ",;\t" if lines and mark in lines[0]), None)
    rows = csv.reader(lines, delimiter=mark) if mark else (line.rsplit(maxsplit=1) for line in lines)
    for number, row in enumerate(rows, 1):
        cells = [cell.strip() for cell in row]
        if len(cells) != 2:
            raise ValueError(f"line {number} is not CLASS,SPLIT: {lines[number - 1]!r}")
        if number > 1 or cells[1].lower() != "split":
            yield cells[0], cells[1]

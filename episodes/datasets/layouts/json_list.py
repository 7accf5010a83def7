"""Lists of labelled images in COCO's form: one JSON file with images, annotations and categories, as iNaturalist's are.

Only these entries are looked at, all others are passed over::

    {"images": [{"id": 7, "file_name": "train_val2018/Aves/2761/1.jpg"}, ...],
     "annotations": [{"image_id": 7, "category_id": 2761}, ...],
     "categories": [{"id": 2761, "name": "Parus major"}, ...]}

A list of iNaturalist 2018 has 437,513 images: everything here goes over whole columns, and never asks for one file.
"""

import json
import os
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from episodes.errors import UserError, first_line

_ID = (int, str)


class ListedImages(NamedTuple):
    """What a list says.

    Attributes:
        files: n names of files as they stand in the list, class by class, in a class in the order of the list.
        labels: [n] int64, ascending, 0..len(class_names)-1.
        class_names: one name a category, in the order of the categories' ids.
    """

    files: tuple[str, ...]
    labels: NDArray[np.int64]
    class_names: tuple[str, ...]


def read_json_list(path: Path, names: Path | None = None) -> ListedImages:
    """The images of a list.

    Args:
        path: the list.
        names: a file with nothing but categories, whose names are taken instead of the list's.

    Raises:
        UserError: if a file cannot be read, lacks something or has it in another type; if an image has no category or
            two, or if ids or names of files are not unique.
    """
    content = _load(path)
    images, annotations = _Table(path, content, "images"), _Table(path, content, "annotations")
    places = _class_places(_Table(path, content, "categories"))
    files, ids = images.column("file_name", (str,)), images.column("id", _ID)
    refuse_twice(path, "image id", ids)
    refuse_twice(path, "file", files)
    of_image = _categories_of_images(annotations, set(ids), places)
    unlabelled = [file for file, number in zip(files, ids, strict=True) if number not in of_image]
    if unlabelled:
        raise UserError(f"{path}: {len(unlabelled)} of {len(files)} images have no annotation, first: {unlabelled[0]}")
    labels = np.fromiter((places[of_image[number]] for number in ids), np.int64, len(ids))
    order = labels.argsort(kind="stable")
    named = _names(names, places) if names else _named(_Table(path, content, "categories"), places)
    return ListedImages(tuple(files[k] for k in order.tolist()), labels[order], named)


def refuse_missing(path: Path, root: Path, files: Sequence[str]) -> list[Path]:
    """Raise UserError if files of a list are not there; each folder is listed once, and no file is looked at.

    Args:
        path: of the list.
        root: what the names of the files are relative to.
        files: their names.

    Returns:
        the folders that the files are in, sorted.
    """
    folders = [file.rpartition("/")[0] for file in files]
    there = {folder: _entries(root / folder) for folder in sorted(set(folders))}
    missing = [file for file, folder in zip(files, folders, strict=True) if _own_name(file) not in there[folder]]
    if missing:
        raise UserError(
            f"{path}: {len(missing)} of {len(files)} files are not there, first: {root / missing[0]}; give the folder "
            "that their archive was unpacked in, or unpack it again"
        )
    return [root / folder for folder in there]


class _Table:
    """A list of entries of the file, column by column."""

    def __init__(self, path: Path, content: Any, name: str) -> None:
        self.path, self.name = path, name
        rows = content.get(name) if isinstance(content, dict) else None
        if not isinstance(rows, list):
            raise UserError(
                f"{path}: there is no list {name!r} in it; a list in COCO's form has images, annotations and categories"
            )
        self.rows: list[Any] = rows

    def column(self, key: str, kinds: tuple[type, ...]) -> list[Any]:
        """One value an entry."""
        try:
            values = [row[key] for row in self.rows]
        except (TypeError, LookupError):
            values = [row.get(key) if isinstance(row, dict) else None for row in self.rows]
        wrong = next((number for number, value in enumerate(values) if type(value) not in kinds), None)
        if wrong is not None:
            kind = " or ".join("text" if kind is str else "whole number" for kind in kinds)
            raise UserError(f"{self.path}: {self.name}[{wrong}] has no {key!r} that is a {kind}")
        return values


def _load(path: Path) -> Any:
    try:
        with open(path, "rb") as file:
            return json.load(file)
    except OSError as error:
        raise UserError(f"cannot read {path} ({error.strerror})") from None
    except (ValueError, RecursionError) as error:  # no JSON, no text, or brackets without end
        raise UserError(f"{path} is cut off or damaged ({first_line(error)}); get it again") from None


def _class_places(categories: _Table) -> dict[Any, int]:
    """The place of each category's id among the classes."""
    ids = categories.column("id", _ID)
    refuse_twice(categories.path, "category id", ids)
    return {number: place for place, number in enumerate(sorted(ids, key=lambda one: (type(one) is str, one)))}


def _named(categories: _Table, places: dict[Any, int]) -> tuple[str, ...]:
    """Names in the order of the classes; those of several categories get the id behind them."""
    names = dict(zip(categories.column("id", _ID), categories.column("name", (str,)), strict=True))
    often = Counter(names.values())
    return tuple(names[one] if often[names[one]] == 1 else f"{names[one]} ({one})" for one in places)


def _names(path: Path, places: dict[Any, int]) -> tuple[str, ...]:
    """Names from a file of categories: a list, or an object that has it as an entry."""
    content = _load(path)
    categories = _Table(path, {"categories": content} if isinstance(content, list) else content, "categories")
    others = set(_class_places(categories)) ^ set(places)
    if others:
        raise UserError(
            f"{path}: its categories are not those of the list ({len(others)} differ, first: id {min(others, key=str)})"
        )
    return _named(categories, places)


def _categories_of_images(annotations: _Table, images: set[Any], places: dict[Any, int]) -> dict[Any, Any]:
    """The category of each image that has one."""
    path = annotations.path
    of, categories = annotations.column("image_id", _ID), annotations.column("category_id", _ID)
    found = dict(zip(of, categories, strict=True))
    for what, known, given in (("images", images, of), ("categories", places, categories)):
        unknown = next((number for number, one in enumerate(given) if one not in known), None)
        if unknown is not None:
            raise UserError(f"{path}: annotations[{unknown}] is of id {given[unknown]!r}, which is not in {what}")
    if len(found) < len(of):  # several boxes of one category are one label
        other = next((one for one, category in zip(of, categories, strict=True) if found[one] != category), None)
        if other is not None:
            raise UserError(
                f"{path}: the image with id {other!r} has annotations of two categories; it needs one class"
            )
    return found


def refuse_twice(path: Path, what: str, values: Iterable[Any]) -> None:
    """Raise UserError if a value is there twice."""
    seen = list(values)
    if len(set(seen)) < len(seen):
        value, count = Counter(seen).most_common(1)[0]
        raise UserError(f"{path}: the {what} {value!r} is in it {count} times")


def _own_name(file: str) -> str:
    return file.rpartition("/")[2]


def _entries(folder: Path) -> frozenset[str]:
    """What is in a folder; nothing if there is no such."""
    try:
        return frozenset(os.listdir(folder))
    except OSError:
        return frozenset()

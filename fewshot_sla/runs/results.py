"""results.json: how results are added to it and read back, whatever kind of results they are."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from episodes.errors import UserError
from episodes.images.base import Images
from fewshot_sla.runs.folder import RunFolder, write_text

Entry = dict[str, Any]  # one result as JSON; all kinds have "split", "step", "fingerprint" and "inference"


def save_entries(
    folder: RunFolder,
    entries: Sequence[Entry],
    key: Sequence[str],
    images: Images,
    details: Mapping[str, Any],
) -> None:
    """Add results to results.json. A result of other weights, or of other images of the split, is never kept beside.

    Args:
        folder: the run.
        entries: the results.
        key: names of the values that must be equal for one result to replace another.
        images: what they were measured on.
        details: configuration, versions, device, wall time; replaces what was there, key by key.
    """
    document = _document(folder)
    kept = [old for old in document["results"] if all(_belong_together(old, new) for new in entries)]
    by_key = {tuple(entry[name] for name in key): entry for entry in (*kept, *entries)}
    data = {
        "name": images.name,
        "fingerprint": images.fingerprint,
        "images": len(images),
        "classes": len(images.class_names),
    }
    split = images.name.rpartition("/")[2]
    document = {
        "results": list(by_key.values()),
        "data": {**document.get("data", {}), split: data},
        **{name: value for name, value in document.items() if name not in ("results", "data")},
    }
    _write(folder, document, details)


def save_details(
    folder: RunFolder,
    details: Mapping[str, Any],
    step: int,  # of the weights that the run keeps now
) -> None:
    """Write down how a run was trained that has no results yet; results of other weights are dropped."""
    document = _document(folder)
    kept = [old for old in document["results"] if old["step"] == step]
    _write(folder, {**document, "results": kept}, details)


def _document(folder: RunFolder) -> dict[str, Any]:
    return read_document(folder) if folder.results.exists() else {"results": []}


def _write(folder: RunFolder, document: Mapping[str, Any], details: Mapping[str, Any]) -> None:
    """The document with the details in it, of which only the wall times are kept from before."""
    times = {**document.get("wall_time_s", {}), **details.get("wall_time_s", {})}
    text = json.dumps({**document, **details, "wall_time_s": times}, indent=2, ensure_ascii=False, allow_nan=False)
    write_text(folder.results, text + "\n")


def read_document(
    folder: RunFolder,
    door: str = "meta_test",  # that makes the results
) -> dict[str, Any]:
    """results.json as it is.

    Raises:
        UserError: if it is not there or cannot be read.
    """
    command = f"python -m fewshot_sla.{door} {folder.path}"
    if not folder.results.is_file():
        raise UserError(f"{folder.results}: no results yet; run {command}")
    try:
        document = json.loads(folder.results.read_text())
    except ValueError as error:  # not JSON, or not even text
        raise UserError(f"{folder.results}: the file is damaged ({error}); remove it and run {command}") from error
    if not isinstance(document, dict) or not isinstance(document.get("data", {}), dict):
        raise UserError(f"{folder.results}: not a results file of this program; remove it and run {command}")
    return document


def _belong_together(old: Entry, new: Entry) -> bool:
    """Whether two results are of the same weights and, on the same split, of the same images."""
    same_images = old["split"] != new["split"] or old["fingerprint"] == new["fingerprint"]
    return old["step"] == new["step"] and same_images


class Result:
    """To be merged."""

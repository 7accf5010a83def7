"""results.json: the record of a result, how results are added to those of a run, and how they are read back."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Any, ClassVar, Generic, TypeVar

from episodes.errors import UserError
from episodes.images.base import Images
from fewshot_sla.runs.folder import RunFolder, write_text
from fewshot_sla.runs.records import from_json, to_json, write_json

KEY = {"key": True}  # metadata of the fields that must be equal for one result to replace another
EXTENDING = {**KEY, "extends": True}  # of those that ask more in the same test: its accuracy is the same without


@dataclass(frozen=True, kw_only=True)
class Result:
    """Accuracy of a model on the images of a split, by one inference; each kind of test adds its own fields.

    Attributes:
        program: of the command line that makes such results, as in ``python -m fewshot_sla.PROGRAM RUN_FOLDER``; empty
            where a result may be of any kind.
        dataset, split: what it was tested on.
        inference: name of the inference.
        accuracy: a fraction, 0..1.
        ci95: half-width of its 95 % interval, a fraction; not a number if there is none.
        primary: whether the best checkpoint was chosen by this inference.
        step: of the weights that were tested.
        fingerprint: of the images that were tested on.
    """

    program: ClassVar[str] = ""

    dataset: str = field(metadata=KEY)
    split: str = field(metadata=KEY)
    inference: str = field(metadata=KEY)
    accuracy: float
    ci95: float = float("nan")
    primary: bool = False
    step: int
    fingerprint: str

    @property
    def key(self) -> tuple[Any, ...]:
        """What must be equal for one result to replace another."""
        return tuple(getattr(self, name) for name in _key_names(type(self)))

    @property
    def protocol(self) -> tuple[Any, ...]:
        """What must be equal for two results to be of the same test, whatever the inference."""
        return tuple(getattr(self, name) for name in _key_names(type(self)) if name != "inference")

    @property
    def setting(self) -> str:
        """What tells several tests of one run apart, in a word or two; empty where there is but one."""
        return ""

    @property
    def title(self) -> str:
        """The test in a few words, as the heading of a column."""
        return self.setting

    @property
    def unit(self) -> str:
        """What was tested one after the other: "images", or "episodes" of them."""
        return "images"

    @property
    def drawn(self) -> int:
        """How many images the test drew in all, each as often as it was drawn; 0 if each was taken once."""
        return 0

    @property
    def parts(self) -> dict[str, float]:
        """Accuracies of parts of the classes, by name, where the test tells them apart; fractions."""
        return {}

    @property
    def files(self) -> dict[str, str]:
        """Tables that belong to the result: what is in each, and its name in the run folder."""
        return {}


R = TypeVar("R", bound=Result)


@dataclass(frozen=True)
class SplitFacts:
    """The images of a split, as results.json describes them; ``name`` is "DATASET/SPLIT"."""

    name: str
    fingerprint: str
    images: int
    classes: int


@dataclass(frozen=True)
class ResultsDocument(Generic[R]):
    """What results.json says.

    Attributes:
        results: every result.
        data: the images of every split that was tested on, by the split's name.
        entries: the results as they stand in the file, with fields that only a newer program knows.
        details: all else: configuration, versions, device, wall times.
    """

    results: list[R]
    data: dict[str, SplitFacts]
    entries: list[dict[str, Any]]
    details: dict[str, Any]


def split_of(images: Images) -> tuple[str, str]:
    """Names of the data set and of the split."""
    dataset, _, split = images.name.rpartition("/")
    return dataset or images.name, split


def save_results(
    folder: RunFolder,
    results: Sequence[R],
    tables: Mapping[str, str],
    images: Images,
    details: Mapping[str, Any],
) -> None:
    """Add results to those of the run. A result of other weights, or of other images of its split, is not kept.

    Args:
        folder: the run.
        results: of one kind, at least one; each replaces one of the same key.
        tables: contents of the files that belong to the results, by their names in the run folder.
        images: what the results were measured on.
        details: configuration, versions, device, wall times; each replaces what was there, wall times one by one.

    Raises:
        UserError: if there is a results.json of another kind of test, or one that cannot be read; nothing is written.
    """
    document = _read_or_begin(folder, type(results[0]))
    for name, text in tables.items():
        write_text(folder.path / name, text)
    kept = {
        old.key: entry
        for old, entry in zip(document.results, document.entries, strict=True)
        if all(_belong_together(old, new) for new in results)
    }
    added = {result.key: {**to_json(result), **result.files} for result in results}
    facts = SplitFacts(images.name, images.fingerprint, len(images), len(images.class_names))
    data = {**document.data, split_of(images)[1]: facts}
    _write(folder, results[0].program, [*(kept | added).values()], data, document.details, details)


def save_details(
    folder: RunFolder,
    kind: type[Result],  # of results that the run has or is going to have
    details: Mapping[str, Any],
    step: int,  # of the weights that the run keeps now
) -> None:
    """Write down how a run was trained, whether it has results or not; those of other weights are dropped.

    Raises:
        UserError: as :func:`save_results`.
    """
    document = _read_or_begin(folder, kind)
    kept = [entry for old, entry in zip(document.results, document.entries, strict=True) if old.step == step]
    _write(folder, kind.program, kept, document.data, document.details, details)


def read_results(folder: RunFolder, kind: type[R]) -> list[R]:
    """All results of a run; of kind :class:`Result`, whatever test they are of.

    Raises:
        UserError: as :func:`read_document`.
    """
    return read_document(folder, kind).results


def read_document(folder: RunFolder, kind: type[R]) -> ResultsDocument[R]:
    """What results.json says.

    Raises:
        UserError: if it is not there, is damaged, is of another kind of test or has a field that cannot be read; names
            the field, and the command that makes the file.
    """
    path, advice = folder.results, _advice(folder, kind.program)
    if not path.is_file():
        raise UserError(f"{path}: no results yet; {advice}")
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:  # not JSON, or not even text
        raise UserError(f"{path}: the file is damaged ({error}); remove it and {advice}") from error
    program = document.get("program", kind.program) if isinstance(document, dict) else ""  # older files do not say
    if program and kind.program and program != kind.program:
        raise UserError(f"{path}: these are results of python -m fewshot_sla.{program}, not of {kind.program}")
    try:
        return _understood(document, kind)
    except UserError as error:
        raise UserError(f"{path}: {error}; remove the file and {advice}") from error


def _understood(document: object, kind: type[R]) -> ResultsDocument[R]:
    if not isinstance(document, dict) or not isinstance(document.get("results"), list):
        raise UserError("there is no list of results in it")
    for name in ("data", "wall_time_s"):
        if not isinstance(document.get(name, {}), dict):
            raise UserError(f"{name} must be an object with named fields")
    data = document.get("data", {})
    return ResultsDocument(
        results=[from_json(kind, entry, f"results[{place}]") for place, entry in enumerate(document["results"])],
        data={split: from_json(SplitFacts, facts, f"data.{split}") for split, facts in data.items()},
        entries=document["results"],
        details={name: value for name, value in document.items() if name not in ("program", "results", "data")},
    )


def _read_or_begin(folder: RunFolder, kind: type[R]) -> ResultsDocument[R]:
    return read_document(folder, kind) if folder.results.exists() else ResultsDocument([], {}, [], {})


def _write(
    folder: RunFolder,
    program: str,
    entries: list[dict[str, Any]],
    data: Mapping[str, SplitFacts],
    before: Mapping[str, Any],  # details in the file so far
    details: Mapping[str, Any],
) -> None:
    document = {
        "program": program,
        "results": entries,
        "data": {split: to_json(facts) for split, facts in data.items()},
        **before,
        **details,
        "wall_time_s": {**before.get("wall_time_s", {}), **details.get("wall_time_s", {})},
    }
    write_json(folder.results, document)


def _advice(folder: RunFolder, program: str) -> str:
    return f"run python -m fewshot_sla.{program} {folder.path}" if program else f"test {folder.path}"


def _belong_together(old: Result, new: Result) -> bool:
    """Whether two results are of the same weights and, on the same split, of the same images."""
    return old.step == new.step and (old.split != new.split or old.fingerprint == new.fingerprint)


def _key_names(kind: type[Result]) -> list[str]:
    return [declared.name for declared in fields(kind) if declared.metadata.get("key")]

"""Independent ensembles (IE): the mean logits of several classifiers, and the record of what they come to."""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from episodes.errors import UserError
from episodes.images.base import Images
from fewshot_sla.classification.predictions import Predictions
from fewshot_sla.classification.results import ClassificationResult
from fewshot_sla.runs.provenance import versions
from fewshot_sla.runs.records import from_json, to_json, write_json
from fewshot_sla.runs.results import split_of

LOGITS = "logits"  # what is averaged over the members
NOTE = (
    "IE: the logits of the members are averaged, softmax comes last; of ten crops the softmax outputs are averaged "
    "after that."
)


def mean_logits(members: Iterable[Predictions]) -> Predictions:
    """Logits of an independent ensemble: 1/E sum_e logits_e, crop by crop, inference by inference.

    Lee et al., ICML 2020, section 3.2: it "aggregates the pre-softmax activations (logits) over independently trained
    models". Only inferences that all members have are kept.

    Args:
        members: at least one, of the same images in the same crops.
    """
    rest = iter(members)
    labels, total = next(rest)
    count = 1
    for member in rest:
        count += 1
        total = {name: values + member.logits[name] for name, values in total.items() if name in member.logits}
    return Predictions(labels, {name: values / count for name, values in total.items()})


@dataclass(frozen=True, kw_only=True)
class EnsembleMember:
    """One classifier of an ensemble.

    Attributes:
        run_folder: as it was named on the command line.
        seed: of its training.
        step: of the weights that were tested.
        finished: whether it was trained to its end; true where nothing else is known.
    """

    run_folder: str
    seed: int
    step: int
    finished: bool


@dataclass(frozen=True, kw_only=True)
class EnsembleRecord:
    """What an independent ensemble came to on the images of a split.

    Attributes:
        dataset, split: what it was tested on.
        fingerprint: of these images.
        images: how many.
        models: how many members.
        seeds: of their trainings, in their order.
        averaged: "logits", as the paper has it.
        padding: pixels of black on each side from which the ten crops were cut; 0 if there were none.
        members: the classifiers.
        results: one an inference and number of crops; their ``step`` is that of the first member.
    """

    dataset: str
    split: str
    fingerprint: str
    images: int
    models: int
    seeds: list[int]
    averaged: str
    padding: int
    members: list[EnsembleMember]
    results: list[ClassificationResult]


def ensemble_record(
    members: Sequence[EnsembleMember],
    results: Sequence[ClassificationResult],
    images: Images,
    padding: int,  # of the ten crops; 0 if there were none
) -> EnsembleRecord:
    """The record of results that were measured on the images."""
    dataset, split = split_of(images)
    return EnsembleRecord(
        dataset=dataset,
        split=split,
        fingerprint=images.fingerprint,
        images=len(images),
        models=len(members),
        seeds=[member.seed for member in members],
        averaged=LOGITS,
        padding=padding,
        members=list(members),
        results=list(results),
    )


def write_ensemble(path: Path, record: EnsembleRecord) -> None:
    """Write a record as JSON, whole or not at all."""
    write_json(path, {"ensemble": to_json(record), "versions": versions()})


def read_ensemble(path: Path) -> EnsembleRecord:
    """The record in a file of ``python -m fewshot_sla.test RUN RUN ... --output FILE``.

    Raises:
        UserError: if it is not there, is damaged, holds no ensemble, one whose members' logits were not averaged, or
            figures that contradict each other; names the field.
    """
    advice = "make it with python -m fewshot_sla.test RUN RUN ... --output"
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise UserError(f"{path}: there is no such file; {advice} {path}") from None
    except ValueError as error:  # not JSON, or not even text
        raise UserError(f"{path}: the file is damaged ({error}); {advice} {path}") from error
    if not isinstance(document, dict) or "ensemble" not in document:
        raise UserError(f"{path}: it holds no ensemble of this version; {advice} {path}")
    try:
        record = from_json(EnsembleRecord, document["ensemble"], "ensemble")
        _check(record)
    except UserError as error:
        raise UserError(f"{path}: {error}; {advice} {path}") from error
    return record


def _check(record: EnsembleRecord) -> None:
    """Raise UserError if the fields of a record contradict each other."""
    if record.averaged != LOGITS:
        raise UserError(f"ensemble.averaged must be {LOGITS}, got {record.averaged!r}")
    if record.models != len(record.members) or record.seeds != [member.seed for member in record.members]:
        raise UserError("ensemble.models and ensemble.seeds are not those of its members")
    of_others = [result for result in record.results if result.fingerprint != record.fingerprint]
    if not record.results or of_others:
        raise UserError("ensemble.results must be of the images of the ensemble, and at least one")

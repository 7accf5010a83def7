"""unknown.json in a run folder: how well each score tells known from unknown; beside it the scores of each image."""

import csv
import io
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from episodes.errors import UserError
from episodes.images.base import Images
from fewshot_sla.classification.unknown.scoring import Scored
from fewshot_sla.inference.scores import SCORES
from fewshot_sla.runs.detection import detection
from fewshot_sla.runs.folder import RunFolder, write_text
from fewshot_sla.runs.records import from_json, to_json, write_json
from fewshot_sla.runs.results import split_of

PROGRAM = "unknown"


@dataclass(frozen=True, kw_only=True)
class UnknownResult:
    """How well one score tells the images of a split from those of another data set. All figures are fractions, 0..1.

    Attributes:
        dataset, split: the known images.
        against: name of the data set with the unknown ones.
        inference: name of the inference.
        score: name of the score, as in :data:`fewshot_sla.inference.scores.SCORES`.
        auroc, fpr95, aupr, aupr_unknown: as in :class:`fewshot_sla.runs.detection.Detection`.
        accuracy: on the known images by this inference.
        known, unknown: how many images.
        shared_classes: names of known classes that the other data set has too.
        step: of the weights.
        fingerprint: of the known images.
        fingerprint_unknown: of the unknown ones.
    """

    dataset: str
    split: str
    against: str
    inference: str
    score: str
    auroc: float
    fpr95: float
    aupr: float
    aupr_unknown: float
    accuracy: float
    known: int
    unknown: int
    shared_classes: list[str] = field(default_factory=list)
    step: int
    fingerprint: str
    fingerprint_unknown: str

    @property
    def key(self) -> tuple[str, ...]:
        """What must be equal for one result to replace another."""
        return self.split, self.against, self.inference, self.score

    @property
    def files(self) -> dict[str, str]:
        """Tables and picture that belong to the result, by their names in the run folder."""
        return {
            "known_scores": known_scores(self.split, self.inference),
            "unknown_scores": unknown_scores(self.against, self.inference),
            "picture": histogram(self.against, self.split, self.inference),
        }


def known_scores(split: str, inference: str) -> str:
    """Name, in the run folder, of the file with the scores of each known image."""
    return f"{PROGRAM}/{split}_{inference}.csv"


def unknown_scores(against: str, inference: str) -> str:
    """Name, in the run folder, of the file with the scores of each image of an unknown data set."""
    return f"{PROGRAM}/{_plain(against)}/{inference}.csv"


def histogram(against: str, split: str, inference: str) -> str:
    """Name, in the run folder, of the picture of the scores of both."""
    return f"{PROGRAM}/{_plain(against)}/{split}_{inference}.png"


def summarize_unknown(
    known: Images,
    found_known: Mapping[str, Scored],  # by inference
    unknown: Images,
    found_unknown: Mapping[str, Scored],
    step: int,  # of the weights
) -> list[UnknownResult]:
    """One result an inference and score.

    Raises:
        UserError: if a score is not finite.
    """
    dataset, split = split_of(known)
    against = split_of(unknown)[0]
    shared = shared_classes(known.class_names, unknown.class_names)
    results = []
    for inference, of_known in found_known.items():
        accuracy = float((of_known.predicted == of_known.labels).double().mean())
        for score, values in of_known.scores.items():
            try:
                figures = detection(values.numpy(), found_unknown[inference].scores[score].numpy())
            except ValueError as error:
                raise UserError(
                    f"{known.name} against {against}: {SCORES[score].title} by {inference}: {error}"
                ) from None
            result = UnknownResult(
                dataset=dataset,
                split=split,
                against=against,
                inference=inference,
                score=score,
                auroc=figures.auroc,
                fpr95=figures.fpr95,
                aupr=figures.aupr,
                aupr_unknown=figures.aupr_unknown,
                accuracy=accuracy,
                known=len(known),
                unknown=len(unknown),
                shared_classes=shared,
                step=step,
                fingerprint=known.fingerprint,
                fingerprint_unknown=unknown.fingerprint,
            )
            results.append(result)
    return results


def shared_classes(known: Sequence[str], unknown: Sequence[str]) -> list[str]:
    """Known classes whose names another data set has too; upper and lower case, ``_`` and a space count as one.

    >>> shared_classes(["pickup_truck", "bird"], ["Pickup Truck", "birdhouse"])
    ['pickup_truck']
    """
    there = {_same(name) for name in unknown}
    return [name for name in known if _same(name) in there]


def scores_as_csv(
    scored: Scored,
    own_classes: Sequence[str],  # of the images' own data set
    known_classes: Sequence[str],  # of the classifier
) -> str:
    """A row an image: its number, its class in its own data set, the known class that it is taken for, its scores."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["image", "class", "predicted", *scored.scores])
    columns = [values.tolist() for values in scored.scores.values()]
    rows = zip(scored.labels.tolist(), scored.predicted.tolist(), *columns, strict=True)
    for number, (label, predicted, *scores) in enumerate(rows):
        writer.writerow([number, own_classes[label], known_classes[predicted], *(f"{score:.12g}" for score in scores)])
    return text.getvalue()


def save_unknown(
    folder: RunFolder,
    results: Sequence[UnknownResult],
    tables: Mapping[str, str],
    details: Mapping[str, Any],
) -> None:
    """Add results to unknown.json. What is of other weights, or of other images under the same name, is not kept.

    Args:
        folder: the run.
        results: at least one; each replaces one of the same key.
        tables: contents of files that belong to the results, by their names in the run folder.
        details: configuration, versions, device, wall times; each replaces what was there, wall times one by one.

    Raises:
        UserError: if there is an unknown.json that cannot be read; nothing is written.
    """
    document = _read(folder) if folder.unknown.exists() else {"results": []}
    old = _results(folder, document)
    for name, text in tables.items():
        write_text(folder.path / name, text)
    kept = {result.key: result for result in old if all(_belong_together(result, new) for new in results)}
    merged = kept | {result.key: result for result in results}
    write_json(
        folder.unknown,
        {
            "program": PROGRAM,
            "results": [{**to_json(result), **result.files} for result in merged.values()],
            **details,
            "wall_time_s": {**document.get("wall_time_s", {}), **details.get("wall_time_s", {})},
        },
    )


def read_unknown(folder: RunFolder) -> list[UnknownResult]:
    """All results in unknown.json of a run.

    Raises:
        UserError: if it is not there, or is damaged.
    """
    return _results(folder, _read(folder))


def _read(folder: RunFolder) -> dict[str, Any]:
    again = f"python -m fewshot_sla.{PROGRAM} {folder.path} --against ..."
    if not folder.unknown.is_file():
        raise UserError(f"{folder.unknown}: no results yet; run {again}")
    try:
        document = json.loads(folder.unknown.read_text(encoding="utf-8"))
    except ValueError as error:  # not JSON, or not even text
        raise UserError(f"{folder.unknown}: the file is damaged ({error}); remove it and run {again}") from error
    if not isinstance(document, dict) or not isinstance(document.get("results"), list):
        raise UserError(f"{folder.unknown}: there is no list of results in it; remove it and run {again}")
    return document


def _results(folder: RunFolder, document: Mapping[str, Any]) -> list[UnknownResult]:
    try:
        entries = enumerate(document["results"])
        return [from_json(UnknownResult, entry, f"results[{place}]") for place, entry in entries]
    except UserError as error:
        raise UserError(f"{folder.unknown}: {error}; remove the file") from error


def _belong_together(old: UnknownResult, new: UnknownResult) -> bool:
    """Whether two results are of the same weights, and of the same images where these have the same name."""
    same_known = old.split != new.split or old.fingerprint == new.fingerprint
    same_unknown = old.against != new.against or old.fingerprint_unknown == new.fingerprint_unknown
    return old.step == new.step and same_known and same_unknown


def _same(name: str) -> str:
    return name.casefold().replace("_", " ")


def _plain(name: str) -> str:
    """A name of a data set as the name of a folder; other names have other folders.

    >>> _plain("my pics"), _plain("my_pics"), _plain("..")
    ('my%20pics', 'my_pics', '%2E.')
    """
    return re.sub(r"^\.|[^\w.-]", lambda found: f"%{ord(found[0]):02X}", name)

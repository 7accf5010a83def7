"""results.json and per_episode/*.csv: every figure of a run, with where it comes from."""

import csv
import io
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from episodes.episode import EpisodeSpec
from episodes.errors import UserError
from episodes.images.labelled import LabelledImages
from fewshot_sla.meta.protocol import EpisodeOutcomes
from fewshot_sla.runs.folder import RunFolder, write_text
from fewshot_sla.runs.results import read_document, save_entries
from fewshot_sla.runs.statistics import interval_half_width

_TEST = "meta_test"  # the door that makes these results
# What must be equal for one result to replace another.
_KEY = ("dataset", "split", "n_way", "k_shot", "n_query", "episodes", "seed", "inference")


@dataclass(frozen=True)
class Result:
    """Accuracy on many episodes by one inference; accuracy and half-width of the 95 % interval are fractions.

    ``primary`` marks the inference that the best checkpoint was chosen by, ``step`` is the step of its weights, and
    ``fingerprint`` that of the images: a result of other weights or other images is never kept beside these.
    """

    dataset: str
    split: str
    n_way: int
    k_shot: int
    n_query: int
    episodes: int
    seed: int
    inference: str
    accuracy: float
    ci95: float
    primary: bool
    step: int
    fingerprint: str

    @property
    def protocol(self) -> tuple[str, str, int, int, int, int, int]:
        """What must be equal for two results to be on the same episodes (of the same images)."""
        return self.dataset, self.split, self.n_way, self.k_shot, self.n_query, self.episodes, self.seed

    @property
    def test_name(self) -> str:
        """The protocol as part of a file name."""
        size = f"{self.n_way}way_{self.k_shot}shot_{self.n_query}query_{self.episodes}episodes_seed{self.seed}"
        return f"{self.split}_{size}"

    @property
    def per_episode(self) -> str:
        """Name, in the run folder, of the file with the outcome of every episode."""
        return f"per_episode/{self.test_name}_{self.inference}.csv"


def summarize(
    outcomes: Mapping[str, EpisodeOutcomes],
    images: LabelledImages,
    spec: EpisodeSpec,
    seed: int,
    *,
    primary: str,  # name of the inference that the best checkpoint was chosen by
    step: int,  # of the weights that were tested
) -> list[tuple[Result, EpisodeOutcomes]]:
    """One result an inference, beside the outcomes it sums up."""
    dataset, _, split = images.name.rpartition("/")
    summary = []
    for name, outcome in outcomes.items():
        values = outcome.accuracies.numpy()
        result = Result(
            dataset=dataset or images.name,
            split=split,
            n_way=spec.n_way,
            k_shot=spec.k_shot,
            n_query=spec.n_query,
            episodes=len(values),
            seed=seed,
            inference=name,
            accuracy=float(values.mean()),
            ci95=interval_half_width(values),
            primary=name == primary,
            step=step,
            fingerprint=images.fingerprint,
        )
        summary.append((result, outcome))
    return summary


def save_results(
    folder: RunFolder,
    summary: Sequence[tuple[Result, EpisodeOutcomes]],
    images: LabelledImages,
    details: Mapping[str, Any],
) -> None:
    """Add results to those of the run; a result of the same protocol and inference is replaced.

    Args:
        folder: the run.
        summary: results and what they sum up; the outcomes go to ``per_episode/``.
        images: what they were measured on.
        details: configuration, versions, device, wall time; replaces what was there, key by key.
    """
    for result, outcome in summary:
        write_text(folder.path / result.per_episode, _outcomes_as_csv(outcome, images.class_names))
    if folder.results.exists():
        read_results(folder)  # nothing is added to a file that is not ours
    save_entries(folder, [_as_json(result) for result, _ in summary], _KEY, images, details)


def read_results(folder: RunFolder) -> list[Result]:
    """All results of a run."""
    return _results_of(read_document(folder, _TEST), folder)


def read_outcomes(
    folder: RunFolder, result: Result
) -> tuple[NDArray[np.int64], NDArray[np.str_]]:  # right answers [E, N], names of the classes [E, N]
    """What came of every episode of a result.

    Raises:
        UserError: if the file is not there or not as long as the result says.
    """
    path = folder.path / result.per_episode
    if not path.is_file():
        raise UserError(f"{path}: the outcomes of the episodes are gone; run meta_test on {folder.path} again")
    with path.open(newline="") as file:
        rows = list(csv.reader(file))[1:]
    if len(rows) != result.episodes:
        raise UserError(f"{path}: {len(rows)} of {result.episodes} episodes; run meta_test on {folder.path} again")
    try:
        correct = np.array([row[2 : 2 + result.n_way] for row in rows], dtype=np.int64)
        classes = np.array([row[2 + result.n_way :] for row in rows])
    except ValueError as error:
        raise UserError(f"{path}: the file is damaged ({error}); run meta_test on {folder.path} again") from error
    return correct, classes


def _outcomes_as_csv(outcome: EpisodeOutcomes, class_names: Sequence[str]) -> str:
    n_way = outcome.correct.shape[1]
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(
        ["episode", "accuracy", *(f"correct_{y}" for y in range(n_way)), *(f"class_{y}" for y in range(n_way))]
    )
    rows = zip(outcome.accuracies.tolist(), outcome.correct.tolist(), outcome.classes.tolist(), strict=True)
    for episode, (accuracy, correct, classes) in enumerate(rows):
        writer.writerow([episode, round(accuracy, 6), *correct, *(class_names[c] for c in classes)])
    return text.getvalue()


def _results_of(document: Mapping[str, Any], folder: RunFolder) -> list[Result]:
    try:
        entries = [
            {key: value for key, value in entry.items() if key != "per_episode"} for entry in document["results"]
        ]
        return [Result(**{**entry, "ci95": _number(entry["ci95"])}) for entry in entries]
    except (KeyError, TypeError) as error:
        raise UserError(f"{folder.results}: not a results file of this program ({error})") from error


def _as_json(result: Result) -> dict[str, Any]:
    entry = {**asdict(result), "per_episode": result.per_episode}
    if math.isnan(result.ci95):  # a single episode has no interval, and JSON has no NaN
        entry["ci95"] = None
    return entry


def _number(value: float | None) -> float:
    return float("nan") if value is None else value

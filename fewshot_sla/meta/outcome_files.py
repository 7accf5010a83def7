"""The outcome of every episode as a file of the run folder: written by a test, read by whoever compares episodes."""

import csv
import io
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

import numpy as np
from numpy.typing import NDArray

from episodes.errors import UserError
from fewshot_sla.meta.protocol import EpisodeOutcomes
from fewshot_sla.meta.results import EpisodeResult
from fewshot_sla.runs.comparison import Outcomes
from fewshot_sla.runs.folder import RunFolder

_ROUNDING = 1e-5  # of a mean of fractions, in float32 or float64
_AUROC = "auroc_"  # before the name of a score, in the heading of a column


def outcome_tables(
    results: Sequence[EpisodeResult],
    outcomes: Mapping[str, EpisodeOutcomes],  # of every inference
    class_names: Sequence[str],
    disjoint: Mapping[str, EpisodeOutcomes] | None = None,
) -> dict[str, str]:
    """The outcome of every episode as CSV, by the file's name in the run folder."""
    tables = {result.per_episode: _as_csv(outcomes[result.inference], class_names) for result in results}
    if disjoint:
        apart = {result.per_disjoint_episode: _as_csv(disjoint[result.inference], class_names) for result in results}
        tables |= apart
    return tables


def paired_outcomes(folder: RunFolder, result: EpisodeResult) -> Outcomes:
    """What came of every episode, as two runs are compared by it.

    Raises:
        UserError: as :func:`read_outcomes`.
    """
    return Outcomes(*read_outcomes(folder, result), result.n_query, read_aurocs(folder, result))


def read_outcomes(
    folder: RunFolder, result: EpisodeResult
) -> tuple[NDArray[np.int64], NDArray[np.str_]]:  # right answers [E, N], names of the classes [E, N]
    """What came of every episode of a result.

    Raises:
        UserError: if the file is not there, is damaged, or does not come to what the result says.
    """
    return _read_outcomes(folder, result.per_episode, result, result.episodes, result.accuracy)


def read_disjoint_outcomes(
    folder: RunFolder, result: EpisodeResult
) -> tuple[NDArray[np.int64], NDArray[np.str_]]:  # right answers [E, N], names of the classes [E, N]
    """What came of every disjoint episode of a result that has some.

    Raises:
        UserError: as :func:`read_outcomes`.
    """
    return _read_outcomes(
        folder, result.per_disjoint_episode, result, result.disjoint_episodes, result.disjoint_accuracy
    )


def read_aurocs(
    folder: RunFolder, result: EpisodeResult
) -> dict[str, NDArray[np.float64]]:  # by score [E], 0..1; none of a test without unknown queries
    """How well each score told known from unknown in every episode of a result.

    Raises:
        UserError: as :func:`read_outcomes`.
    """
    if not result.auroc:
        return {}
    head, rows = _read_rows(folder, result.per_episode, result.episodes)
    with _damage_named(folder, result.per_episode):
        columns = {score: head.index(f"{_AUROC}{score}") for score in result.auroc}
        found = {score: np.array([row[place] for row in rows], np.float64) for score, place in columns.items()}
    for score, values in found.items():
        _check_mean(folder, result.per_episode, values.mean(), result.auroc[score], "AUROC")
    return found


def _read_outcomes(
    folder: RunFolder,
    name: str,
    result: EpisodeResult,
    episodes: int,
    accuracy: float,  # over them, as results.json says
) -> tuple[NDArray[np.int64], NDArray[np.str_]]:
    n_way, (_, rows) = result.n_way, _read_rows(folder, name, episodes)
    with _damage_named(folder, name):
        correct = np.array([row[2 : 2 + n_way] for row in rows], dtype=np.int64)
        classes = np.array([row[2 + n_way : 2 + 2 * n_way] for row in rows])
        if correct.size and not (0 <= correct.min() <= correct.max() <= result.n_query):
            raise ValueError(f"right answers are not in 0..{result.n_query}")
    _check_mean(folder, name, correct.mean() / result.n_query, accuracy, "accuracy")
    return correct, classes


def _read_rows(folder: RunFolder, name: str, episodes: int) -> tuple[list[str], list[list[str]]]:
    """The headings and the rows of the file of so many episodes."""
    path = folder.path / name
    if not path.is_file():
        raise UserError(f"{path}: the outcomes of the episodes are gone; {_again(folder)}")
    with _damage_named(folder, name), path.open(newline="", encoding="utf-8") as file:
        head, *rows = csv.reader(file)
    if len(rows) != episodes:
        raise UserError(f"{path}: {len(rows)} of {episodes} episodes; {_again(folder)}")
    return head, rows


@contextmanager
def _damage_named(folder: RunFolder, name: str) -> Iterator[None]:
    """What goes wrong in reading, as a line for the user."""
    try:
        yield
    except (ValueError, IndexError, OverflowError, csv.Error) as error:  # not even text, no numbers, too large ones
        raise UserError(f"{folder.path / name}: the file is damaged ({error}); {_again(folder)}") from error


def _check_mean(folder: RunFolder, name: str, found: float, said: float, what: str) -> None:
    if abs(found - said) > _ROUNDING:  # what is no number is not compared
        where = f"the {what} in {folder.results.name}"
        raise UserError(f"{folder.path / name}: its episodes do not come to {where}; {_again(folder)}")


def _again(folder: RunFolder) -> str:
    return f"run meta_test on {folder.path} again"


def _as_csv(outcome: EpisodeOutcomes, class_names: Sequence[str]) -> str:
    n_way = outcome.correct.shape[1]
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    of_classes = [f"{what}_{y}" for what in ("correct", "class") for y in range(n_way)]
    writer.writerow(["episode", "accuracy", *of_classes, *(f"{_AUROC}{score}" for score in outcome.aurocs)])
    rows = zip(outcome.accuracies.tolist(), outcome.correct.tolist(), outcome.classes.tolist(), strict=True)
    for episode, (accuracy, correct, classes) in enumerate(rows):
        aurocs = [round(float(values[episode]), 6) for values in outcome.aurocs.values()]
        writer.writerow([episode, round(accuracy, 6), *correct, *(class_names[c] for c in classes), *aurocs])
    return text.getvalue()

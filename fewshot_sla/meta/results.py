"""Results of a meta-learner, and the outcome of every episode that they sum up."""

import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from episodes.episode import EpisodeSpec
from episodes.errors import UserError
from episodes.images.labelled import LabelledImages
from fewshot_sla.meta.protocol import EpisodeOutcomes
from fewshot_sla.runs.comparison import Outcomes
from fewshot_sla.runs.folder import RunFolder
from fewshot_sla.runs.results import KEY, Result, split_of
from fewshot_sla.runs.statistics import interval_half_width


@dataclass(frozen=True, kw_only=True)
class EpisodeResult(Result):
    """Accuracy on many episodes by one inference.

    Attributes:
        n_way, k_shot, n_query: size of the episodes.
        episodes: how many.
        seed: which ones.
    """

    program: ClassVar[str] = "meta_test"

    n_way: int = field(metadata=KEY)
    k_shot: int = field(metadata=KEY)
    n_query: int = field(metadata=KEY)
    episodes: int = field(metadata=KEY)
    seed: int = field(metadata=KEY)

    @property
    def setting(self) -> str:
        """The number of shots."""
        return f"{self.k_shot}-shot"

    @property
    def title(self) -> str:
        """Ways and shots."""
        return f"{self.n_way}-way {self.k_shot}-shot"

    @property
    def unit(self) -> str:
        """Episodes."""
        return "episodes"

    @property
    def drawn(self) -> int:
        """Support and query images of all episodes."""
        return self.episodes * self.n_way * (self.k_shot + self.n_query)

    @property
    def test_name(self) -> str:
        """The protocol as part of a file name."""
        size = f"{self.n_way}way_{self.k_shot}shot_{self.n_query}query_{self.episodes}episodes_seed{self.seed}"
        return f"{self.split}_{size}"

    @property
    def per_episode(self) -> str:
        """Name, in the run folder, of the file with the outcome of every episode."""
        return f"per_episode/{self.test_name}_{self.inference}.csv"

    @property
    def files(self) -> dict[str, str]:
        """The outcome of every episode."""
        return {"per_episode": self.per_episode}


def summarize(
    outcomes: Mapping[str, EpisodeOutcomes],
    images: LabelledImages,
    spec: EpisodeSpec,
    seed: int,
    *,
    primary: str,  # name of the inference that the best checkpoint was chosen by
    step: int,  # of the weights that were tested
) -> list[EpisodeResult]:
    """One result an inference."""
    dataset, split = split_of(images)
    results = []
    for name, outcome in outcomes.items():
        values = outcome.accuracies.numpy()
        result = EpisodeResult(
            dataset=dataset,
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
        results.append(result)
    return results


def outcome_tables(
    results: Sequence[EpisodeResult],
    outcomes: Mapping[str, EpisodeOutcomes],  # of every inference
    class_names: Sequence[str],
) -> dict[str, str]:
    """The outcome of every episode as CSV, by the file's name in the run folder."""
    return {result.per_episode: _as_csv(outcomes[result.inference], class_names) for result in results}


def paired_outcomes(folder: RunFolder, result: EpisodeResult) -> Outcomes:
    """What came of every episode, as two runs are compared by it.

    Raises:
        UserError: as :func:`read_outcomes`.
    """
    return Outcomes(*read_outcomes(folder, result), result.n_query)


def read_outcomes(
    folder: RunFolder, result: EpisodeResult
) -> tuple[NDArray[np.int64], NDArray[np.str_]]:  # right answers [E, N], names of the classes [E, N]
    """What came of every episode of a result.

    Raises:
        UserError: if the file is not there or not as long as the result says.
    """
    path = folder.path / result.per_episode
    if not path.is_file():
        raise UserError(f"{path}: the outcomes of the episodes are gone; run meta_test on {folder.path} again")
    with path.open(newline="", encoding="utf-8") as file:
        rows = list(csv.reader(file))[1:]
    if len(rows) != result.episodes:
        raise UserError(f"{path}: {len(rows)} of {result.episodes} episodes; run meta_test on {folder.path} again")
    try:
        correct = np.array([row[2 : 2 + result.n_way] for row in rows], dtype=np.int64)
        classes = np.array([row[2 + result.n_way :] for row in rows])
    except ValueError as error:
        raise UserError(f"{path}: the file is damaged ({error}); run meta_test on {folder.path} again") from error
    return correct, classes


def _as_csv(outcome: EpisodeOutcomes, class_names: Sequence[str]) -> str:
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

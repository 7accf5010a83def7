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
from fewshot_sla.runs.statistics import Estimate, class_means, estimate, interval_half_width

_ROUNDING = 1e-5  # of a mean of fractions, in float32 or float64
NOT_RUN = Estimate(float("nan"), float("nan"), 0)


@dataclass(frozen=True, kw_only=True)
class EpisodeResult(Result):
    """Accuracy on many episodes by one inference.

    Attributes:
        n_way, k_shot, n_query: size of the episodes.
        episodes: how many; ``accuracy`` and ``ci95`` are over them.
        seed: which ones.
        crops: of each image, whose mean feature stood for it.
        padding: pixels of black around the images that the crops were cut from; 0 if there was one crop.
        classes: how many classes occurred; 0 if nothing is known over classes.
        class_accuracy: mean of the classes' accuracies, each class once.
        class_ci95: half-width of its 95 % interval over classes.
        disjoint_episodes: how many episodes there were of which no two share an image; 0 if none were run.
        disjoint_accuracy: mean over these.
        disjoint_ci95: half-width of its 95 % interval over disjoint episodes.
    """

    program: ClassVar[str] = "meta_test"

    n_way: int = field(metadata=KEY)
    k_shot: int = field(metadata=KEY)
    n_query: int = field(metadata=KEY)
    episodes: int = field(metadata=KEY)
    seed: int = field(metadata=KEY)
    crops: int = field(default=1, metadata=KEY)
    padding: int = field(default=0, metadata=KEY)
    classes: int = 0
    class_accuracy: float = float("nan")
    class_ci95: float = float("nan")
    disjoint_episodes: int = 0
    disjoint_accuracy: float = float("nan")
    disjoint_ci95: float = float("nan")

    @property
    def setting(self) -> str:
        """The number of shots, and of crops if there are several."""
        return f"{self.k_shot}-shot" + (f", {self.crops} crops" if self.crops > 1 else "")

    @property
    def estimates(self) -> dict[str, Estimate]:
        """What is known, by what it is the mean over: episodes, classes, disjoint (episodes)."""
        every = {
            "episodes": Estimate(self.accuracy, self.ci95, self.episodes),
            "classes": Estimate(self.class_accuracy, self.class_ci95, self.classes),
            "disjoint": Estimate(self.disjoint_accuracy, self.disjoint_ci95, self.disjoint_episodes),
        }
        return {over: found for over, found in every.items() if found.count}

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
        crops = f"_{self.crops}crops_padding{self.padding}" if self.crops > 1 else ""
        return f"{self.split}_{size}{crops}"

    @property
    def per_episode(self) -> str:
        """Name, in the run folder, of the file with the outcome of every episode."""
        return f"per_episode/{self.test_name}_{self.inference}.csv"

    @property
    def per_disjoint_episode(self) -> str:
        """Name, in the run folder, of the file with the outcome of every disjoint episode."""
        return f"per_episode/{self.test_name}_{self.inference}_disjoint.csv"

    @property
    def files(self) -> dict[str, str]:
        """The outcome of every episode, and of every disjoint one if there are any."""
        disjoint = {"per_disjoint_episode": self.per_disjoint_episode} if self.disjoint_episodes else {}
        return {"per_episode": self.per_episode, **disjoint}


def summarize(
    outcomes: Mapping[str, EpisodeOutcomes],
    images: LabelledImages,
    spec: EpisodeSpec,
    seed: int,
    *,
    primary: str,  # name of the inference that the best checkpoint was chosen by
    step: int,  # of the weights that were tested
    disjoint: Mapping[str, EpisodeOutcomes] | None = None,  # by the same inferences
    crops: int = 1,
    padding: int = 0,
) -> list[EpisodeResult]:
    """One result an inference."""
    dataset, split = split_of(images)
    results = []
    for name, outcome in outcomes.items():
        values = outcome.accuracies.numpy()
        over_classes = estimate(class_means(outcome.correct.numpy(), outcome.classes.numpy(), outcome.n_query))
        apart = estimate(disjoint[name].accuracies.numpy()) if disjoint else NOT_RUN
        result = EpisodeResult(
            dataset=dataset,
            split=split,
            n_way=spec.n_way,
            k_shot=spec.k_shot,
            n_query=spec.n_query,
            episodes=len(values),
            seed=seed,
            crops=crops,
            padding=padding,
            inference=name,
            accuracy=float(values.mean()),
            ci95=interval_half_width(values),
            classes=over_classes.count,
            class_accuracy=over_classes.mean,
            class_ci95=over_classes.ci95,
            disjoint_episodes=apart.count,
            disjoint_accuracy=apart.mean,
            disjoint_ci95=apart.ci95,
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
    return Outcomes(*read_outcomes(folder, result), result.n_query)


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


def _read_outcomes(
    folder: RunFolder,
    name: str,
    result: EpisodeResult,
    episodes: int,
    accuracy: float,  # over them, as results.json says; what is no number is not compared
) -> tuple[NDArray[np.int64], NDArray[np.str_]]:
    path, n_way, again = folder.path / name, result.n_way, f"run meta_test on {folder.path} again"
    if not path.is_file():
        raise UserError(f"{path}: the outcomes of the episodes are gone; {again}")
    try:
        with path.open(newline="", encoding="utf-8") as file:
            rows = list(csv.reader(file))[1:]
        if len(rows) != episodes:
            raise UserError(f"{path}: {len(rows)} of {episodes} episodes; {again}")
        correct = np.array([row[2 : 2 + n_way] for row in rows], dtype=np.int64)
        classes = np.array([row[2 + n_way :] for row in rows])
    except (ValueError, OverflowError, csv.Error) as error:  # not even text, no numbers, too large ones
        raise UserError(f"{path}: the file is damaged ({error}); {again}") from error
    if correct.size and not (0 <= correct.min() <= correct.max() <= result.n_query):
        raise UserError(f"{path}: the file is damaged (right answers are not in 0..{result.n_query}); {again}")
    if abs(correct.mean() / result.n_query - accuracy) > _ROUNDING:
        raise UserError(f"{path}: its episodes do not come to the accuracy in {folder.results.name}; {again}")
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

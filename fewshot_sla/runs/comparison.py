"""Several runs held against one, in tests of the same episodes or images: differences, and what chance would give."""

from collections.abc import Sequence
from dataclasses import dataclass, field, fields, replace

import numpy as np
from numpy.typing import NDArray

from fewshot_sla.runs.results import Result, SplitFacts
from fewshot_sla.runs.statistics import Estimate, PairedDifference, estimate, holm, mcnemar, paired_difference


@dataclass(frozen=True)
class Outcomes:
    """What came of each thing that was tested: each episode, or each image.

    Attributes:
        correct: [E, N] int64, right answers for each of its N classes; for images N is 1.
        classes: [E, N], names of these classes.
        questions: asked for each class: queries; 1 for images.
        aurocs: by score, of each episode [E] 0..1, known queries against unknown ones; where such were asked.
    """

    correct: NDArray[np.int64]
    classes: NDArray[np.str_]
    questions: int
    aurocs: dict[str, NDArray[np.float64]] = field(default_factory=dict)

    @property
    def accuracies(self) -> NDArray[np.float64]:
        """[E], share of right answers in each."""
        return self.correct.mean(axis=1) / self.questions

    def of_the_same(self, other: "Outcomes") -> bool:
        """Whether two tests were of the same episodes or images, as far as their classes tell."""
        return self.classes.shape == other.classes.shape and bool((self.classes == other.classes).all())


def paired(baseline: Outcomes, other: Outcomes) -> PairedDifference:
    """How much better a run is than the baseline on the same episodes or images.

    As :func:`~fewshot_sla.runs.statistics.paired_difference`; of images, each of which is right or wrong, the p-value
    is that of McNemar's exact test.
    """
    found = paired_difference(baseline.correct, other.correct, baseline.classes, other.questions)
    if other.questions == other.classes.shape[1] == 1:
        return replace(found, p_value=mcnemar(other.correct - baseline.correct))
    return found


def paired_aurocs(baseline: Outcomes, other: Outcomes) -> dict[str, Estimate]:
    """How much larger a run's AUROCs are than the baseline's in the same episodes, by score; of those both have."""
    return {
        score: estimate(values - baseline.aurocs[score])
        for score, values in other.aurocs.items()
        if score in baseline.aurocs
    }


@dataclass(frozen=True)
class ComparedRun:
    """One of the runs that are compared.

    Attributes:
        letter: "A" for the baseline, "B", "C", ... for the others.
        name: tells it apart from the others.
        path: its folder.
        chosen: name of the inference that is compared, in each test.
        results: all of the tests that are compared, by every inference.
        unfinished: a line on a training that stopped early, or empty.
    """

    letter: str
    name: str
    path: str
    chosen: dict[tuple, str]
    results: list[Result]
    unfinished: str

    def compares(self, inference: str) -> bool:
        """Whether it is an inference that is compared."""
        return inference in self.chosen.values()

    def result(self, test: tuple, inference: str) -> Result | None:
        """The result of a test by one inference, if there is one."""
        return next((r for r in self.results if (test_of(r), r.inference) == (test, inference)), None)


@dataclass(frozen=True)
class Comparison:
    """One run against the baseline in one test.

    Attributes:
        letter: of the run.
        test: which one.
        baseline, result: what are compared.
        units: how many episodes or images.
        paired: how much better the run is; its p-values are as if this were the only comparison.
        aurocs: by score, how much larger its AUROCs are; none if no unknown queries were asked.
        p_value: over episodes or images, corrected by Holm's method for all comparisons made.
        class_p_value: the same over classes.
    """

    letter: str
    test: tuple
    baseline: Result
    result: Result
    units: int
    paired: PairedDifference
    aurocs: dict[str, Estimate] = field(default_factory=dict)
    p_value: float = float("nan")
    class_p_value: float = float("nan")


@dataclass(frozen=True)
class Comparisons:
    """All comparisons of several runs with one.

    Attributes:
        data: the images of the split.
        runs: the baseline first.
        tests: titles of the tests.
        pairs: one a run and test that it has in common with the baseline.
    """

    data: SplitFacts
    runs: list[ComparedRun]
    tests: dict[tuple, str]
    pairs: list[Comparison]

    @property
    def unit(self) -> str:
        """What was tested one after the other: "episodes" or "images"."""
        return self.pairs[0].result.unit

    def rows(self) -> list[tuple[ComparedRun, str]]:
        """Every run by every inference that it was tested by; what two of them share is named once."""
        rows = [(run, result.inference) for run in self.runs for result in run.results]
        compared = {(run.path, inference) for run, inference in rows if run.compares(inference)}
        found: dict[tuple[str, str], tuple[ComparedRun, str]] = {}
        for run, inference in rows:
            key = run.path, inference
            if run.compares(inference) or (key not in compared and key not in found):
                found[key] = run, inference
        return list(found.values())

    def draws_per_image(self, pair: Comparison) -> float:
        """How often, on average, a test drew each image of the split."""
        return pair.result.drawn / self.data.images


def corrected(pairs: Sequence[Comparison]) -> list[Comparison]:
    """The same comparisons, their p-values corrected for all of them: those over classes apart from the others."""
    over_units = holm([pair.paired.p_value for pair in pairs])
    over_classes = holm([pair.paired.class_p_value for pair in pairs])
    return [
        replace(pair, p_value=p, class_p_value=class_p)
        for pair, p, class_p in zip(pairs, over_units, over_classes, strict=True)
    ]


def test_of(result: Result) -> tuple:
    """What must be equal for two results to be of the same test, by whatever inference, of the same images.

    The name of the data set is left out: the same images may go by several, and their fingerprints are compared.
    """
    return tuple((name, getattr(result, name)) for name in _keys(result))


def repeats(test: tuple, other: tuple, kind: type[Result]) -> bool:
    """Whether a test asks the same as another and less, so that its accuracy is the same and need not be compared."""
    extending = {declared.name for declared in fields(kind) if declared.metadata.get("extends")}
    pairs = list(zip(test, other, strict=True))
    return test != other and all(a == b or (a[0] in extending and a[1] < b[1]) for a, b in pairs)


def test_titles(results: Sequence[Result]) -> dict[tuple, str]:
    """What to call each test; where two have the same title, all that tells them apart is said.

    Args:
        results: of one kind.
    """
    by_test = {test_of(result): result for result in results}
    return {test: _title(result, list(by_test.values())) for test, result in by_test.items()}


def _title(result: Result, among: Sequence[Result]) -> str:
    alike = [other for other in among if other.title == result.title]
    telling = [name for name in _keys(result) if len({getattr(other, name) for other in alike}) > 1]
    details = ", ".join(f"{name} {getattr(result, name)}" for name in telling)
    return f"{result.title} ({details})" if details else result.title


def _keys(result: Result) -> list[str]:
    keys = [declared.name for declared in fields(result) if declared.metadata.get("key")]
    return [name for name in keys if name not in ("dataset", "inference")]

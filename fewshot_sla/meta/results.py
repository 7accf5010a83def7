"""Results of a meta-learner: what the outcomes of its episodes come to."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar

from episodes.episode import EpisodeSpec
from episodes.images.labelled import LabelledImages
from fewshot_sla.meta.protocol import EpisodeOutcomes
from fewshot_sla.runs.results import EXTENDING, KEY, Result, split_of
from fewshot_sla.runs.statistics import Estimate, class_means, estimate, interval_half_width

SINGLE = "single"  # name of the inference that gains are over
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
        unknown_ways: classes outside each episode whose queries were asked too; 0 if there were none.
        transductive: whether the answer to a query was allowed to depend on the other queries of its episode.
        classes: how many classes occurred; 0 if nothing is known over classes.
        class_accuracy: mean of the classes' accuracies, each class once.
        class_ci95: half-width of its 95 % interval over classes.
        disjoint_episodes: how many episodes there were of which no two share an image; 0 if none were run.
        disjoint_accuracy: mean over these.
        disjoint_ci95: half-width of its 95 % interval over disjoint episodes.
        auroc: by score, mean over the episodes of the area under the ROC curve, known queries against unknown ones.
        auroc_ci95: half-widths of their 95 % intervals over episodes.
        auroc_gain: by score, how much larger that is than by single inference, on the same episodes.
        auroc_gain_ci95: half-widths of their 95 % intervals over episodes.
    """

    program: ClassVar[str] = "meta_test"

    n_way: int = field(metadata=KEY)
    k_shot: int = field(metadata=KEY)
    n_query: int = field(metadata=KEY)
    episodes: int = field(metadata=KEY)
    seed: int = field(metadata=KEY)
    crops: int = field(default=1, metadata=KEY)
    padding: int = field(default=0, metadata=KEY)
    unknown_ways: int = field(default=0, metadata=EXTENDING)
    transductive: bool = field(default=False, metadata=KEY)
    classes: int = 0
    class_accuracy: float = float("nan")
    class_ci95: float = float("nan")
    disjoint_episodes: int = 0
    disjoint_accuracy: float = float("nan")
    disjoint_ci95: float = float("nan")
    auroc: dict[str, float] = field(default_factory=dict)
    auroc_ci95: dict[str, float] = field(default_factory=dict)
    auroc_gain: dict[str, float] = field(default_factory=dict)
    auroc_gain_ci95: dict[str, float] = field(default_factory=dict)

    @property
    def setting(self) -> str:
        """The number of shots, of crops and of unknown ways if there are several, and whether it is transductive."""
        crops = f", {self.crops} crops" if self.crops > 1 else ""
        return f"{self.k_shot}-shot{crops}{self._unknown}{self._transductive}"

    @property
    def _unknown(self) -> str:
        return f", {self.unknown_ways} unknown" if self.unknown_ways else ""

    @property
    def _transductive(self) -> str:
        return ", transductive" if self.transductive else ""

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
        """Ways and shots, unknown ways if there are any, and whether it is transductive."""
        return f"{self.n_way}-way {self.k_shot}-shot{self._unknown}{self._transductive}"

    @property
    def unit(self) -> str:
        """Episodes."""
        return "episodes"

    @property
    def drawn(self) -> int:
        """Support and query images of all episodes, unknown ones among them."""
        return self.episodes * (self.n_way * (self.k_shot + self.n_query) + self.unknown_ways * self.n_query)

    @property
    def test_name(self) -> str:
        """The protocol as part of a file name."""
        size = f"{self.n_way}way_{self.k_shot}shot_{self.n_query}query_{self.episodes}episodes_seed{self.seed}"
        crops = f"_{self.crops}crops_padding{self.padding}" if self.crops > 1 else ""
        unknown = f"_{self.unknown_ways}unknown" if self.unknown_ways else ""
        return f"{self.split}_{size}{crops}{unknown}{'_transductive' if self.transductive else ''}"

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
    unknown_ways: int = 0,
    transductive: bool = False,
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
            unknown_ways=unknown_ways,
            transductive=transductive,
            inference=name,
            accuracy=float(values.mean()),
            ci95=interval_half_width(values),
            classes=over_classes.count,
            class_accuracy=over_classes.mean,
            class_ci95=over_classes.ci95,
            disjoint_episodes=apart.count,
            disjoint_accuracy=apart.mean,
            disjoint_ci95=apart.ci95,
            **_detection(name, outcomes),
            primary=name == primary,
            step=step,
            fingerprint=images.fingerprint,
        )
        results.append(result)
    return results


def _detection(name: str, outcomes: Mapping[str, EpisodeOutcomes]) -> dict[str, dict[str, float]]:
    """How well scores tell known from unknown by one inference, and its gain over single inference, as fields."""
    aurocs = {score: values.numpy() for score, values in outcomes[name].aurocs.items()}
    single = outcomes[SINGLE].aurocs if SINGLE in outcomes and name != SINGLE else {}
    gains = {score: aurocs[score] - single[score].numpy() for score in aurocs if score in single}
    found = {}
    for what, by_score in (("auroc", aurocs), ("auroc_gain", gains)):
        estimates = {score: estimate(values) for score, values in by_score.items()}
        found[what] = {score: one.mean for score, one in estimates.items()}
        found[f"{what}_ci95"] = {score: one.ci95 for score, one in estimates.items()}
    return found

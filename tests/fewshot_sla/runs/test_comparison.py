"""Runs held against one: what pairs up, by which test, what a test is called, and what stands in which row."""

import dataclasses

import numpy as np
import pytest
from scipy import stats

from fewshot_sla.classification.results import ClassificationResult
from fewshot_sla.meta.results import EpisodeResult
from fewshot_sla.runs.comparison import Outcomes, paired
from fewshot_sla.runs.comparison import test_of as key_of
from fewshot_sla.runs.comparison import test_titles as titles_of
from fewshot_sla.runs.statistics import paired_difference


def of_episodes(**changes: object) -> EpisodeResult:
    fields = {"dataset": "d", "split": "test", "inference": "single", "accuracy": 0.5, "step": 1, "fingerprint": "f"}
    size = {"n_way": 5, "k_shot": 1, "n_query": 15, "episodes": 1000, "seed": 0}
    return EpisodeResult(**fields | size | changes)  # type: ignore[arg-type]


def of_images(**changes: object) -> ClassificationResult:
    fields = {"dataset": "d", "split": "test", "inference": "single", "accuracy": 0.5, "step": 1, "fingerprint": "f"}
    return ClassificationResult(**fields | {"images": 12, "per_class": []} | changes)  # type: ignore[arg-type]


def test_images_are_paired_by_mcnemars_test_and_their_classes_by_a_t_test() -> None:
    generator = np.random.default_rng(5)
    labels = np.array([[name] for name in "abcdef" for _ in range(30)])
    right = [generator.integers(0, 2, (180, 1)), generator.integers(0, 4, (180, 1)).clip(0, 1)]
    found = paired(*(Outcomes(each, labels, 1) for each in right))
    difference = (right[1] - right[0])[:, 0]
    of_classes = difference.reshape(6, 30).mean(axis=1)
    assert found.p_value == pytest.approx(
        stats.binomtest(int((difference > 0).sum()), int(abs(difference).sum())).pvalue
    )
    assert found.difference == pytest.approx(difference.mean())
    assert found.class_p_value == pytest.approx(stats.ttest_1samp(of_classes, 0).pvalue)
    assert found.ci95 == pytest.approx(stats.t.ppf(0.975, 179) * stats.sem(difference))


def test_episodes_are_paired_by_a_t_test() -> None:
    generator = np.random.default_rng(6)
    classes = np.array([generator.permutation(list("abcdefg"))[:3] for _ in range(40)])
    correct = [generator.integers(0, 5, (40, 3)) for _ in range(2)]
    assert paired(*(Outcomes(each, classes, 4) for each in correct)) == paired_difference(*correct, classes, 4)
    other = Outcomes(correct[1], classes[::-1], 4)
    assert not Outcomes(correct[0], classes, 4).of_the_same(other)


def test_a_test_is_called_by_what_tells_it_from_the_others() -> None:
    results = [of_episodes(k_shot=5), of_episodes(), of_episodes(seed=3), of_episodes(episodes=600)]
    assert list(titles_of(results).values()) == [
        "5-way 5-shot",
        "5-way 1-shot (episodes 1000, seed 0)",
        "5-way 1-shot (episodes 1000, seed 3)",
        "5-way 1-shot (episodes 600, seed 0)",
    ]
    assert list(titles_of([of_images(), of_images(crops=10)]).values()) == ["test images", "10 crops"]


def test_inference_and_name_of_the_data_do_not_make_another_test() -> None:
    assert key_of(of_images()) == key_of(of_images(dataset="limited", inference="aggregated"))
    keys = {declared.name for declared in dataclasses.fields(EpisodeResult) if declared.metadata.get("key")}
    for name in keys - {"dataset", "inference"}:
        assert key_of(of_episodes()) != key_of(of_episodes(**{name: 7})), name

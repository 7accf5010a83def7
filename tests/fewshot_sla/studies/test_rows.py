"""Means, intervals and paired differences of a study, against scipy on the same numbers; what cannot be compared."""

from pathlib import Path

import numpy as np
import pytest
from scipy import stats

from episodes.errors import UserError
from fewshot_sla.meta.kind import META
from fewshot_sla.meta.results import EpisodeResult
from fewshot_sla.reporting.formats import render
from fewshot_sla.runs.folder import RunFolder
from fewshot_sla.studies.cells import DoneCell
from fewshot_sla.studies.report import flat_table, study_tables
from fewshot_sla.studies.rows import study_rows

EPISODES, WAYS, QUERIES = 40, 5, 15
CLASSES = np.random.default_rng(9).choice(list("abcdefgh"), (EPISODES, WAYS))
NAMES = {"x_plain": "plain", "x_sla": "sla"}


def a_run(path: Path, seed: int, shift: int, *, fingerprint: str = "f", classes: np.ndarray = CLASSES) -> DoneCell:
    """A run with made-up outcomes; the right answers stand in its files as a test writes them."""
    correct = np.clip(np.random.default_rng(seed).integers(3, 12, (EPISODES, WAYS)) + shift, 0, QUERIES)
    accuracies = correct.sum(axis=1) / (WAYS * QUERIES)
    result = EpisodeResult(
        dataset="x", split="test", inference="single", accuracy=float(accuracies.mean()), primary=True, step=1,
        fingerprint=fingerprint, n_way=WAYS, k_shot=1, n_query=QUERIES, episodes=EPISODES, seed=0,
    )  # fmt: skip
    rows = [
        [episode, accuracy, *row, *names]
        for episode, (accuracy, row, names) in enumerate(zip(accuracies, correct, classes, strict=True))
    ]
    file = path / result.per_episode
    file.parent.mkdir(parents=True)
    file.write_text("head\n" + "".join(f"{','.join(map(str, row))}\n" for row in rows))
    return DoneCell(RunFolder(path), [result])


def accuracies_of(seed: int, shift: int) -> np.ndarray:
    correct = np.clip(np.random.default_rng(seed).integers(3, 12, (EPISODES, WAYS)) + shift, 0, QUERIES)
    return correct.mean(axis=1) / QUERIES


def test_figures_are_those_of_scipy(tmp_path: Path) -> None:
    runs = {
        "x_plain": {seed: a_run(tmp_path / f"a{seed}", seed, 0) for seed in (0, 1, 2)},
        "x_sla": {seed: a_run(tmp_path / f"b{seed}", seed + 10, 2) for seed in (0, 2)},
    }
    plain, sla = study_rows(META, runs, "x_plain")
    ours = np.stack([accuracies_of(seed, 0) for seed in (0, 1, 2)])
    assert plain.difference is None
    assert plain.mean == pytest.approx(ours.mean())
    assert plain.deviation == pytest.approx(np.std(ours.mean(axis=1), ddof=1))
    low, high = stats.ttest_1samp(ours.mean(axis=0), 0).confidence_interval()
    assert plain.ci95 == pytest.approx((high - low) / 2)

    found = sla.difference
    assert found is not None
    theirs = np.stack([accuracies_of(seed + 10, 2) for seed in (0, 2)])
    low, high = stats.ttest_rel(theirs.mean(axis=0), ours[[0, 2]].mean(axis=0)).confidence_interval()
    assert (found.seeds, found.baseline) == ((0, 2), "x_plain")
    assert (found.mean - found.ci95, found.mean + found.ci95) == pytest.approx((low, high))
    by_seed = theirs.mean(axis=1) - ours[[0, 2]].mean(axis=1)
    assert found.by_seed == pytest.approx(tuple(by_seed))
    assert found.deviation == pytest.approx(abs(by_seed[0] - by_seed[1]) / np.sqrt(2))
    assert found.relative == pytest.approx(theirs.mean() / ours[[0, 2]].mean() - 1)

    text = render(study_tables([plain, sla], NAMES), "terminal")
    notes = ("±", "Paired", "sla: 2 of 3")
    assert all(len(line) <= 80 for line in text.splitlines() if not line.startswith(notes))
    assert "sla: 2 of 3 seeds are done" in text
    assert "seed 1" not in text
    lines = render([flat_table([plain, sla], NAMES)], "csv").splitlines()
    assert len(lines) == 3
    assert "seed 1" in lines[0]


def test_other_images_and_other_episodes_are_not_compared(tmp_path: Path) -> None:
    plain = a_run(tmp_path / "plain", 0, 0)
    images = {"x_plain": {0: plain}, "x_sla": {0: a_run(tmp_path / "images", 0, 1, fingerprint="g")}}
    with pytest.raises(UserError, match=r"plain and .*images were tested on different images of x/test"):
        study_rows(META, images)
    episodes = {"x_plain": {0: plain}, "x_sla": {0: a_run(tmp_path / "episodes", 0, 1, classes=CLASSES[::-1])}}
    with pytest.raises(UserError, match=r"plain and .*episodes were tested on different episodes"):
        study_rows(META, episodes)
    with pytest.raises(UserError, match="x_none: the baseline has no run that is done"):
        study_rows(META, {"x_plain": {0: plain}}, "x_none")

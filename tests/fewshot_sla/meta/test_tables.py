"""The table of results: every interval by its name, what is the same throughout in the title, at most 80 columns."""

import dataclasses
from typing import Any

from fewshot_sla.meta.results import EpisodeResult
from fewshot_sla.meta.tables import results_table, runs_table
from fewshot_sla.reporting.formats import render


def result(**changes: Any) -> EpisodeResult:
    figures = {"classes": 20, "class_accuracy": 0.7412, "class_ci95": 0.0523}
    figures |= {"disjoint_episodes": 148, "disjoint_accuracy": 0.7333, "disjoint_ci95": 0.0187}
    of_test = {
        "dataset": "cifarfs",
        "split": "test",
        "n_way": 5,
        "k_shot": 1,
        "n_query": 15,
        "episodes": 10000,
        "seed": 0,
    }
    said = {"inference": "single", "accuracy": 0.7405, "ci95": 0.0021, "step": 60000, "fingerprint": "f"}
    return EpisodeResult(**{**of_test, **said, **figures, **changes})


def both(**changes: Any) -> list[EpisodeResult]:
    return [result(inference=name, **changes) for name in ("single", "aggregated")]


def test_every_interval_is_named() -> None:
    table = results_table([*both(), *both(k_shot=5)], "runs/x on cifarfs/test")
    assert table.title == "runs/x on cifarfs/test: 5-way accuracy, %"
    assert list(table.headings) == ["shot", "± over", "single (SI)", "aggregated (AG)"]
    assert [[str(cell) for cell in row[:3]] for row in table.rows[:3]] == [
        ["1", "10000 episodes", "74.05 ± 0.21"],
        ["1", "20 classes", "74.12 ± 5.23"],
        ["1", "148 disjoint", "73.33 ± 1.87"],
    ]
    assert [len(section) for section in table.sections] == [3, 3]
    assert [note.split(":")[0].split(",")[0] for note in table.notes[1:]] == [
        "over episodes",
        "over classes",
        "over disjoint episodes",
    ]


def test_results_of_an_older_program_have_the_interval_that_they_have() -> None:
    old = dataclasses.replace(result(), classes=0, disjoint_episodes=0)
    table = results_table([old], "")
    assert [str(cell) for cell in table.rows[0]] == ["1", "10000 episodes", "74.05 ± 0.21"]
    assert len(table.rows) == 1
    assert len(table.notes) == 2


def test_one_disjoint_episode_has_no_interval() -> None:
    table = results_table([result(disjoint_episodes=1, disjoint_ci95=float("nan"))], "")
    assert str(table.rows[2][2]) == "73.33"


def test_runs_and_crops_that_differ_have_columns_and_fit() -> None:
    runs = {"cifarfs/protonet": [result()], "cifarfs/ridge": [*both(), *both(crops=10, padding=4, split="val")]}
    table = runs_table(runs, "2 runs")
    assert list(table.headings)[:5] == ["run", "images", "shot", "crops", "± over"]
    assert [row[:4] for row in table.rows[::3]] == [
        ("cifarfs/protonet", "cifarfs/test", 1, 1),
        ("cifarfs/ridge", "cifarfs/test", 1, 1),
        ("cifarfs/ridge", "cifarfs/val", 1, 10),
    ]
    assert table.rows[0][-1] is None  # the first has no such inference
    assert max(map(len, render([table], "terminal").splitlines())) <= 80
    text = render([runs_table({"protonet_plain": both(), "protonet_sla": both(k_shot=5)}, "2 runs")], "terminal")
    assert max(map(len, text.splitlines())) <= 80
    assert "148 disjoint" in text  # unbroken
    assert runs_table({}, "nothing").rows == []

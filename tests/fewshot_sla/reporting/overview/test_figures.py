"""Tables of figures by hand: intervals of any name, tests that differ in one number."""

from dataclasses import replace

from fewshot_sla.meta.results import EpisodeResult
from fewshot_sla.reporting.overview.figures import accuracy_table, interval_table
from fewshot_sla.reporting.tables import Figure
from fewshot_sla.runs.records import to_json

ONE = EpisodeResult(
    dataset="glyphs", split="test", inference="single", accuracy=0.5, ci95=0.01, primary=True, step=3, fingerprint="f",
    n_way=5, k_shot=1, n_query=15, episodes=200, seed=0,
)  # fmt: skip


def test_tests_of_one_name_are_told_apart_by_what_differs() -> None:
    longer = replace(ONE, episodes=1000, accuracy=0.25)
    table = accuracy_table({"run": [ONE, longer, replace(ONE, k_shot=5)]})
    assert list(table.headings)[1:] == [
        "glyphs/test 1-shot, episodes 200", "glyphs/test 1-shot, episodes 1000", "glyphs/test 5-shot",
    ]  # fmt: skip
    assert [cell.value for cell in table.rows[0][1:] if isinstance(cell, Figure)] == [50, 25, 50]
    assert table.notes == ["Primary inference: single (SI)."]


def test_intervals_that_only_the_file_knows_are_shown() -> None:
    entry = {**to_json(ONE), "ci95_classes": 0.03, "ci95_disjoint": None}
    table = interval_table({"run": ([ONE], [entry])})
    assert list(table.headings)[2:] == ["over classes"]
    assert table.rows == [("single (SI)", "glyphs/test 1-shot", Figure(3.0, None))]
    assert not interval_table({"run": ([ONE], [to_json(ONE)])}).rows


def test_intervals_over_classes_and_over_disjoint_episodes_are_shown_with_their_means() -> None:
    known = replace(ONE, classes=54, class_accuracy=0.52, class_ci95=0.03)
    table = interval_table({"run": ([known], [to_json(known)])})
    assert list(table.headings)[2:] == ["over classes"]
    assert table.rows == [("single (SI)", "glyphs/test 1-shot", Figure(52.0, 3.0))]


def test_a_result_that_came_since_the_file_was_read_has_no_other_intervals_yet() -> None:
    known = replace(ONE, class_accuracy=0.52, class_ci95=0.03)
    table = interval_table({"run": ([replace(ONE, k_shot=5), known], [to_json(known)])})
    assert [row[1] for row in table.rows] == ["glyphs/test 1-shot"]

"""Comparisons as tables: they fit 80 columns, programs get both kinds of p-values, and what is doubtful is said."""

import csv
import dataclasses
import io
import json

import numpy as np
import pytest
from rich.cells import cell_len

from fewshot_sla.meta.results import EpisodeResult
from fewshot_sla.reporting.comparison import comparison_tables, warnings_about
from fewshot_sla.reporting.formats import render
from fewshot_sla.runs.comparison import ComparedRun, Comparison, Comparisons, corrected
from fewshot_sla.runs.comparison import test_of as key_of
from fewshot_sla.runs.results import SplitFacts
from fewshot_sla.runs.statistics import PairedDifference, holm

LONG = "ridge_sla_rotation4_color3_with_a_name_that_is_long"


def comparisons_of(names: list[str], shots: tuple[int, ...] = (1, 5)) -> Comparisons:
    """Made-up ones: the run in place i is i points better at each shot."""
    runs = []
    for place, name in enumerate(names):
        results = [
            EpisodeResult(
                dataset="cifarfs", split="test", inference=inference, accuracy=0.7 + place / 100, ci95=0.0043, step=9,
                fingerprint="f", n_way=5, k_shot=k_shot, n_query=15, episodes=1000, seed=0,
            )
            for k_shot in shots
            for inference in ("single", "aggregated")
        ]  # fmt: skip
        chosen = {key_of(result): "aggregated" if place else "single" for result in results}
        runs.append(ComparedRun("ABCDEF"[place], name, f"runs/{name}", chosen, results, ""))
    tests = {key_of(result): result.title for result in runs[0].results}
    pairs = []
    for test in tests:
        for place, run in enumerate(runs[1:], 1):
            before, after = runs[0].result(test, "single"), run.result(test, "aggregated")
            assert before is not None
            assert after is not None
            found = PairedDifference(place / 100, 0.0032, 0.01 * place, place / 100, 0.0097, 0.03 * place, classes=54)
            pairs.append(Comparison(run.letter, test, before, after, 1000, found))
    return Comparisons(SplitFacts("cifarfs/test", "f", 12000, 54), runs, tests, corrected(pairs))


@pytest.mark.parametrize("shots", [(1,), (1, 5), (1, 5, 10), (1, 2, 3, 5, 10)])
@pytest.mark.parametrize("runs", [2, 4, 6])
def test_tables_fit_eighty_columns(runs: int, shots: tuple[int, ...]) -> None:
    names = ["protonet_plain", *(f"{LONG}{place}" for place in range(1, runs))]
    tables = comparison_tables(comparisons_of(names, shots), "terminal")
    lines = [line for table in tables for line in render([table], "terminal").splitlines() if line[:1] in "┏┃┡│├└"]
    assert max(map(cell_len, lines)) <= 80
    whole = "".join("".join(line.split("│")[2:3]).strip() for line in lines)
    assert f"{LONG}{runs - 1}" in whole  # long names go on in the next line, nothing is cut off
    assert "…" not in whole


def test_a_letter_marks_what_is_compared() -> None:
    accuracies, differences = comparison_tables(comparisons_of(["plain", "sla"]), "markdown")
    assert [row[:2] for row in accuracies.rows] == [
        ("A", "plain, single"),
        ("", "plain, aggregated"),
        ("", "sla, single"),
        ("B", "sla, aggregated"),
    ]
    assert [row[:2] for row in differences.rows] == [("5-way 1-shot", "B - A"), ("5-way 5-shot", "B - A")]
    assert "for the 2 comparisons shown" in " ".join(differences.notes)


def test_a_single_comparison_needs_no_correction() -> None:
    _, differences = comparison_tables(comparisons_of(["plain", "sla"], shots=(1,)), "terminal")
    assert "Holm" not in " ".join([*differences.headings, *differences.notes])


def test_programs_get_p_values_as_they_are_and_corrected() -> None:
    comparisons = comparisons_of(["plain", "da", "sla"])
    (table,) = comparison_tables(comparisons, "csv")
    rows = list(csv.DictReader(io.StringIO(render([table], "csv"))))
    raw = [float(row["p over episodes"]) for row in rows]
    assert raw == pytest.approx([0.01, 0.02, 0.01, 0.02])
    assert [float(row["p over episodes (Holm)"]) for row in rows] == pytest.approx(holm(raw))
    assert [float(row["p over classes (Holm)"]) for row in rows] == pytest.approx([0.12, 0.12, 0.12, 0.12])
    assert [(row["run"], row["comparisons"], row["inference"]) for row in rows][:2] == [
        ("da", "4", "aggregated"),
        ("sla", "4", "aggregated"),
    ]
    (read,) = json.loads(render(comparison_tables(comparisons, "json"), "json"))
    assert read["rows"][1]["difference over classes, points"] == {
        "value": pytest.approx(2.0),
        "spread": pytest.approx(0.97),
    }


def test_what_is_doubtful_is_said() -> None:
    comparisons = comparisons_of(["plain", "sla"], shots=(1,))
    said = list(warnings_about(comparisons))
    assert len(said) == 1
    assert "1000 episodes draw each of the 12000 images 7 times" in said[0]
    (pair,) = comparisons.pairs
    doubtful = dataclasses.replace(pair, class_p_value=0.2)
    stopped = dataclasses.replace(comparisons.runs[1], unfinished="runs/sla: not finished, 5 of 9 steps")
    found = dataclasses.replace(comparisons, pairs=[doubtful], runs=[comparisons.runs[0], stopped])
    said = list(warnings_about(found))
    assert "B - A, 5-way 1-shot: the difference is beyond chance over episodes but not over classes" in said[1]
    assert said[2] == "Warning: runs/sla: not finished, 5 of 9 steps"
    assert np.isfinite(pair.p_value)

"""From scores to unknown.json: figures against counts of pairs, merging, damage."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from episodes.errors import UserError
from fewshot_sla.classification.unknown.results import (
    UnknownResult,
    read_unknown,
    save_unknown,
    scores_as_csv,
    shared_classes,
    summarize_unknown,
)
from fewshot_sla.classification.unknown.scoring import Scored
from fewshot_sla.classification.unknown.tables import unknown_table
from fewshot_sla.reporting.formats import render
from fewshot_sla.runs.folder import RunFolder
from tests.tiny import TinyClasses

KNOWN = TinyClasses(classes=2, per_class=3).open("test")
UNKNOWN = TinyClasses(classes=2, per_class=2, names="Class_").open("test").named("others/test")


def scored(values: list[float], labels: list[int], predicted: list[int]) -> Scored:
    scores = {name: torch.tensor(values, dtype=torch.float64) for name in ("energy", "probability")}
    return Scored(torch.tensor(labels), torch.tensor(predicted), scores)


OF_KNOWN = scored([0.9, 0.8, 0.4, 0.7, 0.6, 0.5], [0, 0, 0, 1, 1, 1], [0, 0, 1, 1, 1, 1])
OF_UNKNOWN = scored([0.1, 0.55, 0.4, 0.2], [0, 0, 1, 1], [0, 1, 0, 1])


def results(step: int = 7) -> list[UnknownResult]:
    return summarize_unknown(KNOWN, {"single": OF_KNOWN}, UNKNOWN, {"single": OF_UNKNOWN}, step)


def test_figures_are_counts_of_pairs() -> None:
    known, unknown = OF_KNOWN.scores["energy"].numpy(), OF_UNKNOWN.scores["energy"].numpy()
    larger = np.mean([[1.0 if k > u else 0.5 if k == u else 0.0 for u in unknown] for k in known])
    for result in results():
        assert result.auroc == pytest.approx(larger)
        assert result.fpr95 == 0.5  # all six known must pass 0.4; so do 0.55 and 0.4
        assert result.accuracy == pytest.approx(5 / 6)
        assert (result.known, result.unknown, result.against, result.split) == (6, 4, "others", "test")
    assert [result.score for result in results()] == ["energy", "probability"]


def test_classes_of_one_name_are_named() -> None:
    assert shared_classes(["pickup_truck", "Bird", "cat"], ["bird", "Pickup truck", "cattle"]) == [
        "pickup_truck",
        "Bird",
    ]
    assert shared_classes(["automobile"], ["pickup_truck"]) == []
    one = replace(results()[0], shared_classes=["class 0"])
    assert "whose images are not unknown: class 0." in unknown_table("run", [one]).notes[0]


def test_the_table_fits_a_terminal() -> None:
    aggregated = [replace(result, inference="aggregated", score="agreement", fpr95=1.0) for result in results()]
    lines = render([unknown_table("runs/a", [*aggregated, *results()])], "terminal").splitlines()
    assert max(map(len, lines)) <= 80
    assert "agreement of views" in "".join(lines)


def test_a_row_an_image() -> None:
    rows = scores_as_csv(OF_UNKNOWN, UNKNOWN.class_names, KNOWN.class_names).splitlines()
    assert rows[0] == "image,class,predicted,energy,probability"
    assert rows[2] == "1,Class_ 0,class 1,0.55,0.55"
    assert len(rows) == 5


def test_data_sets_of_other_names_have_other_files_and_none_leaves_the_folder() -> None:
    names = ["my pics", "my_pics", "my/pics", "my%20pics", "others", ".others", ".."]
    files = {name: replace(results()[0], against=name).files for name in names}
    assert len({own["picture"] for own in files.values()}) == len(names)
    for own in files.values():
        assert [Path(own[kind]).parts[0] for kind in ("picture", "unknown_scores")] == ["unknown"] * 2
        assert len(Path(own["picture"]).parts) == 3
        assert not Path(own["picture"]).parts[1].startswith(".")


def test_results_of_other_weights_or_images_go_and_the_others_stay(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path)
    save_unknown(folder, results(), {"unknown/a.csv": "x"}, {"wall_time_s": {"others": 1.0}})
    assert (tmp_path / "unknown" / "a.csv").read_text() == "x"
    more = [replace(result, against="more") for result in results()]
    save_unknown(folder, more, {}, {"wall_time_s": {"more": 2.0}})
    assert read_unknown(folder) == [*results(), *more]
    assert json.loads(folder.unknown.read_text())["wall_time_s"] == {"others": 1.0, "more": 2.0}
    changed = replace(results()[0], fingerprint_unknown="changed")
    save_unknown(folder, [changed], {}, {})
    assert read_unknown(folder) == [*more, changed]
    later = replace(more[0], step=8)
    save_unknown(folder, [later], {}, {})
    assert read_unknown(folder) == [later]
    folder.forget()
    assert not folder.unknown.exists()


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "no results yet; run python -m"),
        ("{", "the file is damaged"),
        ("[]", "there is no list of results"),
        ('{"results": [{"dataset": 3}]}', r"results\[0\]\.dataset must be text"),
    ],
)
def test_a_damaged_file_is_one_line(text: str, words: str, tmp_path: Path) -> None:
    folder = RunFolder(tmp_path)
    if text:
        folder.unknown.write_text(text)
        with pytest.raises(UserError):
            save_unknown(folder, results(), {"unknown/a.csv": "x"}, {})
        assert not (tmp_path / "unknown").exists()
    with pytest.raises(UserError, match=words):
        read_unknown(folder)


def test_scores_that_are_no_numbers_are_named() -> None:
    broken = replace(OF_UNKNOWN, scores={"energy": torch.full((4,), torch.nan), "probability": torch.zeros(4)})
    with pytest.raises(UserError, match="tiny-classes/test against others: energy by single: scores must be finite"):
        summarize_unknown(KNOWN, {"single": OF_KNOWN}, UNKNOWN, {"single": broken}, 7)

"""meta_test as a user runs it: named intervals, formats, several runs, ten crops, unfinished runs, bad input."""

import csv
import io
import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from fewshot_sla import meta_test
from fewshot_sla.cli.door import run_door
from fewshot_sla.meta.kind import META
from fewshot_sla.meta.learners import EmbeddingLearner
from fewshot_sla.meta.outcome_files import read_disjoint_outcomes, read_outcomes
from fewshot_sla.meta.results import EpisodeResult
from fewshot_sla.runs.checkpoint import load_checkpoint, save_checkpoint
from fewshot_sla.runs.folder import RunFolder
from fewshot_sla.runs.results import read_results
from fewshot_sla.runs.statistics import interval_half_width
from tests.integration import doors

PLAIN = "--objective=fewshot_sla.meta.Plain"


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """One finished run, and the same as if it had been stopped."""
    root = tmp_path_factory.mktemp("runs")
    assert doors.train(root / "whole", PLAIN) == 0
    shutil.copytree(root / "whole", root / "stopped")
    last = root / "stopped" / "last.safetensors"
    tensors, state = load_checkpoint(last)
    save_checkpoint(last, tensors, {**state, "steps": 40})
    return {name: root / name for name in ("whole", "stopped")}


def results_in(folder: Path, **of: object) -> list[EpisodeResult]:
    found = read_results(RunFolder(folder), EpisodeResult)
    return [r for r in found if r.split == "test" and all(getattr(r, name) == value for name, value in of.items())]


def test_results_hold_three_intervals_that_the_files_bear_out(
    runs: dict[str, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    folder = runs["whole"]
    capsys.readouterr()
    assert doors.run_test(folder, "--k_shot", "1", "2") == 0
    out, err = capsys.readouterr()
    assert "│ 30 episodes │" in out
    assert "not finished" not in out + err
    assert max(map(len, out.splitlines())) <= 80
    (result,) = results_in(folder, k_shot=2)
    correct, classes = read_outcomes(RunFolder(folder), result)
    by_class = [correct[classes == name].mean() / 3 for name in np.unique(classes)]
    assert (result.classes, result.class_accuracy) == (8, pytest.approx(np.mean(by_class)))
    assert result.class_ci95 == pytest.approx(interval_half_width(np.array(by_class)))
    apart, _ = read_disjoint_outcomes(RunFolder(folder), result)
    assert len(apart) == result.disjoint_episodes == 3  # 8 classes of 10 // 5 blocks, 5 an episode
    assert result.disjoint_accuracy == pytest.approx(apart.mean() / 3)
    assert result.disjoint_ci95 == pytest.approx(interval_half_width(apart.mean(axis=1) / 3))
    entry = json.loads((folder / "results.json").read_text())["results"][-1]
    assert (folder / entry["per_disjoint_episode"]).is_file()

    assert doors.run_test(folder, "--k_shot=2", "--disjoint", "false") == 0
    (without,) = results_in(folder, k_shot=2)
    assert (without.accuracy, without.class_ci95) == (result.accuracy, result.class_ci95)
    assert list(without.estimates) == ["episodes", "classes"]


def test_several_runs_in_one_table_that_a_program_reads(
    runs: dict[str, Path], capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    both = [str(runs["whole"]), str(runs["stopped"])]
    small = ["--n_query=3", "--episodes=2", "--accelerator=cpu"]
    capsys.readouterr()
    assert run_door(meta_test.main, [*both, *small, "--format=csv"]) == 0
    out, err = capsys.readouterr()
    rows = list(csv.DictReader(io.StringIO(out)))
    assert [(row["run"], row["shot"], row["± over"]) for row in rows] == [
        (run, shot, over)
        for run in ("whole", "stopped")
        for shot in ("1", "5")
        for over in (
            "2 episodes",
            "7 classes",
            "2 disjoint" if shot == "1" else "1 disjoint",
        )  # at most as many as the others
    ]
    first = results_in(runs["whole"], k_shot=1, episodes=2)[0]
    assert float(rows[0]["single (SI)"]) == pytest.approx(100 * first.accuracy)
    assert float(rows[1]["single (SI) ±"]) == pytest.approx(100 * first.class_ci95)
    (line,) = [line for line in err.splitlines() if "not finished" in line]
    assert line.startswith(f"{runs['stopped']}: not finished, 4 of 40 steps; its figures are of the weights so far ")
    assert line.endswith(f"(go on with --resume --run_folder {runs['stopped']})")
    assert "Traceback" not in err

    page = tmp_path / "table.tex"
    assert run_door(meta_test.main, [*both, *small, "--format", "latex", "--output", str(page)]) == 0
    assert page.read_text().count(r"\midrule") == 4
    assert "not finished" in page.read_text()


def test_ten_crops_stand_beside_the_images_as_they_are(
    runs: dict[str, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    crops, plain = tmp_path / "crops", tmp_path / "plain"
    for copy in (crops, plain):
        shutil.copytree(runs["whole"], copy)
        assert doors.run_test(copy, "--k_shot=1", "--seed=5") == 0
    before = results_in(crops, seed=5)
    assert doors.run_test(crops, "--k_shot=1", "--seed=5", "--ten_crop", "--padding=2") == 0
    found = results_in(crops, seed=5)
    assert found[:1] == before
    assert [(r.crops, r.padding, r.setting) for r in found] == [
        (1, 0, "1-shot"),
        (10, 2, "1-shot, 10 crops"),
    ]
    assert len({r.accuracy for r in found}) > 1
    assert len({r.per_episode for r in found} | {r.per_disjoint_episode for r in found}) == 4
    capsys.readouterr()
    assert doors.compare_runs(str(plain), str(crops)) == 0  # the one protocol that both have
    assert "(3 queries" not in capsys.readouterr().out


def test_the_standard_test_is_found_and_others_are_not_taken_for_it(runs: dict[str, Path], tmp_path: Path) -> None:
    folder = RunFolder(shutil.copytree(runs["whole"], tmp_path / "run"))
    config = folder.config.read_text()
    folder.config.write_text(config.replace("per_class: 10", "per_class: 20"))  # room for 15 queries
    assert META.results(folder, "test") == []
    standard = ["--accelerator=cpu", "--disjoint=false"]
    assert run_door(meta_test.main, [str(folder.path), *standard, "--ten_crop", "--padding=1"]) == 0
    assert [(r.setting, r.accuracy > 0.2) for r in META.results(folder, "test")] == [("1-shot", True), ("5-shot", True)]
    document = json.loads(folder.results.read_text())
    for entry in document["results"]:  # as an older program wrote them
        for name in ("crops", "padding", "classes", "class_accuracy", "class_ci95", "disjoint_episodes"):
            if entry["crops" if "crops" in entry else "k_shot"] != 10:
                entry.pop(name, None)
    folder.results.write_text(json.dumps(document))
    assert [r.setting for r in META.results(folder, "test")] == ["1-shot", "5-shot"]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--format=word"], "format"),
        (["--padding=0"], "padding must be at least 1, got 0"),
        (["--k_shot", "1", "1"], "k_shot must be numbers each given once"),
        (["--ten_corp"], "did you mean 'ten_crop'?"),
        (["--disjoint=perhaps"], "disjoint"),
    ],
)
def test_bad_options(
    runs: dict[str, Path], arguments: list[str], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    capsys.readouterr()
    assert doors.run_test(runs["whole"], *arguments) == 2
    out, err = capsys.readouterr()
    assert (out, err.count("\n")) == ("", 1)
    assert words in err


def test_what_does_not_go_together_is_said_before_anything_is_computed(
    runs: dict[str, Path], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = str(runs["whole"])
    before = (runs["whole"] / "results.json").read_text()
    monkeypatch.setattr(EmbeddingLearner, "has_features", False)  # as MAML has none
    capsys.readouterr()
    for arguments, words in (
        ([whole, whole], "the run is given twice"),
        ([whole, str(runs["whole"].parent / "none")], "there is no such folder"),
        ([whole, "--ten_crop"], "EmbeddingLearner has none; test without crops"),
    ):
        assert run_door(meta_test.main, [*arguments, "--n_query=3", "--episodes=5", "--accelerator=cpu"]) == 2
        err = capsys.readouterr().err
        assert words in err
        assert err.count("\n") == 1
    assert (runs["whole"] / "results.json").read_text() == before

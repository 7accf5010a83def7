"""meta_test --unknown_ways as a user runs it: AUROCs beside accuracies that stay, and runs compared by both."""

import csv
import io
import shutil
from pathlib import Path

import pytest

from episodes.errors import UserError
from fewshot_sla import meta_test
from fewshot_sla.cli.door import run_door
from fewshot_sla.meta.outcome_files import read_aurocs, read_outcomes
from fewshot_sla.meta.results import EpisodeResult
from fewshot_sla.runs.folder import RunFolder
from fewshot_sla.runs.results import read_results
from fewshot_sla.runs.statistics import interval_half_width
from tests.integration import doors

RIDGE = "--learner.head=fewshot_sla.heads.RidgeHead"
SCORES = ["probability", "logit", "energy"]


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """ProtoNet and ridge, both tested with three unknown ways; beside them the table of that test."""
    root = tmp_path_factory.mktemp("runs")
    for name, head in (("protonet", ()), ("ridge", (RIDGE,))):
        assert doors.train(root / name, *head, steps=2) == 0
    folders = root / "protonet", root / "ridge"
    options = ("--unknown_ways=3", "--n_query=3", "--episodes=30", "--accelerator=cpu", "--k_shot=1")
    assert run_door(meta_test.main, [*map(str, folders), *options, f"--output={root / 'table.txt'}"]) == 0
    return folders


def results_in(folder: Path) -> dict[tuple[int, str], EpisodeResult]:
    """Results on the test split by unknown ways and inference."""
    results = read_results(RunFolder(folder), EpisodeResult)
    return {(r.unknown_ways, r.inference): r for r in results if r.split == "test"}


def test_accuracies_stay_and_the_files_bear_the_aurocs_out(
    runs: tuple[Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = shutil.copytree(runs[1], tmp_path / "ridge")
    capsys.readouterr()
    assert doors.run_test(folder, "--k_shot=1") == 0
    assert "AUROC" not in capsys.readouterr().out
    results = results_in(folder)
    assert list(results) == [(u, name) for u in (3, 0) for name in ("single", "aggregated")]
    aurocs = {}
    for name in ("single", "aggregated"):
        asked, without = results[3, name], results[0, name]
        assert asked.estimates == without.estimates
        assert (read_outcomes(RunFolder(folder), asked)[0] == read_outcomes(RunFolder(folder), without)[0]).all()
        aurocs[name] = read_aurocs(RunFolder(folder), asked)
        assert list(asked.auroc) == list(aurocs[name]) == SCORES + ["agreement"] * (name == "aggregated")
        assert asked.auroc == pytest.approx({score: values.mean() for score, values in aurocs[name].items()}, abs=1e-6)
        assert read_aurocs(RunFolder(folder), without) == without.auroc == {}
    gained = {score: aurocs["aggregated"][score] - aurocs["single"][score] for score in SCORES}
    found = results[3, "aggregated"]
    assert found.auroc_gain == pytest.approx({score: values.mean() for score, values in gained.items()}, abs=1e-6)
    widths = {score: interval_half_width(values) for score, values in gained.items()}
    assert found.auroc_gain_ci95 == pytest.approx(widths, abs=1e-6)
    assert results[3, "single"].auroc_gain == {}

    # Compared with itself by the other inference: once, though it was tested twice; the gain is what is compared.
    options = ("--baseline_inference=single", "--inference=aggregated", f"--picture={tmp_path / 'picture.png'}")
    assert doors.compare_runs(str(folder), str(folder), *options, "--format=csv") == 0
    (row,) = csv.DictReader(io.StringIO(capsys.readouterr().out))
    assert (row["test"], row["comparisons"]) == ("5-way 1-shot, 3 unknown", "1")
    for score in SCORES:
        assert float(row[f"AUROC difference by {score}, points"]) == pytest.approx(
            100 * found.auroc_gain[score], abs=1e-4
        )

    path = folder / found.per_episode
    text = path.read_text()
    path.write_text(text.replace("auroc_logit", "logit"))
    with pytest.raises(UserError, match="the file is damaged"):
        read_aurocs(RunFolder(folder), found)
    first, *rest = text.splitlines()
    path.write_text("\n".join([first, *(line.rpartition(",")[0] + ",0.0" for line in rest)]))
    with pytest.raises(UserError, match=r"its episodes do not come to the AUROC in results\.json; run meta_test"):
        read_aurocs(RunFolder(folder), found)


def test_tables_of_several_runs_fit(runs: tuple[Path, Path], capsys: pytest.CaptureFixture[str]) -> None:
    table = (runs[0].parent / "table.txt").read_text()
    assert "2 runs on tiny/test: 5-way, 3 unknown, AUROC in %" in table
    assert max(len(line) for line in table.splitlines() if "│" in line) <= 80
    capsys.readouterr()
    assert doors.compare_runs(*map(str, runs)) == 0
    out = capsys.readouterr().out
    assert "5-way 1-shot, 3 unknown" in out
    assert out.count("agreement") == 1
    assert max(len(line) for line in out.splitlines() if "│" in line) <= 80


@pytest.mark.parametrize(
    ("option", "words"),
    [
        (
            "--unknown_ways=4",
            "tiny/test: 5 ways and 4 unknown ways need 9 classes, there are 8; lower",
        ),
        ("--unknown_ways=-1", "unknown_ways must be at least 0, got -1"),
    ],
)
def test_what_cannot_be_asked_is_one_line(
    runs: tuple[Path, Path], option: str, words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    before = (runs[0] / "results.json").read_text()
    capsys.readouterr()
    assert doors.run_test(runs[0], option) == 2
    err = capsys.readouterr().err
    assert words in err
    assert err.count("\n") == 1
    assert (runs[0] / "results.json").read_text() == before

"""The tables of the paper, printed; and one of tiny images, trained, tested, and spoilt in every way."""

import csv
import io
import json
import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import yaml

from fewshot_sla.paper.published import published_table
from fewshot_sla.runs.checkpoint import load_checkpoint, save_checkpoint
from tests.fewshot_sla.paper.printed import printed_cells
from tests.integration.table_runs import Printed, run_table, table_file


def rows_of(printed: Printed) -> dict[str, dict[str, str]]:
    """A CSV of one data set, by method."""
    return {row["method"]: row for row in csv.DictReader(io.StringIO(printed.out))}


def own_table(folder: Path, tables: Path, *more: str) -> Printed:
    """Our own table, half of each schedule trained with two seeds."""
    return run_table("own", "--tables", tables, "--folder", folder, "--share", "0.5", "--seeds", "0", "1", *more)


@pytest.fixture(scope="module", autouse=True)
def without_pictures() -> Iterator[None]:
    """Run folders without their pictures, which take longer than such trainings."""
    with pytest.MonkeyPatch.context() as patch:
        for wing in ("classification.report", "meta.report"):
            patch.setattr(f"fewshot_sla.{wing}.draw_learning_curve", lambda *_: None)
        for module in ("report", "testing"):
            patch.setattr(f"fewshot_sla.meta.{module}.draw_one_episode", lambda *_: None)
        yield


@pytest.fixture(scope="module")
def tables(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return table_file(tmp_path_factory.mktemp("tables"))


@pytest.fixture(scope="module")
def filled(tables: Path) -> Path:
    """Two seeds of each recipe trained for half of its schedule, a third one for the ensemble, all tested."""
    folder = tables.parent / "runs"
    said = own_table(folder, tables, "--run", "--format", "json")
    assert (said.code, said.err.splitlines()[-1]) == (2, "error: quoted: no recipe here"), said.err
    assert json.loads(said.out)[0]["title"] == "own table: tiny images"  # the trainings speak elsewhere
    return folder


@pytest.fixture
def copied(filled: Path, tmp_path: Path) -> Path:
    shutil.copytree(filled, tmp_path / "runs")
    return tmp_path / "runs"


@pytest.mark.parametrize("number", range(1, 8))
def test_every_published_figure_of_a_table_is_printed(number: int, tmp_path: Path) -> None:
    printed = printed_cells(f"table {number}")
    said = run_table(str(number), "--format", "markdown", "--folder", tmp_path)
    assert said.code == 0
    places = {(cell.data_set, cell.method): (cell.row, cell.column) for cell in published_table(str(number)).cells}
    figures, gains = {}, {}
    data_set = ""
    for line in said.out.splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        name = re.sub(r" \[\d+\]$", "", cells[0])
        if line.startswith("| ") and not "".join(cells[1:]):
            data_set = name
        elif (place := places.get((data_set, name))) and line.startswith("| "):
            figures[place] = cells[1]
        elif " over " in name and (place := places.get((data_set, name.partition(" over ")[0]))):
            gains[place] = cells[1]
    assert figures == {place: figure for place, (figure, _) in printed.items()}
    for place, (_, gain) in printed.items():
        if gain:
            misprint = place == ("LDAM-DRW + SLA+SD", "CIFAR-100 (10)")
            assert gains[place] == ("+2.01 [1]" if misprint else gain)
    if number == 7:
        assert "[1] the paper prints +1.67" in said.out


@pytest.mark.parametrize("number", ["2", "6", "5"])
def test_a_table_fits_80_columns(number: str, tmp_path: Path) -> None:
    said = run_table(number, "--folder", tmp_path)
    assert max(len(line) for line in said.out.splitlines() if line[:1] in "┏┃├│└") <= 80


def test_measured_figures_are_those_of_the_runs(filled: Path, tables: Path) -> None:
    said = own_table(filled, tables, "--format", "csv")
    assert said.code == 0
    assert said.err == ""
    rows = rows_of(said)

    def accuracies(recipe: str, inference: str, crops: int = 1) -> list[float]:
        found = []
        for seed in (0, 1):
            results = json.loads((filled / f"share_0.5/pictures_{recipe}/seed{seed}/results.json").read_text())
            found += [
                100 * result["accuracy"]
                for result in results["results"]
                if (result["inference"], result["crops"], result["split"]) == (inference, crops, "test")
            ]
        assert len(found) == 2
        return found

    baseline, sla = accuracies("baseline", "single"), accuracies("sla", "aggregated")
    assert float(rows["Baseline"]["measured"]) == pytest.approx(np.mean(baseline))
    assert float(rows["Baseline"]["over seeds ±"]) == pytest.approx(np.std(baseline, ddof=1))
    assert float(rows["SLA+AG"]["difference"]) == pytest.approx(np.mean(sla) - 60)
    assert float(rows["SLA+AG"]["measured gain, %"]) == pytest.approx(100 * (np.mean(sla) / np.mean(baseline) - 1))
    assert float(rows["SLA+AG"]["published gain, %"]) == pytest.approx(20)
    assert float(rows["ten crops"]["measured"]) == pytest.approx(np.mean(accuracies("baseline", "single", 10)))
    ensemble = json.loads((filled / "share_0.5/pictures_baseline/ensemble3.json").read_text())["ensemble"]
    assert ensemble["seeds"] == [0, 1, 2]
    assert float(rows["IE"]["measured"]) == pytest.approx(100 * ensemble["results"][0]["accuracy"])
    assert {row["share"] for row in rows.values()} == {"0.5", ""}
    assert (rows["quoted"]["measured"], rows["quoted"]["remarks"]) == ("", "no recipe here")
    config = yaml.safe_load((filled / "share_0.5/pictures_sla/seed0/config.yaml").read_text())
    assert config["loop"]["steps"] == 10


def test_what_is_there_is_not_done_again(filled: Path, tables: Path) -> None:
    stamps = {path: path.stat().st_mtime_ns for path in filled.rglob("*.safetensors")}
    said = own_table(filled, tables, "--run", "--rows", "Baseline", "SLA+AG", "IE", "ten crops")
    assert said.code == 0
    assert "Trained for 50 % of the published schedule" in said.out
    assert {path: path.stat().st_mtime_ns for path in filled.rglob("*.safetensors")} == stamps
    assert "nothing is missing that a recipe gives" in own_table(filled, tables, "--missing").out
    assert "Nothing of it is measured yet" in run_table("own", "--tables", tables, "--folder", filled).out


def test_commands_for_what_is_missing(copied: Path, tables: Path) -> None:
    for path in ("share_0.5/pictures_sla/seed1", "share_0.5/pictures_baseline/seed2"):
        shutil.rmtree(copied / path)
    word = tables.parent / "pictures.yaml"
    said = own_table(copied, tables, "--missing", "--format", "markdown")
    assert (said.code, said.err) == (2, "error: quoted: no recipe here\n")
    runs = copied / "share_0.5"
    assert f"python -m fewshot_sla.study {word}+sla --seeds 1 --folder {runs} -- --loop.steps 10" in said.out
    assert f"python -m fewshot_sla.study {word}+baseline --seeds 2 --folder {runs} -- --loop.steps 10" in said.out
    together = f"{runs}/pictures_baseline/seed{{0,1,2}} --inference single"
    assert f"python -m fewshot_sla.test {together} --output {runs}/pictures_baseline/ensemble3.json" in said.out
    assert "ten_crop" not in said.out
    # 3x3 convolutions from 1 to 4 channels on 16x16 pixels and 4 to 4 on 8x8; 8 images, 4 views, 10 steps.
    flops = 2 * 9 * (4 * 256 + 16 * 64) * 8 * 4 * 10
    row = next(line for line in said.out.splitlines() if f"{word}+sla |" in line)
    assert [cell.strip() for cell in row.strip("|").split("|")][1:4] == ["1", "10", f"{flops / 1e15:.3g}"]
    assert "not timed yet" not in said.out
    assert "Hours as on" in said.out


def test_a_run_of_another_recipe_in_a_cells_folder(copied: Path, tables: Path) -> None:
    path = copied / "share_0.5/pictures_sla/seed1/config.yaml"
    path.write_text(path.read_text().replace("lr: 0.05", "lr: 0.5"))
    said = own_table(copied, tables, "--format", "csv")
    assert said.code == 2
    assert said.err.count("\n") == 1
    assert re.match(
        r"error: .*pictures_sla/seed1: a run of another recipe lies there: its optimizer.lr is 0.5", said.err
    )
    rows = rows_of(said)
    assert (rows["SLA+AG"]["seeds"], rows["Baseline"]["seeds"]) == ("0", "0 1")
    assert own_table(copied, tables, "--missing").code == 2
    assert (
        "study" not in own_table(copied, tables, "--missing").out
    )  # there is nothing to be done before it is moved away


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda text: text[:40], "the file is damaged"),
        (lambda text: text.replace('"program": "test"', '"program": "meta_test"'), "results of python -m .*meta_test"),
    ],
)
def test_results_that_cannot_be_read(change, message: str, copied: Path, tables: Path) -> None:
    path = copied / "share_0.5/pictures_sla/seed0/results.json"
    path.write_text(change(path.read_text()))
    said = own_table(copied, tables, "--format", "csv")
    assert said.code == 2
    assert re.fullmatch(rf"error: .*pictures_sla/seed0/results.json: .*{message}.*\n", said.err)
    assert rows_of(said)["SLA+AG"]["seeds"] == "1"


def test_runs_that_are_not_finished_or_not_tested(copied: Path, tables: Path) -> None:
    """One that stopped at its seventh step before any validation, one that nobody tested."""
    folder = copied / "share_0.5/pictures_sla"
    tensors, state = load_checkpoint(folder / "seed0/last.safetensors")
    unfinished = {name: value for name, value in state.items() if name != "best"} | {"step": 7}
    save_checkpoint(folder / "seed0/last.safetensors", tensors, unfinished)
    for gone in ("seed0/best.safetensors", "seed0/results.json", "seed1/results.json"):
        (folder / gone).unlink()
    said = own_table(copied, tables, "--format", "csv")
    assert said.code == 0
    row = rows_of(said)["SLA+AG"]
    assert (row["measured"], row["measured gain, %"]) == ("", "")
    assert "seed0: not finished, 7 of 10 steps; it does not count" in row["remarks"]
    assert "seed1: trained, not tested" in row["remarks"]
    assert "pictures.yaml+sla --seeds 0 1 " in own_table(copied, tables, "--missing").out


def test_an_ensemble_of_other_weights_or_of_another_program(copied: Path, tables: Path) -> None:
    path = copied / "share_0.5/pictures_baseline/ensemble3.json"
    document = json.loads(path.read_text())
    document["ensemble"]["members"][1]["step"] = 9
    path.write_text(json.dumps(document))
    said = own_table(copied, tables, "--format", "csv")
    assert (said.code, rows_of(said)["IE"]["measured"]) == (0, "")
    assert "not of the runs of seeds 0, 1, 2 as they lie there now" in rows_of(said)["IE"]["remarks"]
    assert "--output" in own_table(copied, tables, "--missing").out
    path.write_text("{}")
    said = own_table(copied, tables)
    assert said.code == 2
    assert "ensemble3.json: it holds no ensemble" in said.err


def test_no_gain_across_shares_or_images(copied: Path, tables: Path) -> None:
    """A baseline that was trained for the whole schedule, then on images of another folder, both for real."""
    whole = ("own", "--tables", tables, "--folder", copied, "--seeds", "0", "--rows", "Baseline", "--run")
    assert run_table(*whole).code == 0
    seeds = copied / "share_0.5/pictures_baseline"
    shutil.rmtree(seeds / "seed0")
    shutil.move(copied / "pictures_baseline/seed0", seeds / "seed0")
    rows = ("--rows", "SLA+AG", "Baseline")
    said = own_table(copied, tables, *rows)
    assert said.code == 0
    assert re.search(r"│ +SLA\+AG over Baseline │ +\+20.0 │ +\[1\] │", said.out)
    assert "[1] no gain: another share of the schedule (50 % and 100 %) than Baseline" in said.out
    assert "seed1: left out of the mean: another share of the schedule" in said.out
    assert [line.split("│")[-2].strip() for line in said.out.splitlines() if "│  " in line][:3] == ["", "100 %", "50 %"]
    shutil.rmtree(seeds)
    said = own_table(copied, tables, *rows, "--run", "--", "--data.root", "elsewhere")
    assert said.code == 0
    assert "[1] no gain: other training images and other test images than Baseline" in said.out
    assert re.search("Tiny: tested on different images, so not to be compared .Baseline: .*; SLA.AG: ", said.out)


def test_few_shot_figures_have_the_interval_over_episodes(tables: Path, tmp_path: Path) -> None:
    asked = ("few", "--tables", tables, "--folder", tmp_path, "--seeds", "3")
    said = run_table(*asked, "--run", "--rows", "ProtoNet", "--format", "json")
    assert said.code == 0, said.err
    rows = json.loads(said.out)[0]["rows"]
    results = json.loads((tmp_path / "episodes_protonet/seed3/results.json").read_text())["results"]
    tested = {result["k_shot"]: result for result in results if result["split"] == "test"}
    for row, k_shot, published in zip(rows, (1, 5), (0.5, 0.4), strict=True):
        own = 100 * tested[k_shot]["ci95"]
        assert row["measured"] == {
            "value": pytest.approx(100 * tested[k_shot]["accuracy"]),
            "spread": pytest.approx(own),
        }
        assert row["difference"]["spread"] == pytest.approx((own**2 + published**2) ** 0.5)
        assert (row["seeds"], row["tested"]) == ("3", f"{k_shot}-shot, single")
    missing = run_table(*asked, "--missing").out
    assert "episodes.yaml+ridge+plain --seeds 3" in missing
    assert "+protonet " not in missing


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["8"], "unknown table '8'"),
        (["6", "--rows", "protonet_sal"], "did you mean 'protonet_sla'"),
        (["6", "--share", "1.5"], "share must be above 0 and at most 1"),
        (["6", "--seeds", "1", "1"], "seeds must be"),
        (["6", "--run", "--missing"], "give one of them"),
        (["6", "--missing", "--", "--accelerator", "cpu"], "options behind -- go to the trainings of --run"),
        (["6", "--folders", "x"], "did you mean 'folder'"),
        (["6", "--format", "word"], "format"),
        (["6", "--tables", "nowhere.yaml"], "nowhere.yaml: there is no such"),
        ([], "table"),
    ],
)
def test_what_is_wrong_with_a_command_is_said_in_one_line(arguments: list[str], message: str) -> None:
    said = run_table(*arguments)
    assert (said.code, said.out) == (2, "")
    assert message in said.err
    assert said.err.count("\n") == 1

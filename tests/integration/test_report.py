"""The report of runs of both wings on tiny data, read back: its form, its figures, and what is missing."""

import csv
import json
import re
import shutil
from pathlib import Path

import pytest

from fewshot_sla import report
from fewshot_sla.cli.door import run_door
from tests.fewshot_sla.reporting.html_tree import Node, Tree
from tests.integration import doors
from tests.integration.classification_doors import run_class_test, train_classifier
from tests.integration.hostile import NAME

LOOKS_AT_PICTURES = True


def run_report(*arguments: str | Path) -> int:
    return run_door(report.main, [*map(str, arguments), "--accelerator=cpu"])


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with sla and plain, both tested, and a classifier; and report.html about all three."""
    root = tmp_path_factory.mktemp("runs")
    hostile = "--data=tests.integration.hostile.HostileImages"
    assert doors.train(root / "sla", hostile) == 0
    assert doors.train(root / "plain", hostile, "--objective=fewshot_sla.meta.Plain") == 0
    for name in ("sla", "plain"):
        assert doors.run_test(root / name, "--k_shot=1") == 0
    assert train_classifier(root / "classes", "--data=tests.integration.hostile.HostileClasses", steps=2) == 0
    assert run_class_test(root / "classes") == 0
    folders = [root / name for name in ("sla", "plain", "classes")]
    assert run_report(*folders, "--output", root / "report.html", "--episodes=10") == 0
    return root


@pytest.fixture(scope="module")
def page(runs: Path) -> Node:
    return Tree((runs / "report.html").read_text(encoding="utf-8")).root


def column(page: Node, section: str, run: int) -> Node:
    """What a section shows of a run."""
    return list(page.by_id(section).one("div", "beside").all("div", "run"))[run]


def test_it_is_one_whole_document_that_loads_nothing_and_runs_nothing(runs: Path, page: Node) -> None:
    html = (runs / "report.html").read_text(encoding="utf-8")
    assert not [node for node in page.all() if node.tag in ("script", "link", "iframe", "b")]
    ids = [node.attributes["id"] for node in page.all() if "id" in node.attributes]
    assert len(ids) == len(set(ids)) == 9
    for node in page.all():
        assert not any(key.startswith("on") for key in node.attributes)
        assert node.attributes.get("src", "data:image/").startswith("data:image/")
        assert node.attributes.get("href", f"#{ids[0]}")[1:] in ids
    assert "http" not in html.replace("http-equiv", "")
    assert "url(" not in html
    assert len(html) < 1_000_000
    assert all(node.attributes["alt"] for node in page.all("img"))


def test_hostile_names_are_words(page: Node) -> None:
    names = {node.text for node in page.by_id("classes").one("table").one("tbody").all("th")}
    assert {f"{NAME} {number}" for number in range(4)} <= names
    assert "<b>hostile</b>/test 1-shot" in page.by_id("figures").text


def test_its_figures_are_those_of_results_json(runs: Path, page: Node) -> None:
    table, others = page.by_id("figures").all("table")
    assert [node.text for node in others.all("th")][2:] == ["over classes", "over disjoint episodes"]
    tests = [node.text for node in table.one("thead").all("th")][1:]
    shown = {}
    for row in (row for body in table.all("tbody") for row in body.all("tr")):
        run, *cells = (cell.text for cell in row.all("td"))
        shown |= {(run, test): cell for test, cell in zip(tests, cells, strict=True) if cell}
    expected = {}
    titles = {"single": "single (SI)", "aggregated": "aggregated (AG)"}
    for run in ("sla", "plain", "classes"):
        for result in json.loads((runs / run / "results.json").read_text())["results"]:
            test = f"{result['dataset']}/{result['split']}" + (
                f" {result['k_shot']}-shot" if "k_shot" in result else ""
            )
            figure = f"{100 * result['accuracy']:.2f} ± {100 * result['ci95']:.2f}"
            expected[f"{run}, {titles[result['inference']]}", test] = figure
    assert shown == expected
    assert len(shown) == 4 + 2 + 4


def test_the_best_the_median_and_the_worst_episode_are_those_of_the_file(runs: Path, page: Node) -> None:
    for place, (run, inference) in enumerate([("sla", "aggregated"), ("plain", "single")]):
        (path,) = (runs / run / "per_episode").glob(f"test_*_{inference}.csv")
        with path.open(newline="") as file:
            rows = [(int(float(row["accuracy"]) * 15 + 0.5), -int(row["episode"])) for row in csv.DictReader(file)]
        best, worst = max(rows), min(rows, key=lambda row: (row[0], -row[1]))
        ordered = sorted(rows, key=lambda row: (row[0], -row[1]))
        expected = [best, ordered[(len(rows) - 1) // 2], worst]
        titles = [node.text for node in column(page, "examples", place).all("h4")]
        assert titles == [
            f"{kind} episode: number {-number}, {100 * right / 15:.2f} % right"
            for kind, (right, number) in zip(("Best", "Median", "Worst"), expected, strict=True)
        ]
        for example, (right, _) in zip(column(page, "examples", place).all("div", "example"), expected, strict=True):
            assert len(list(example.all("li", "right"))) == right
            assert len(list(example.all("li", "mistaken"))) == 15 - right
            assert len(list(example.one("ul", "rows").all("ul", "known"))) == 5


def test_accuracy_by_class_is_that_of_the_file(runs: Path, page: Node) -> None:
    (path,) = (runs / "plain" / "per_episode").glob("test_*_single.csv")
    with path.open(newline="") as file:
        rows = list(csv.DictReader(file))
    right: dict[str, list[int]] = {}
    for row in rows:
        for label in range(5):
            right.setdefault(row[f"class_{label}"], []).append(int(row[f"correct_{label}"]))
    expected = {name: f"{100 * sum(times) / (3 * len(times)):.2f} %" for name, times in right.items()}
    shown = {
        row.one("th").text: list(row.all("td"))[1].text
        for table in page.by_id("classes").all("table")
        for row in table.one("tbody").all("tr")
    }
    assert {name: shown[name] for name in expected} == expected


def test_a_classifiers_confusions_and_mistakes_are_those_of_the_file(runs: Path, page: Node) -> None:
    with (runs / "classes/predictions/test_aggregated.csv").open(newline="") as file:
        rows = [(row["class"], row["predicted"]) for row in csv.DictReader(file)]
    table = column(page, "confusion", 2).one("table", "matrix")
    names = [node.text for node in table.one("tbody").all("th")]
    counts = [[int(cell.text or 0) for cell in row.all("td")] for row in table.one("tbody").all("tr")]
    assert counts == [[rows.count((label, given)) for given in names] for label in names]
    mistaken = [node for node in column(page, "examples", 2).all("li", "mistaken")]
    assert len(mistaken) == min(24, sum(label != given for label, given in rows))


def test_confusions_of_episodes_add_up_to_the_mistakes_of_the_first_ones(runs: Path, page: Node) -> None:
    (path,) = (runs / "sla" / "per_episode").glob("test_*_aggregated.csv")
    with path.open(newline="") as file:
        right = sum(int(row[f"correct_{y}"]) for row in list(csv.DictReader(file))[:10] for y in range(5))
    shown = column(page, "confusion", 0)
    assert f"{150 - right} got the label of another class" in shown.text
    cells = [cell for cell in shown.one("table", "matrix").one("tbody").all("td") if cell.text]
    assert sum(int(cell.text) for cell in cells) == 150
    assert sum(int(cell.text) for cell in cells if "wrong" in cell.attributes["class"]) == 150 - right


def test_the_gain_by_views_ends_at_the_accuracy_of_the_inference(runs: Path, page: Node) -> None:
    section = page.by_id("views")
    assert "plain: Plain predicts from one view alone" in section.text
    rows = [[cell.text for cell in row.all("td")] for row in next(section.one("table").all("tbody")).all("tr")]
    assert [row[1] for row in rows] == ["identity", "rotate90", "rotate180", "rotate270"]
    results = json.loads((runs / "classes/results.json").read_text())["results"]
    accuracy = {result["inference"]: result["accuracy"] for result in results if result["split"] == "test"}
    assert rows[-1][3].split(" ±")[0] == f"{100 * accuracy['aggregated']:.2f}"
    assert rows[0][3].split(" ±")[0] == f"{100 * accuracy['single']:.2f}"


def test_the_map_shows_classes_and_transformations(page: Node) -> None:
    paths = list(column(page, "features", 0).all("path", "point"))
    legends = [len(list(legend.all("li"))) for legend in column(page, "features", 0).all("ul", "legend")]
    assert legends == [6, 4]
    assert len(paths) == 6 * 4 + 6 + 4
    assert "same transformation" not in column(page, "features", 1).text


def test_what_was_trained_is_told_by_differences(page: Node) -> None:
    rows = {row.one("th").text: [cell.text for cell in row.all("td")]
            for row in next(page.by_id("trained").all("tbody")).all("tr")}  # fmt: skip
    assert rows["objective"] == ["fewshot_sla.meta.SLA", "fewshot_sla.meta.Plain", "fewshot_sla.classification.SLA"]
    assert rows["objective.transformations"] == ["episodes.Rotation", "–", "episodes.Rotation"]
    assert rows["batch_size"] == ["–", "–", "8"]
    assert "run_folder" not in rows
    assert "seed" not in rows


def test_a_run_that_is_not_tested_or_not_finished_says_what_would_be_done(runs: Path, tmp_path: Path) -> None:
    for name in ("sla", "classes"):
        shutil.copytree(runs / name, tmp_path / name)
    (tmp_path / "sla/results.json").unlink()
    (tmp_path / "sla/metrics.csv").unlink()
    shutil.rmtree(tmp_path / "classes/predictions")
    assert run_report(tmp_path / "sla", tmp_path / "classes", "--images=0") == 0
    root = Tree((tmp_path / "sla/report.html").read_text(encoding="utf-8")).root
    again = f"run python -m fewshot_sla.meta_test {tmp_path / 'sla'}"
    for section in ("figures", "views", "examples", "confusion", "classes", "features"):
        assert f"no results yet; {again}" in root.by_id(section).text
    assert "metrics.csv" in root.by_id("curves").text
    predictions = tmp_path / "classes/predictions/test_aggregated.csv"
    for section in ("confusion", "classes"):
        gone = f"{predictions}: the predictions are gone; run python -m fewshot_sla.test {tmp_path / 'classes'} again"
        assert gone in root.by_id(section).text
    assert "not asked for: --images 0" in root.by_id("features").text


def test_images_that_are_gone_or_others_cost_only_what_needs_them(runs: Path, tmp_path: Path) -> None:
    shutil.copytree(runs / "sla", tmp_path / "sla")
    config = tmp_path / "sla/config.yaml"
    config.write_text(config.read_text().replace("per_class: 10", "per_class: 11"))
    assert run_report(tmp_path / "sla", "--output", tmp_path / "a.html") == 0
    root = Tree((tmp_path / "a.html").read_text(encoding="utf-8")).root
    said = "are not those of the results any more; run python -m fewshot_sla.meta_test"
    assert all(said in root.by_id(section).text for section in ("views", "examples", "confusion", "features"))
    assert len(list(root.by_id("classes").all("td"))) == 8
    assert re.search(r"\d+ options not as in meta_train without options", root.by_id("trained").text)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["nowhere"], "there is no such folder"),
        (["sla", "sla"], "the run is given twice"),
        (["sla", "--output=page.png"], "give a file name that ends in .html"),
        (["sla", "--episodes=-1"], "episodes must be at least 0, got -1"),
        (["sla", "--episode=3"], "did you mean 'episodes'?"),
        (["sla", "--devices=2"], "a report is made by one process"),
    ],
)
def test_mistakes_are_one_line(runs: Path, arguments: list[str], message: str, monkeypatch, capsys) -> None:
    monkeypatch.chdir(runs)
    assert run_report(*arguments) == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1


def test_damaged_results_are_one_line_and_a_page_that_was_there_stays(runs: Path, tmp_path: Path, capsys) -> None:
    shutil.copytree(runs / "plain", tmp_path / "plain")
    (tmp_path / "plain/results.json").write_text("{")
    (tmp_path / "plain/report.html").write_text("before")
    assert run_report(tmp_path / "plain") == 2
    error = capsys.readouterr().err
    assert "the file is damaged" in error
    assert error.count("\n") == 1
    assert (tmp_path / "plain/report.html").read_text() == "before"

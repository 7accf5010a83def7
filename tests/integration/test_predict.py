"""The predict door, as a user would call it, on pictures written for the occasion."""

import csv
import json
import os
import shutil
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from examples import letters, measure_predictions, own_pictures
from fewshot_sla import predict
from fewshot_sla.cli.door import run_door
from fewshot_sla.prediction import files as prediction_files
from fewshot_sla.prediction.classifier import FewShotClassifier
from fewshot_sla.prediction.tables import MEANING, MOST_ROWS
from fewshot_sla.runs import checkpoint
from tests.integration import doors
from tests.tiny import TinyImages

CLASSES = ("årø", "b & <c>", "d")


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny trained run, in a folder of runs."""
    folder = tmp_path_factory.mktemp("project") / "runs" / "tiny"
    assert doors.train(folder) == 0
    return folder


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    """Three classes that the run never saw: uneven shots in support/, four queries a class in query/."""
    images = TinyImages().open("test")
    for label, name in enumerate(CLASSES):
        (tmp_path / "support" / name).mkdir(parents=True)
        (tmp_path / "query").mkdir(exist_ok=True)
        rows = (images.labels == label).nonzero().flatten().tolist()
        for number, row in enumerate(rows[: label + 2]):
            Image.fromarray(images.images[row, 0].numpy()).save(tmp_path / "support" / name / f"{number}.png")
        for number, row in enumerate(rows[-4:]):
            Image.fromarray(images.images[row, 0].numpy()).save(tmp_path / "query" / f"{name[0]}{number}.png")
    return tmp_path


def ask(pictures: Path, *arguments: str, query: Sequence[str] = ()) -> int:
    given = [f"--support={pictures / 'support'}", f"--output_folder={pictures / 'out'}", "--device=cpu"]
    return run_door(predict.main, [*arguments, *given, "--query", *(query or [str(pictures / "query")])])


def test_a_folder_of_pictures_becomes_a_table_and_three_files(
    run: Path, pictures: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert ask(pictures, str(run), "--top_k=2") == 0
    out = capsys.readouterr().out
    assert "leave-one-out accuracy of the support: " in out
    assert " ".join(MEANING.split()) in " ".join(out.split())
    assert "d3.png" in out
    with (pictures / "out" / "predictions.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    document = json.loads((pictures / "out" / "predictions.json").read_text())
    assert (pictures / "out" / "predictions.html").stat().st_size > 0
    assert sorted(path.name for path in (pictures / "out").iterdir()) == [
        "predictions.csv",
        "predictions.html",
        "predictions.json",
    ]
    support = [path for name in CLASSES for path in sorted((pictures / "support" / name).iterdir())]
    labels = [path.parent.name for path in support]
    queries = sorted((pictures / "query").iterdir())
    classifier = FewShotClassifier(run, device="cpu").fit(support, labels)
    shares = classifier.predict_proba(queries)
    assert document["classes"] == sorted(CLASSES)
    for row, entry, path, share in zip(rows, document["queries"], queries, shares, strict=True):
        order = np.argsort(-share)
        assert row["query"] == entry["query"] == str(path)
        assert row["label"] == entry["label"] == classifier.classes_[order[0]]
        assert row["label_2"] == entry["top"][1]["label"] == classifier.classes_[order[1]]
        assert float(row["probability"]) == pytest.approx(share[order[0]], abs=1e-5)
        assert float(row["probability_2"]) == entry["top"][1]["probability"] == pytest.approx(share[order[1]], abs=1e-5)
        assert len(entry["top"]) == 2
        assert int(row["agreeing_views"]) == entry["agreeing_views"] <= entry["views"] == int(row["views"]) == 4
    assert document["leave_one_out"]["measured"] == len(support) == len(document["support"])
    assert document["leave_one_out"]["accuracy"] == pytest.approx(classifier.leave_one_out()[0])
    assert document["model"] == str(run)


def test_without_a_run_folder_the_newest_is_taken_and_named(
    run: Path, pictures: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    project = pictures / "project"
    shutil.copytree(run, project / "runs" / "old")
    shutil.copytree(run, project / "runs" / "deep" / "new")
    companion = shutil.copytree(run, project / "runs" / "companion")
    tensors, state = checkpoint.load_checkpoint(companion / "best.safetensors")
    checkpoint.save_checkpoint(companion / "best.safetensors", tensors, {**state, "program": "train"})
    (project / "runs" / "damaged").mkdir()
    (project / "runs" / "damaged" / "best.safetensors").write_text("")
    monkeypatch.chdir(project)
    assert ask(pictures) == 0
    out = capsys.readouterr().out
    assert "newest run: runs/" in out
    for path, when in (("old", 3000), ("deep/new", 4000), ("companion", 5000), ("damaged", 6000)):
        file = project / "runs" / path / "best.safetensors"
        os.utime(file, (when, when))
    assert ask(pictures) == 0
    assert "newest run: runs/deep/new\n" in capsys.readouterr().out
    shutil.rmtree(project / "runs")
    assert ask(pictures) == 2
    assert capsys.readouterr().err == (
        f"error: there is no run of meta_train under {project / 'runs'}; make one with make run, or name a run folder\n"
    )


@pytest.mark.parametrize(
    "transformations",
    [["--transformations=rotation2"], ["--transformations=episodes.Rotation", "--transformations.degrees=[0,180]"]],
    ids=["by name", "by class path"],
)
def test_a_network_by_class_path_and_other_parts(
    transformations: list[str], pictures: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = (
        "--backbone=torchvision.models.resnet18",
        "--backbone.num_classes=10",
        "--image_size=32",
        "--mean=[0.5,0.5,0.5]",
        "--deviation=[0.2,0.2,0.2]",
        *transformations,
        "--head=fewshot_sla.heads.RidgeHead",
        "--head.regularization=5.0",
    )
    assert ask(pictures, *arguments) == 0
    assert "was given no weights" in capsys.readouterr().out
    document = json.loads((pictures / "out" / "predictions.json").read_text())
    assert document["model"] == "torchvision.models.resnet18"
    assert {entry["views"] for entry in document["queries"]} == {2}


def test_what_was_saved_stands_for_model_and_support(run: Path, pictures: Path, tmp_path: Path) -> None:
    file, program = tmp_path / "saved.safetensors", tmp_path / "backbone.pt2"
    assert ask(pictures, str(run), f"--save={file}", f"--export={program}") == 0
    first = json.loads((pictures / "out" / "predictions.json").read_text())
    shutil.rmtree(pictures / "support")
    query = str(pictures / "query")
    again = tmp_path / "again"
    assert run_door(predict.main, [str(file), "--query", query, f"--output_folder={again}", "--device=cpu"]) == 0
    second = json.loads((again / "predictions.json").read_text())
    for key in ("classes", "queries", "support", "leave_one_out"):
        assert second[key] == first[key]
    assert second["model"] == str(file)
    given = torch.zeros(3, 1, 16, 16, dtype=torch.uint8)
    model = FewShotClassifier.load(file, device="cpu").predictor_.model
    torch.testing.assert_close(torch.export.load(program).module()(given), model.items(given)[:, 0])
    single = ["--inference=single", "--query", query, f"--output_folder={again}", "--device=cpu"]
    assert run_door(predict.main, [str(file), *single]) == 0
    assert {entry["views"] for entry in json.loads((again / "predictions.json").read_text())["queries"]} == {1}


def test_options_for_one_view_another_page_and_many_queries(
    run: Path, pictures: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    one = next(iter(sorted((pictures / "query").iterdir())))
    many = [shutil.copy(one, pictures / f"copy{number}.png") for number in range(MOST_ROWS + 2)]
    page = pictures / "elsewhere" / "page.html"
    assert ask(pictures, str(run), "--inference=single", f"--html={page}", query=[str(path) for path in many]) == 0
    out = capsys.readouterr().out
    assert "... and 2 more queries" in out
    assert page.exists()
    assert not (pictures / "out" / "predictions.html").exists()
    with (pictures / "out" / "predictions.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == MOST_ROWS + 2
    assert {(row["agreeing_views"], row["views"]) for row in rows} == {("1", "1")}


def test_broken_pictures_are_listed_and_strict_stops(
    run: Path, pictures: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bad = pictures / "query" / "bad.png"
    bad.write_text("no picture")
    assert ask(pictures, str(run)) == 0
    out = capsys.readouterr().out
    assert "1 file could not be read:" in out
    assert json.loads((pictures / "out" / "predictions.json").read_text())["broken"] == [
        {"file": str(bad), "reason": "not an image that Pillow can read"}
    ]
    shutil.rmtree(pictures / "out")
    assert ask(pictures, str(run), "--strict") == 2
    assert capsys.readouterr().err == f"error: {bad}: not an image that Pillow can read\n"
    assert not (pictures / "out").exists()


def companion(run: Path, folder: Path) -> Path:
    """A run of another program."""
    shutil.copytree(run, folder)
    tensors, state = checkpoint.load_checkpoint(folder / "best.safetensors")
    checkpoint.save_checkpoint(folder / "best.safetensors", tensors, {**state, "program": "train"})
    return folder


MISTAKES = {
    "no support": (
        ["{run}", "--query", "{q}"],
        "--support is missing: give a folder with a folder of pictures for each class",
    ),
    "no query": (["{run}", "--support", "{s}"], "the following arguments are required: query"),
    "no such run": (["{root}/gone", "--support", "{s}", "--query", "{q}"], "{root}/gone: there is no such folder"),
    "a run of another program": (
        ["{root}/companion", "--support", "{s}", "--query", "{q}"],
        "{root}/companion: this is not a run of this version's meta_train",
    ),
    "two models": (
        ["{run}", "--backbone=torchvision.models.resnet18", "--support", "{s}", "--query", "{q}"],
        "give a run folder ({run}) or --backbone (torchvision.models.resnet18), not both",
    ),
    "a file that is no classifier": (
        ["{root}/text", "--query", "{q}"],
        "{root}/text: the checkpoint is damaged or cut off",
    ),
    "no support folder": (
        ["{run}", "--support", "{root}/gone", "--query", "{q}"],
        "{root}/gone: there is no such folder; give a folder with a folder of pictures for each class",
    ),
    "no class folder": (
        ["{run}", "--support", "{q}", "--query", "{q}"],
        "{q}: there is no class folder in it; put the pictures of each class into {q}/CLASS/",
    ),
    "no such query": (
        ["{run}", "--support", "{s}", "--query", "{root}/gone.png"],
        "{root}/gone.png: No such file or directory; give a picture or a folder of pictures as query",
    ),
    "a query of folders": (
        ["{run}", "--support", "{s}", "--query", "{s}"],
        "{s}: there are only folders in it (b & <c>, d, årø); give one of them, or the files",
    ),
    "colours of grey pictures": (
        ["{run}", "--support", "{s}", "--query", "{q}", "--transformations=color3"],
        "colour permutation needs images with 3 channels, these have 1; use Rotation, or colour images",
    ),
    "no such views": (
        ["{run}", "--support", "{s}", "--query", "{q}", "--transformations=rotation5"],
        "no set of transformations is called 'rotation5'",
    ),
    "no such head": (
        ["{run}", "--support", "{s}", "--query", "{q}", "--head=fewshot_sla.heads.RidgeHed"],
        "unknown class 'RidgeHed' in head (module fewshot_sla.heads); did you mean 'RidgeHead'?",
    ),
    "no top": (["{run}", "--support", "{s}", "--query", "{q}", "--top_k=0"], "top_k must be at least 1, got 0"),
    "no such device": (["{run}", "--support", "{s}", "--query", "{q}", "--device=gpu"], "cannot use device gpu: "),
    "no such option": (["{run}", "--suport", "{s}", "--query", "{q}"], "unknown key 'suport'; did you mean 'support'?"),
    "an export with another ending": (
        ["{run}", "--support", "{s}", "--query", "{q}", "--export={root}/backbone.bin"],
        "{root}/backbone.bin: the name of an exported backbone ends in .pt2 or .onnx",
    ),
    "a page where a folder cannot be": (
        ["{run}", "--support", "{s}", "--query", "{q}", "--html={root}/text/page.html"],
        "{root}/text/page.html: cannot be written, for {root}/text is no folder",
    ),
    "a page that is a folder": (
        ["{run}", "--support", "{s}", "--query", "{q}", "--html={s}"],
        "{s}: there is a folder of this name; give a file",
    ),
    "two outputs in one": (
        ["{run}", "--support", "{s}", "--query", "{q}", "--save={root}/out/../out/predictions.csv"],
        "/predictions.csv: two outputs would go to this file; give one another name",
    ),
    "a picture size for a run": (
        ["{run}", "--support", "{s}", "--query", "{q}", "--image_size=32"],
        "--image_size belongs to --backbone, which is not given",
    ),
    "weights for a run": (
        ["{run}", "--support", "{s}", "--query", "{q}", "--weights=w.safetensors"],
        "--weights belongs to --backbone, which is not given",
    ),
    "arguments without a head": (
        ["{run}", "--support", "{s}", "--query", "{q}", "--head.scale=3"],
        "--head.scale belongs to --head, which is not given",
    ),
    "a head without such an argument": (
        ["{run}", "--support", "{s}", "--query", "{q}", "--head=fewshot_sla.heads.RidgeHead", "--head.scal=3"],
        "unknown key 'scal' in head (fewshot_sla.heads.RidgeHead); did you mean 'scale'?",
    ),
    "a head that is none": (
        ["{run}", "--support", "{s}", "--query", "{q}", "--head=episodes.Rotation"],
        "head: episodes.Rotation is not a Head",
    ),
    "views by a wrong class path": (
        ["{run}", "--support", "{s}", "--query", "{q}", "--transformations=episodes.Rotaton"],
        "unknown class 'Rotaton' in transformations (module episodes); did you mean 'Rotation'?",
    ),
    "an inference that there is not": (
        ["{run}", "--support", "{s}", "--query", "{q}", "--inference=distilled"],
        "{run}: no inference is called 'distilled'; there are single, aggregated",
    ),
    "a device that only pretends": (
        ["{run}", "--support", "{s}", "--query", "{q}", "--device=meta"],
        "cannot use device meta: ",
    ),
    "no such saved classifier": (
        ["{root}/gone.safetensors", "--query", "{q}"],
        "{root}/gone.safetensors: there is no such folder or file",
    ),
    "a query without a name": (["{run}", "--support", "{s}", "--query", ""], "a query has no name"),
}


@pytest.mark.parametrize("name", MISTAKES)
def test_a_mistake_is_one_line_and_leaves_nothing_behind(
    name: str, run: Path, pictures: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (pictures / "text").write_text("no checkpoint")
    companion(run, pictures / "companion")
    places = {"run": run, "root": pictures, "s": pictures / "support", "q": pictures / "query"}
    arguments, message = MISTAKES[name]
    before = {path: path.stat().st_mtime_ns for path in pictures.rglob("*")}
    assert (
        run_door(predict.main, [*(word.format(**places) for word in arguments), f"--output_folder={pictures / 'out'}"])
        == 2
    )
    error = capsys.readouterr().err
    assert message.format(**places) in error
    assert error.startswith("error: ")
    assert error.count("\n") == 1
    assert {path: path.stat().st_mtime_ns for path in pictures.rglob("*")} == before


def test_names_of_every_kind(
    run: Path, pictures: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "200")  # names are whole in one line
    one = next((pictures / "query").iterdir()).read_bytes()
    names = (b"new\nline.png", b"esc\x1b[31m.png", b"no utf \xff.png", "عربي :cat: [red].png".encode(), b"'\"<b>.png")
    for name in names:
        Path(os.fsdecode(bytes(pictures / "query") + b"/" + name)).write_bytes(one)
    (pictures / "support" / "d").rename(pictures / "support" / "=cmd(1)")
    assert ask(pictures, str(run), "--inference=single") == 0
    out = capsys.readouterr().out
    for shown in ("new\\nline.png", "esc\\x1b[31m.png", "no utf \\udcff.png", "عربي :cat: [red].png", "'\"<b>.png"):
        assert shown in out
    assert "\x1b" not in out
    document = json.loads((pictures / "out" / "predictions.json").read_text(encoding="utf-8"))
    with (pictures / "out" / "predictions.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert {os.fsencode(entry["query"]) for entry in document["queries"]} >= {
        bytes(pictures / "query") + b"/" + name for name in names
    }
    escaped = {entry["query"].encode("utf-8", "backslashreplace").decode() for entry in document["queries"]}
    assert {row["query"] for row in rows} == escaped
    labels = {row[f"label{end}"] for row in rows for end in ("", "_2", "_3")}
    assert labels == {"'=cmd(1)", *CLASSES[:2]}
    confusion = document["leave_one_out"]["confusion"]
    assert {entry["right"] for entry in confusion} == {"=cmd(1)", *CLASSES[:2]}
    assert sum(entry["pictures"] for entry in confusion) == 2 + 3 + 4


def test_a_classifier_with_numbers_as_labels_is_shown(run: Path, pictures: Path, tmp_path: Path) -> None:
    support = sorted((pictures / "support").glob("*/*"))
    labels = [10 * CLASSES.index(path.parent.name) for path in support]
    FewShotClassifier(run, device="cpu", invert="yes").fit([*support, support[0]], [*labels, 99]).save(tmp_path / "it")
    given = ["--query", str(pictures / "query"), f"--output_folder={tmp_path / 'out'}", "--device=cpu"]
    assert run_door(predict.main, [str(tmp_path / "it"), *given]) == 0
    document = json.loads((tmp_path / "out" / "predictions.json").read_text())
    assert document["classes"] == ["0", "10", "20", "99"]
    assert (
        "light and dark are exchanged in all pictures, as they were when the classifier was saved" in document["notes"]
    )
    assert "the class 99 has a single picture, which cannot be left out: not measured" in document["notes"]


@pytest.mark.parametrize(
    "option", ["--framing=stretch", "--invert=no", "--image_size=32", "--support=s", "--transformations=rotation2"]
)
def test_a_saved_classifier_takes_no_options_that_it_would_pass_over(
    option: str, run: Path, pictures: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    support = sorted((pictures / "support").glob("*/*"))
    FewShotClassifier(run, device="cpu").fit(support, [path.parent.name for path in support]).save(tmp_path / "it")
    assert run_door(predict.main, [str(tmp_path / "it"), option, "--query", str(pictures / "query")]) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert "is a saved classifier" in error or "belongs to --backbone" in error


def test_if_one_file_cannot_be_written_none_is(
    run: Path, pictures: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(path: Path, predictor: object) -> None:
        raise OSError(28, "No space left on device", str(path))

    monkeypatch.setattr(prediction_files, "save_predictor", fail)
    before = sorted(pictures.rglob("*"))
    page, saved = pictures / "a" / "b" / "page.html", pictures / "saved"
    assert ask(pictures, str(run), f"--html={page}", f"--save={saved}", f"--export={pictures / 'it.pt2'}") == 2
    assert capsys.readouterr().err == f"error: {saved}: cannot be written (No space left on device)\n"
    assert sorted(pictures.rglob("*")) == before


def test_the_cache_can_be_left_alone(
    run: Path, pictures: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("FEWSHOT_SLA_CACHE", str(tmp_path / "cache"))
    assert ask(pictures, str(run), "--cache=false") == 0
    assert not (tmp_path / "cache").exists()
    first = (pictures / "out" / "predictions.csv").read_bytes()
    for _ in range(2):  # once to fill it, once from it
        assert ask(pictures, str(run)) == 0
        assert (pictures / "out" / "predictions.csv").read_bytes() == first
    assert len(list((tmp_path / "cache" / "features").iterdir())) == 1


def test_the_examples_lead_from_letters_to_labels(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(letters, "Glyphs", TinyImages)  # which takes no time to render
    letters.write_letters(tmp_path, classes=3, shots=2, queries=2)
    own_pictures.main([str(tmp_path), str(run)])
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 3 * 2 + 1
    assert all(line.split(": ")[1].split()[0] in ("0", "1", "2") for line in lines[:-1])
    assert lines[-1].startswith("leave-one-out accuracy ")


def test_the_measuring_example_counts_every_query(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(letters, "Glyphs", TinyImages)
    letters.write_letters(tmp_path, classes=6, shots=10, queries=0)
    monkeypatch.setattr(measure_predictions, "QUERIES", 3)
    measure_predictions.main([str(run), str(tmp_path / "support"), "2"])
    lines = capsys.readouterr().out.splitlines()
    assert [line.split(":")[0] for line in lines[:3]] == ["aggregated", "single", "leave-one-out"]
    assert sum(int(line.split(": ")[1].split()[0]) for line in lines[3:]) == 2 * 5 * 3


def test_help_names_every_option(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        run_door(predict.main, ["--help"])
    assert ended.value.code == 0
    text = capsys.readouterr().out
    for option in ("RUN_FOLDER", "--support", "--query", "--inference", "--strict", "--invert", "--backbone", "--save"):
        assert option in text

"""The door for unknown images, run for real on a tiny classifier; and what it refuses."""

import csv
import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from sklearn.metrics import roc_auc_score

from fewshot_sla import unknown
from fewshot_sla.classification.unknown.results import read_unknown
from fewshot_sla.cli.door import run_door
from fewshot_sla.runs import checkpoint
from fewshot_sla.runs.folder import RunFolder, write_text
from tests.integration import classification_doors as doors


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("unknown") / "sla"
    digits = ("--data=episodes.datasets.Digits", "--data.image_size=8", "--backbone.blocks=1")
    assert doors.train_classifier(folder, *digits, *doors.objective("SLA")) == 0
    return folder


def run_unknown(folder: Path, *arguments: str) -> int:
    return run_door(unknown.main, [str(folder), *arguments, "--accelerator=cpu"])


def column(path: Path, name: str) -> list[float]:
    with path.open() as file:
        return [float(row[name]) for row in csv.DictReader(file)]


def test_known_against_two_other_sets(run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for number in range(3):
        (tmp_path / "mine").mkdir(exist_ok=True)
        pixels = np.random.default_rng(number).integers(0, 256, (20, 12, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(tmp_path / "mine" / f"{number}.png")
    tiny = "{class_path: tests.tiny.TinyClasses, init_args: {channels: 3, names: '', classes: 3}}"
    capsys.readouterr()
    assert run_unknown(run, "--against", str(tmp_path / "mine"), tiny, "--scores", "energy", "agreement") == 0
    shown = capsys.readouterr().out
    words = " ".join(shown.split())  # a title may be folded
    assert "digits/test (1,397) against mine (3), %" in words
    assert "colour made grey, 16 x 16 resized to 8 x 8 (bilinear, antialiased)" in words
    assert "maximum" not in shown  # a score that was not asked for
    assert max(len(line) for line in shown.splitlines() if line[0] in "┏│") <= 80
    found = {(result.against, result.inference, result.score): result for result in read_unknown(RunFolder(run))}
    assert len(found) == 2 * (3 + 4)  # all scores are kept; one view has no other to agree with
    for (against, inference, score), result in found.items():
        files = result.files
        known = column(run / files["known_scores"], score)
        others = column(run / files["unknown_scores"], score)
        assert (len(known), len(others)) == (1397, {"mine": 3, "tiny-classes": 36}[against])
        truth = [1] * len(known) + [0] * len(others)
        assert result.auroc == pytest.approx(roc_auc_score(truth, known + others), abs=1e-6)
        assert (run / files["picture"]).read_bytes()[:4] == b"\x89PNG"
        assert inference in ("single", "aggregated")
    document = json.loads((run / "unknown.json").read_text())
    assert {"configuration", "versions", "device", "wall_time_s", "commit"} <= set(document)


def test_accuracy_is_that_of_the_test_and_changed_images_are_refused(
    run: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert doors.run_class_test(run) == 0
    tested = {result.inference: result.accuracy for result in doors.results_of(run) if result.split == "test"}
    for result in read_unknown(RunFolder(run)):
        assert result.accuracy == pytest.approx(tested[result.inference])
    path = run / "results.json"
    before = path.read_text()
    path.write_text(before.replace(read_unknown(RunFolder(run))[0].fingerprint, "another"))
    capsys.readouterr()
    assert run_unknown(run, "--against", "tests.tiny.TinyClasses") == 2
    assert "are not those that it was tested on, the data have changed" in capsys.readouterr().err
    path.write_text(before)


MISTAKES = {
    "the known images themselves": (
        ["{class_path: episodes.datasets.Digits, init_args: {image_size: 8}}"],
        "these are the known images themselves",
    ),
    "channels": (
        ["{class_path: tests.tiny.TinyClasses, init_args: {channels: 2}}"],
        "--against tiny-classes: images with 2 channels cannot be shown to a network for 1",
    ),
    "no such score": (["tests.tiny.TinyClasses", "--scores", "entropy"], "there is no score 'entropy'"),
    "nothing to agree with": (
        ["tests.tiny.TinyClasses", "--scores", "agreement", "--inference", "single"],
        "single asks one view, which has none to agree with",
    ),
    "no such inference": (["tests.tiny.TinyClasses", "--inference=distilled"], "has no inference 'distilled'"),
    "several processes": (["tests.tiny.TinyClasses", "--devices=2"], "leave out --devices"),
}


@pytest.mark.parametrize("name", MISTAKES)
def test_a_mistake_is_one_line(name: str, run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments, words = MISTAKES[name]
    assert run_unknown(run, "--against", *arguments) == 2
    errors = capsys.readouterr().err
    assert words in errors
    assert errors.startswith("error: ")
    assert errors.count("\n") == 1


def test_a_run_that_is_given_twice(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run_unknown(run, f"{run}/", "--against=tests.tiny.TinyClasses") == 2
    assert capsys.readouterr().err == f"error: {run}: the run is given twice\n"


def test_runs_that_know_no_classes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    few_shot = RunFolder(tmp_path / "few-shot")
    write_text(few_shot.config, "seed: 0\n")
    checkpoint.save_checkpoint(few_shot.best, {}, {"program": "meta_train", "best": {"step": 1}})
    untrained = RunFolder(tmp_path / "untrained")
    write_text(untrained.config, "seed: 0\n")
    checkpoint.save_checkpoint(untrained.last, {}, {"program": "train"})
    messages = {
        "few-shot": "python -m fewshot_sla.meta_test",
        "untrained": "the run stopped before its first validation",
        "nowhere": "there is no such folder",
    }
    for name, words in messages.items():
        assert run_unknown(tmp_path / name, "--against=digits") == 2
        error = capsys.readouterr().err
        assert words in error
        assert error.count("\n") == 1
        assert ("--unknown_ways 5" in error) == (name == "few-shot")

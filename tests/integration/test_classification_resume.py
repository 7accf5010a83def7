"""Runs that are gone on with, trained anew or tested together: what must not be mixed is not."""

import json
import os
import shutil
import signal
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from torch import Tensor

from episodes.images.labelled import LabelledImages
from fewshot_sla import train
from fewshot_sla.classification.kind import ClassificationKind
from fewshot_sla.cli.door import INTERRUPTED, run_door
from fewshot_sla.runs.folder import RunFolder
from fewshot_sla.training.loop import Loop
from fewshot_sla.training.recipe import Hardware
from tests.integration import classification_doors as doors
from tests.tiny import TinyClasses

BASELINE, SLA = doors.objective("Baseline"), doors.objective("SLA")
DIGITS = ("--data=episodes.datasets.Digits", "--data.train_per_class=5")


class NothingToValidateOn(TinyClasses):
    """A split val without images."""

    def open(self, split: str) -> LabelledImages:
        images = super().open(split)
        return (
            LabelledImages(images.images[:0], images.labels[:0], images.class_names, images.name)
            if split == "val"
            else images
        )


def resume(folder: Path, *arguments: str) -> int:
    return run_door(train.main, ["--resume", f"--run_folder={folder}", *arguments])


def one_line(capsys: pytest.CaptureFixture[str]) -> str:
    errors = capsys.readouterr().err.splitlines()
    assert errors[-1].startswith("error: ")
    return errors[-1]


def draw_classes(root: Path, seed: int) -> None:
    random = np.random.default_rng(seed)
    for name in ("a", "b"):
        (root / name).mkdir(parents=True, exist_ok=True)
        for number in range(6):
            pixels = random.integers(0, 256, (16, 16), dtype=np.uint8)
            Image.fromarray(pixels).save(root / name / f"{number}.png")


def test_a_run_does_not_go_on_with_other_images(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    root, folder = tmp_path / "images", tmp_path / "run"
    draw_classes(root, seed=0)
    data = (
        "--data=episodes.datasets.ClassificationFolders",
        f"--data.root={root}",
        "--data.image_size=16",
        "--data.grey=true",
    )
    assert doors.train_classifier(folder, *SLA, *data) == 0
    draw_classes(root, seed=1)
    assert resume(folder, "--loop.steps=8") == 2
    assert "images/train is not what the run began with (another fingerprint)" in one_line(capsys)
    shutil.copy(root / "a" / "0.png", root / "b" / "more.png")
    for number in range(4):
        Image.fromarray(np.full((16, 16), number, np.uint8)).save(root / "a" / f"more{number}.png")
    assert resume(folder, "--loop.steps=8") == 2
    assert "(another class_counts)" in one_line(capsys)
    shutil.rmtree(root)
    draw_classes(root, seed=0)
    assert resume(folder, "--loop.steps=8") == 0


def test_deferred_reweighting_is_not_undone_by_a_longer_run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    deferred = (
        *BASELINE,
        "--data.counts=[12,6,3,2]",
        f"{doors.LOSS}.CrossEntropy",
        doors.REWEIGHTING,
        f"{doors.REWEIGHTING.split('=')[0]}.start=0.5",
    )
    folder = tmp_path / "run"
    assert doors.train_classifier(folder, *deferred, steps=6) == 0
    assert resume(folder, "--loop.steps=7") == 2  # step 3 was half of 6, and is not of 7
    assert one_line(capsys) == (
        f"error: {folder}: the recipe goes by the share of the training that is done, and step 3 of 6 was not made as "
        "it would be in a run of 7 steps; keep loop.steps (6), or start anew in another --run_folder"
    )
    assert resume(folder) == 0
    always = tmp_path / "always"
    assert doors.train_classifier(always, *deferred[:-1], steps=4) == 0
    assert resume(always, "--loop.steps=6") == 0  # re-weighted from the first step on, whatever the length


def test_the_last_weights_come_with_how_they_were_trained_and_old_results_go(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    assert doors.train_classifier(folder, *SLA, "--keep=last", steps=3) == 0
    document = json.loads((folder / "results.json").read_text())
    assert document["results"] == []
    assert document["training"]["steps"] == 3
    assert "training" in document["wall_time_s"]
    assert doors.run_class_test(folder) == 0
    assert {r.step for r in doors.results_of(folder)} == {3}
    assert resume(folder) == 0
    assert len(doors.results_of(folder)) == 2  # the same weights
    assert resume(folder, "--loop.steps=5") == 0
    assert doors.results_of(folder) == []


def test_a_new_run_has_no_results_of_one_that_was_removed(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    assert doors.train_classifier(folder, *SLA, "--keep=last", steps=3) == 0
    assert doors.run_class_test(folder) == 0
    for name in ("best", "last"):
        (folder / f"{name}.safetensors").unlink()
    assert doors.train_classifier(folder, *SLA, "--keep=last", "--seed=1", steps=3) == 0
    assert doors.results_of(folder) == []


def test_no_images_to_validate_on(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data = "--data=tests.integration.test_classification_resume.NothingToValidateOn"
    assert doors.train_classifier(tmp_path / "run", *SLA, data) == 2
    hint = "or keep the last weights (--keep last)"
    assert one_line(capsys) == f"error: tiny-classes/val: there are no images to validate on; give some, {hint}"
    assert doors.train_classifier(tmp_path / "run", *SLA, "--data.splits=[train]") == 2
    assert one_line(capsys).endswith(hint)
    assert doors.train_classifier(tmp_path / "run", *SLA, data, "--keep=last") == 0


def test_results_that_are_not_ours_are_left_alone(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "run"
    assert doors.train_classifier(folder, *SLA, "--keep=last", steps=1) == 0
    for text, words in (
        ("{}", "there is no list of results in it; remove the file and run python -m fewshot_sla.test"),
        ("{", "remove it and run python -m"),
    ):
        (folder / "results.json").write_text(text)
        for code in (doors.run_class_test(folder), resume(folder)):
            assert code == 2
        errors = one_line(capsys)
        assert words in errors
        assert "meta_test" not in errors
        assert (folder / "results.json").read_text() == text


def test_an_ensemble_of_runs_that_divide_their_data_differently(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Test images of one are training images of the other."""
    runs = [tmp_path / str(seed) for seed in (0, 1)]
    for seed, run in enumerate(runs):
        assert doors.train_classifier(run, *SLA, *DIGITS, f"--data.seed={seed}", steps=1) == 0
    before = (runs[1] / "results.json").read_bytes()
    assert doors.run_class_test(*runs) == 2
    assert f"{runs[1]}: its test images are not those of {runs[0]}" in one_line(capsys)
    assert (runs[1] / "results.json").read_bytes() == before


def test_members_of_an_ensemble_keep_their_own_name_for_the_same_images(tmp_path: Path) -> None:
    plain, limited = tmp_path / "plain", tmp_path / "limited"
    assert doors.train_classifier(plain, *SLA, steps=1) == 0
    of_few = ("--data=episodes.datasets.Limited", "--data.source=tests.tiny.TinyClasses", "--data.per_class=3")
    assert doors.train_classifier(limited, *SLA, *of_few, steps=1) == 0
    assert doors.run_class_test(plain, limited) == 0
    assert doors.run_class_test(limited) == 0
    tested = [r for r in doors.results_of(limited) if r.split == "test"]
    assert [(r.dataset, r.inference) for r in tested] == [
        ("tiny-classes-limited-3", "single"),
        ("tiny-classes-limited-3", "aggregated"),
    ]


def test_what_makes_no_ensemble(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = tmp_path / "run"
    assert doors.train_classifier(run, *BASELINE, steps=1) == 0
    assert doors.run_class_test(run, run) == 2
    assert one_line(capsys) == f"error: {run}: the run is given twice"
    assert doors.run_class_test(run, "--output", tmp_path / "x.json") == 2
    assert "--output is for the figures of an ensemble" in one_line(capsys)


TINY_STUDY = ("--", *doors.TINY, "--loop.steps=2", "--loop.validate_every=2", "--loop.log_every=1")


@pytest.fixture
def config(tmp_path: Path) -> Path:
    assert doors.train_classifier(tmp_path / "sla", *SLA, steps=2) == 0
    return shutil.copy(tmp_path / "sla" / "config.yaml", tmp_path / "sla.yaml")


def test_a_study_tests_whatever_inference_is_missing(config: Path, tmp_path: Path) -> None:
    arguments = (str(config), "--seeds=0,1", "--folder", str(tmp_path / "study"), *TINY_STUDY)
    assert doors.run_study(*arguments) == 0
    whole = json.loads((tmp_path / "study" / "study.json").read_text())["rows"]
    for seed in (0, 1):
        run = tmp_path / "study" / "sla" / f"seed{seed}"
        document = json.loads((run / "results.json").read_text())
        test = [r for r in document["results"] if (r["split"], r["inference"]) == ("test", "aggregated")]
        document["results"] = [r for r in document["results"] if r not in test]
        (run / "results.json").write_text(json.dumps(document))
        (run / "predictions" / "test_single.csv").unlink()  # what a paired difference is made of
        assert doors.run_study(*arguments) == 0
        assert (run / "predictions" / "test_single.csv").is_file()
        assert json.loads((tmp_path / "study" / "study.json").read_text())["rows"] == whole


def test_a_study_tests_on_what_it_trained_on(
    config: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    told: list[Hardware] = []
    tests = ClassificationKind.test

    def listening(kind: ClassificationKind, folder: RunFolder, split: str, hardware: Hardware) -> None:
        told.append(hardware)
        tests(kind, folder, split, hardware)

    monkeypatch.setattr(ClassificationKind, "test", listening)
    arguments = (str(config), "--seeds=0", "--folder", str(tmp_path / "study"), *TINY_STUDY)
    assert doors.run_study(*arguments, "--precision=bf16-mixed", "--placement=pinned", "--channels_last=false") == 0
    expected = Hardware(accelerator="cpu", precision="bf16-mixed", placement="pinned", channels_last=False)
    assert told == [expected]


def test_a_study_looks_at_all_recipes_before_it_trains_one(
    config: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    wrong = tmp_path / "wrong.yaml"
    wrong.write_text("batchsize: 3\n")
    folder = tmp_path / "study"
    assert doors.run_study(str(config), str(wrong), "--folder", str(folder), *TINY_STUDY) == 2
    assert "wrong: unknown key 'batchsize'; did you mean 'batch_size'?" in one_line(capsys)
    assert not folder.exists()
    assert doors.run_study(str(config), "--folder", str(folder), "--loop.steps=3") == 2
    assert one_line(capsys).endswith("options of train go behind --, as in -- --loop.steps 100")


def test_a_study_of_other_recipes_needs_another_folder(
    config: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = (str(config), "--seeds=0", "--folder", str(tmp_path / "study"), *TINY_STUDY)
    assert doors.run_study(*arguments) == 0
    assert doors.run_study(*arguments, "--batch_size=4") == 2
    assert one_line(capsys).endswith("or start anew in another --run_folder (of a study: another --folder)")
    assert doors.run_study(*arguments, "--loop.steps=1") == 2
    assert "has made 2 steps already" in one_line(capsys)


def test_an_interrupted_study_says_how_it_goes_on(
    config: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    step = Loop._step

    def interrupted(loop: Loop) -> Tensor:
        os.kill(os.getpid(), signal.SIGINT)
        return step(loop)

    monkeypatch.setattr(Loop, "_step", interrupted)
    capsys.readouterr()
    assert doors.run_study(str(config), "--folder", str(tmp_path / "study"), *TINY_STUDY) == INTERRUPTED
    said = capsys.readouterr().err.splitlines()[-1]
    assert said == "stopped after step 1 of 2; the study goes on with the same command"

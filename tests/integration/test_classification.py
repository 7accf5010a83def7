"""Train, test and study, as a user would, on the same few noisy patterns in every split."""

import csv
import io
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.stats import binomtest

from episodes.views import normalized_views
from fewshot_sla.classification.ensemble import read_ensemble
from fewshot_sla.classification.kind import CLASSIFICATION
from fewshot_sla.runs import checkpoint
from fewshot_sla.runs.folder import RunFolder
from fewshot_sla.runs.metrics import read_metrics
from fewshot_sla.training.trained import load_trained
from tests.integration import classification_doors as doors
from tests.integration import doors as episodic
from tests.tiny import TinyClasses

INFERENCES = {
    "Baseline": ["single"],
    "DA": ["single", "aggregated"],
    "MT": ["single", "aggregated"],
    "SLA": ["single", "aggregated"],
    "SLASD": ["distilled", "single", "aggregated"],
}


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A run of every objective, trained and tested."""
    root = tmp_path_factory.mktemp("runs")
    for name in INFERENCES:
        assert doors.train_classifier(root / name, *doors.objective(name), steps=30) == 0
        assert doors.run_class_test(root / name) == 0
    return {name: root / name for name in INFERENCES}


@pytest.mark.parametrize("name", INFERENCES)
def test_every_objective_trains_and_every_inference_is_tested(runs: dict[str, Path], name: str) -> None:
    results = doors.results_of(runs[name])
    assert [r.inference for r in results if r.split == "test"] == INFERENCES[name]
    assert [r.inference for r in results if r.split == "val"] == INFERENCES[name]
    for result in results:
        assert result.images == 48
        assert 0.3 < result.accuracy <= 1  # a quarter by chance
        assert np.mean(result.per_class) == pytest.approx(result.accuracy, abs=1e-5)
        assert result.groups == {}  # balanced: there is no long tail


def test_the_run_folder_holds_everything(runs: dict[str, Path]) -> None:
    names = {path.name for path in runs["SLA"].iterdir()}
    expected = {"config.yaml", "last.safetensors", "best.safetensors", "metrics.csv", "results.json", "predictions"}
    assert expected | {"learning_curve.png"} <= names
    assert not [name for name in names if name.startswith(".")]
    document = json.loads((runs["SLA"] / "results.json").read_text())
    assert document["versions"]["torch"] == torch.__version__
    assert document["device"]["type"] == "cpu"
    assert {"training", "test"} == document["wall_time_s"].keys()
    assert document["configuration"]["objective"]["class_path"].endswith("SLA")
    identity = checkpoint.load_checkpoint(runs["SLA"] / "best.safetensors")[1]
    assert identity["program"] == "train"
    assert identity["class_counts"] == [12] * 4
    assert identity["image_shape"] == [1, 16, 16]


def test_predictions_of_every_image_agree_with_the_accuracy(runs: dict[str, Path]) -> None:
    with (runs["SLASD"] / "predictions" / "test_distilled.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    result = next(r for r in doors.results_of(runs["SLASD"]) if r.split == "test" and r.inference == "distilled")
    assert np.mean([row["class"] == row["predicted"] for row in rows]) == pytest.approx(result.accuracy)
    assert all(float(row["probability"]) >= float(row["probability_of_class"]) for row in rows)


def test_the_tested_figures_are_those_of_a_slow_loop_over_the_images(runs: dict[str, Path]) -> None:
    run = load_trained(CLASSIFICATION, RunFolder(runs["SLA"]))
    images = TinyClasses().open("test")
    run.model.eval()
    right = 0
    for image, label in zip(images.images, images.labels, strict=True):
        pixels = (image.float() / 255 - run.normalization.mean[:, None, None]) / run.normalization.deviation[
            :, None, None
        ]
        scores = torch.zeros(4)
        for j in range(4):
            joint = run.model(torch.rot90(pixels, j, (-2, -1))[None])["joint"][0]
            scores += joint[[y * 4 + j for y in range(4)]]
        right += int(scores.argmax() == label)
    results = doors.results_of(runs["SLA"])
    found = next(r for r in results if r.split == "test" and r.inference == "aggregated")
    assert found.accuracy == pytest.approx(right / 48)


def test_an_ensemble_is_the_mean_of_the_logits_of_its_members(
    runs: dict[str, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    other = tmp_path / "other"
    assert doors.train_classifier(other, *doors.objective("SLA"), "--seed=1") == 0
    json_file = tmp_path / "ensemble.json"
    assert doors.run_class_test(runs["SLA"], other, "--output", json_file) == 0
    assert "independent ensemble (IE) of 2 runs" in capsys.readouterr().out
    record = read_ensemble(json_file)
    assert [(member.run_folder, member.finished) for member in record.members] == [
        (str(runs["SLA"]), True),
        (str(other), True),
    ]
    assert (record.seeds, record.models, record.dataset, record.split) == ([0, 1], 2, "tiny-classes", "test")
    images = TinyClasses().open("test")
    total = torch.zeros(48, 4)
    for path in (runs["SLA"], other):
        run = load_trained(CLASSIFICATION, RunFolder(path))
        batch = next(iter(images.batches(48, 0).in_order()))
        run.model.eval()
        with torch.no_grad():
            views = normalized_views(batch.pixels, run.recipe.objective.transformations, run.normalization)
            logits = run.model(views)
        total += run.recipe.objective.predict(logits, "aggregated")
    expected = float((total.argmax(-1) == images.labels).float().mean())
    assert record.fingerprint == images.fingerprint
    found = {result.inference: result.accuracy for result in record.results}
    assert found["aggregated"] == pytest.approx(expected)


def test_an_ensemble_keeps_the_inferences_that_all_members_have(
    runs: dict[str, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    assert doors.run_class_test(runs["SLASD"], runs["SLA"]) == 0
    table = capsys.readouterr().out.partition("independent ensemble")[2]
    assert "aggregated (AG)" in table
    assert "distilled" not in table


def test_ten_crops_stand_beside_the_images_as_they_are(runs: dict[str, Path]) -> None:
    def found() -> dict:
        return {(r.inference, r.crops, r.padding): r for r in doors.results_of(runs["MT"]) if r.split == "test"}

    before = found()
    for padding in (1, 2):  # other crops are another test: they are kept apart, and never compared
        assert doors.run_class_test(runs["MT"], "--ten_crop", f"--padding={padding}") == 0
    after = found()
    assert set(after) == {(name, *crops) for name in INFERENCES["MT"] for crops in ((1, 0), (10, 1), (10, 2))}
    assert all(after[key] == before[key] for key in before)
    assert after["single", 10, 1].protocol != after["single", 10, 2].protocol
    for padding in (1, 2):
        assert (runs["MT"] / "predictions" / f"test_single_10crops_padding{padding}.csv").is_file()


def test_an_ensemble_of_ten_crops_stands_beside_that_of_the_images_as_they_are(
    runs: dict[str, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "e.json"
    arguments = ("--ten_crop", "--padding=1", "--output", file, "--format=json")
    assert doors.run_class_test(runs["MT"], runs["DA"], *arguments) == 0
    record = read_ensemble(file)
    assert {(result.inference, result.crops) for result in record.results} == {
        (name, crops) for name in ("single", "aggregated") for crops in (1, 10)
    }
    assert record.padding == 1
    tables = json.loads(capsys.readouterr().out)
    assert [table["title"].partition(" on ")[0] for table in tables] == [
        str(runs["MT"]),
        str(runs["DA"]),
        "independent ensemble (IE) of 2 runs",
    ]
    assert [len(table["rows"]) for table in tables] == [4, 4, 4]


def test_a_run_that_stopped_early_says_so(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = RunFolder(tmp_path / "run")
    assert doors.train_classifier(folder.path, *doors.objective("Baseline"), steps=3) == 0
    assert doors.run_class_test(folder.path) == 0
    assert "not finished" not in capsys.readouterr().out
    tensors, state = checkpoint.load_checkpoint(folder.last)
    checkpoint.save_checkpoint(folder.last, tensors, {**state, "steps": 8})
    assert doors.run_class_test(folder.path) == 0
    assert f"{folder.path}: not finished, 3 of 8 steps" in capsys.readouterr().out.replace("\n", "")


def test_classifiers_are_compared_on_the_same_images(
    runs: dict[str, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    picture = tmp_path / "picture.png"
    assert doors.compare(runs["Baseline"], runs["SLA"], "--picture", picture, "--format=csv") == 0
    (row,) = csv.DictReader(io.StringIO(capsys.readouterr().out))
    files = ((runs["Baseline"], "test_single.csv"), (runs["SLA"], "test_aggregated.csv"))
    right = []
    for folder, name in files:
        with (folder / "predictions" / name).open(newline="") as file:
            right.append([line["class"] == line["predicted"] for line in csv.DictReader(file)])
    only = [sum(a and not b for a, b in zip(*pair, strict=True)) for pair in (right, right[::-1])]
    assert float(row["difference over images, points"]) == pytest.approx(100 * (only[1] - only[0]) / 48)
    assert float(row["p over images"]) == pytest.approx(binomtest(only[0], sum(only)).pvalue if sum(only) else 1)
    assert (row["images"], row["test"]) == ("48", "test images")
    assert picture.read_bytes().startswith(b"\x89PNG")


def test_what_cannot_be_compared_with_a_classifier(
    runs: dict[str, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert episodic.train(tmp_path / "episodic", steps=2) == 0
    copy = shutil.copytree(runs["SLA"], tmp_path / "copy")
    capsys.readouterr()
    assert doors.compare(runs["SLA"], tmp_path / "episodic") == 2
    assert "is a run of train and" in capsys.readouterr().err
    table = copy / "predictions" / "test_aggregated.csv"
    table.write_text(table.read_text().replace("predicted", "guessed"))
    assert doors.compare(runs["SLA"], copy) == 2
    assert "test_aggregated.csv: the file is damaged" in capsys.readouterr().err
    table.unlink()
    assert doors.compare(runs["SLA"], copy) == 2
    assert "the predictions are gone; run python -m fewshot_sla.test" in capsys.readouterr().err


def test_a_single_inference_can_be_asked_for(runs: dict[str, Path], capsys: pytest.CaptureFixture[str]) -> None:
    assert doors.run_class_test(runs["SLA"], "--inference=single") == 0
    out = capsys.readouterr().out
    assert "single (SI)" in out
    assert "aggregated" not in out


def test_with_the_last_weights_kept_neither_val_nor_test_is_opened(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    assert doors.train_classifier(folder, *doors.objective("SLA"), "--keep=last", "--data.splits=[train]") == 0
    best, last = (checkpoint.load_checkpoint(folder / f"{name}.safetensors") for name in ("best", "last"))
    assert best[1]["best"] == {"step": 6}
    assert all(best[0][key].equal(last[0][key]) for key in best[0])


def test_training_opens_no_test_split(tmp_path: Path) -> None:
    assert doors.train_classifier(tmp_path / "run", "--data.splits=[train,val]") == 0


LONG_TAIL = ("--data.counts=[12,6,3,2]",)
LOSSES = {
    "ce": (f"{doors.LOSS}.CrossEntropy",),
    "cb_rw": (f"{doors.LOSS}.CrossEntropy", doors.REWEIGHTING),
    "ldam_drw": (f"{doors.LOSS}.LDAM", doors.REWEIGHTING, f"{doors.REWEIGHTING.split('=')[0]}.start=0.5"),
    "balanced_softmax": (f"{doors.LOSS}.BalancedSoftmax",),
    "logit_adjustment": (f"{doors.LOSS}.LogitAdjustment",),
}


@pytest.mark.parametrize("name", ["Baseline", "SLASD"])
@pytest.mark.parametrize("loss", LOSSES)
def test_every_long_tail_loss_trains_alone_and_with_self_distillation(loss: str, name: str, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    assert doors.train_classifier(folder, *LONG_TAIL, *doors.objective(name), *LOSSES[loss]) == 0
    assert doors.run_class_test(folder) == 0
    result = doors.results_of(folder)[-1]
    assert set(result.groups) == {"few (< 20)"}
    assert result.groups["few (< 20)"] == pytest.approx(result.accuracy)
    run = load_trained(CLASSIFICATION, RunFolder(folder))
    assert run.state["class_counts"] == [12, 6, 3, 2]
    kinds = {type(layer).__name__ for layer in run.model.layers.values()}
    assert kinds == {"NormalizedLinear" if loss == "ldam_drw" else "Linear"}


def test_passes_of_a_step_share_out_its_batch(tmp_path: Path) -> None:
    assert (
        doors.train_classifier(
            tmp_path / "whole", *doors.objective("SLA"), "--backbone=tests.integration.plugins.LinearBackbone"
        )
        == 0
    )
    assert (
        doors.train_classifier(
            tmp_path / "parts",
            *doors.objective("SLA"),
            "--backbone=tests.integration.plugins.LinearBackbone",
            "--images_per_forward=2",
        )
        == 0
    )
    losses = [[r["loss"] for r in read_metrics(tmp_path / name / "metrics.csv")] for name in ("whole", "parts")]
    assert losses[0] == pytest.approx(losses[1], rel=1e-4)  # without BatchNorm, how a batch is divided does not matter


@pytest.mark.usefixtures("real_pictures")
def test_a_study_trains_and_tests_what_is_missing_and_shows_all(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    configs = []
    for name in ("Baseline", "SLA"):
        assert doors.train_classifier(tmp_path / name, *doors.objective(name)) == 0
        config = tmp_path / f"{name.lower()}.yaml"
        config.write_text((tmp_path / name / "config.yaml").read_text())
        configs.append(str(config))
    folder = tmp_path / "study"
    capsys.readouterr()
    arguments = [*configs, "--seeds", "0", "3", "--folder", str(folder), "--", "--loop.steps=4"]
    assert doors.run_study(*arguments) == 0
    out = capsys.readouterr().out
    assert [line.split("│")[1:3] for line in out.splitlines() if "(AG)" in line] == [
        [" sla      ", " aggregated (AG) "]
    ]
    document = json.loads((folder / "study.json").read_text())
    assert document["seeds"] == [0, 3]
    assert [(row["recipe"], row["inference"]) for row in document["rows"]] == [
        ("baseline", "single"),
        ("sla", "single"),
        ("sla", "aggregated"),
    ]
    for row in document["rows"]:
        found = [
            next(r.accuracy for r in doors.results_of(path) if (r.split, r.inference) == ("test", row["inference"]))
            for path in row["run_folders"]
        ]
        assert found == row["accuracies"]
    assert (folder / "study.png").stat().st_size > 5000
    weights = {path: path.stat().st_mtime_ns for path in folder.rglob("best.safetensors")}
    assert doors.run_study(*arguments) == 0  # nothing is trained twice
    assert {path: path.stat().st_mtime_ns for path in folder.rglob("best.safetensors")} == weights

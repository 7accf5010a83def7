"""Train, test, compare, as a user would, on a data set of a few noisy patterns."""

import json
import shutil
from pathlib import Path

import pytest
import torch
import yaml

from episodes.datasets import Glyphs
from fewshot_sla.meta.kind import META
from fewshot_sla.meta.outcome_files import read_outcomes
from fewshot_sla.meta.results import EpisodeResult
from fewshot_sla.runs import checkpoint
from fewshot_sla.runs.folder import RunFolder
from fewshot_sla.runs.metrics import read_metrics
from fewshot_sla.runs.results import read_results
from fewshot_sla.runs.statistics import holm
from fewshot_sla.training.trained import load_trained
from tests.integration import doors

SLA = "--objective=fewshot_sla.meta.SLA"
PLAIN = "--objective=fewshot_sla.meta.Plain"
DA = "--objective=fewshot_sla.meta.DA"
ROTATION = "--objective.transformations=episodes.Rotation"


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Three tiny runs, trained and tested."""
    root = tmp_path_factory.mktemp("runs")
    options = {"plain": (PLAIN,), "da": (DA, ROTATION), "sla": (SLA, ROTATION)}
    for name, arguments in options.items():
        assert doors.train(root / name, *arguments) == 0
        assert doors.run_test(root / name, "--k_shot", "1", "5") == 0
    return {name: root / name for name in options}


def test_the_run_folder_holds_everything(runs: dict[str, Path]) -> None:
    names = {path.name for path in runs["sla"].iterdir()}
    expected = {"config.yaml", "last.safetensors", "best.safetensors", "metrics.csv", "results.json", "per_episode"}
    assert expected | {"learning_curve.png", "episode_val.png", "episode_test.png"} <= names
    assert any(name.startswith("events.out.tfevents") for name in names)
    assert not [name for name in names if name.startswith(".")]
    config = yaml.safe_load((runs["sla"] / "config.yaml").read_text())
    assert config["learner"]["init_args"]["backbone"]["init_args"]["in_channels"] == 1
    assert config["loop"]["steps"] == 4
    rows = read_metrics(runs["sla"] / "metrics.csv")
    assert [row["step"] for row in rows] == [1, 2, 3, 4]
    assert {"single", "aggregated"} <= rows[-1].keys()


def test_results_say_what_was_measured_and_where_it_comes_from(runs: dict[str, Path]) -> None:
    document = json.loads((runs["sla"] / "results.json").read_text())
    entries = {(e["split"], e["k_shot"], e["inference"]): e for e in document["results"]}
    assert set(entries) == {
        (split, k_shot, inference)
        for split, shots in (("val", [1]), ("test", [1, 5]))
        for k_shot in shots
        for inference in ("single", "aggregated")
    }
    entry = entries["test", 5, "aggregated"]
    required = {"dataset", "split", "n_way", "k_shot", "n_query", "episodes", "seed", "inference", "accuracy", "ci95"}
    assert required <= entry.keys()
    assert (entry["dataset"], entry["n_way"], entry["n_query"], entry["episodes"], entry["seed"]) == (
        "tiny",
        5,
        3,
        30,
        0,
    )
    assert 0.2 < entry["accuracy"] <= 1
    assert 0 <= entry["ci95"] < 0.2
    assert document["versions"]["torch"] == torch.__version__
    assert document["device"]["type"] == "cpu"
    assert document["configuration"]["objective"]["class_path"].endswith("SLA")
    both = " and ".join(f"test_5way_{k}shot_3query_30episodes_seed0" for k in (1, 5))  # on one embedding
    assert document["wall_time_s"].keys() == {"training", both}
    assert document["training"]["device"]["precision"] == "32-true"
    assert entry["primary"]
    assert entry["step"] == document["training"]["best"]["step"]
    assert entry["fingerprint"] == document["data"]["test"]["fingerprint"]
    assert len(document["data"]["test"]["fingerprint"]) == 64


def test_per_episode_accuracies_average_to_the_result(runs: dict[str, Path]) -> None:
    folder = RunFolder(runs["da"])
    for result in read_results(folder, EpisodeResult):
        correct, classes = read_outcomes(folder, result)
        assert correct.shape == classes.shape == (result.episodes, 5)
        assert correct.mean() / result.n_query == pytest.approx(result.accuracy)
        assert all(name.startswith(result.split) for name in classes.flat)


def test_the_trainer_never_opens_the_test_split(tmp_path: Path) -> None:
    assert doors.train(tmp_path / "run", PLAIN, "--data.splits=[train,val]") == 0
    # The same source, asked for the test split, refuses: so the guard above is real.
    assert doors.run_test(tmp_path / "run") == 2


def test_testing_again_gives_the_same_and_keeps_the_rest(runs: dict[str, Path], tmp_path: Path) -> None:
    before = json.loads((runs["plain"] / "results.json").read_text())
    assert doors.run_test(runs["plain"], "--k_shot", "5") == 0
    after = json.loads((runs["plain"] / "results.json").read_text())
    assert before["results"] == after["results"]
    assert doors.run_test(runs["plain"], "--k_shot=[2]", "--seed", "7") == 0
    more = json.loads((runs["plain"] / "results.json").read_text())["results"]
    assert more[: len(before["results"])] == before["results"]
    assert (more[-1]["k_shot"], more[-1]["seed"]) == (2, 7)


@pytest.mark.usefixtures("real_pictures")
def test_compare_pairs_the_runs(runs: dict[str, Path], capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    picture = tmp_path / "picture.png"
    capsys.readouterr()
    assert doors.compare_runs(str(runs["plain"]), str(runs["sla"]), "--picture", str(picture)) == 0
    printed = capsys.readouterr().out
    assert picture.stat().st_size > 5000
    for words in ("A │ plain, single", "B │ sla, aggregated", "5-way 1-shot", "5-way 5-shot", "paired t-test", "Holm"):
        assert words in printed.replace("\n", " ")
    assert "arXiv 2409.02850" in " ".join(printed.split())

    by_hand = {}
    for name in ("plain", "sla"):
        folder = RunFolder(runs[name])
        primary = "single" if name == "plain" else "aggregated"
        result = next(
            r for r in read_results(folder, EpisodeResult) if (r.split, r.k_shot, r.inference) == ("test", 5, primary)
        )
        by_hand[name] = read_outcomes(folder, result)[0].mean() / 3
    assert f"{100 * (by_hand['sla'] - by_hand['plain']):+.2f}" in printed


def test_comparing_what_was_not_tested_alike_is_refused(
    runs: dict[str, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert doors.train(tmp_path / "untested", PLAIN) == 0
    capsys.readouterr()
    assert doors.compare_runs(str(runs["plain"]), str(tmp_path / "untested")) == 2
    assert "not tested on 'test' yet" in capsys.readouterr().err
    assert doors.run_test(tmp_path / "untested", "--seed=99") == 0
    capsys.readouterr()
    assert doors.compare_runs(str(runs["plain"]), str(tmp_path / "untested")) == 2
    assert "no test in common" in capsys.readouterr().err
    assert doors.train(tmp_path / "other", PLAIN, "--data.per_class=12") == 0
    assert doors.run_test(tmp_path / "other") == 0
    capsys.readouterr()
    assert doors.compare_runs(str(runs["plain"]), str(tmp_path / "other")) == 2
    assert "different images" in capsys.readouterr().err


def test_the_trained_model_is_the_best_and_sees_what_it_was_trained_to_see(runs: dict[str, Path]) -> None:
    run = load_trained(META, RunFolder(runs["sla"]))
    tensors, state = checkpoint.load_checkpoint(runs["sla"] / "best.safetensors")
    rows = read_metrics(runs["sla"] / "metrics.csv")
    assert (
        run.state["best"]["aggregated"]
        == max(row["aggregated"] for row in rows if "aggregated" in row)
        == state["best"]["aggregated"]
    )
    assert torch.equal(run.normalization.mean, tensors["normalization.mean"])
    weights = checkpoint.without_prefix("model", tensors)
    assert all(torch.equal(value, weights[name]) for name, value in run.recipe.learner.state_dict().items())


@pytest.mark.usefixtures("real_pictures")
def test_training_is_the_same_twice(tmp_path: Path) -> None:
    for name in ("a", "b"):
        assert doors.train(tmp_path / name, SLA, ROTATION, "--episodes_per_step=2") == 0
    assert (tmp_path / "a/metrics.csv").read_text() == (tmp_path / "b/metrics.csv").read_text()
    assert (tmp_path / "a/best.safetensors").read_bytes() == (tmp_path / "b/best.safetensors").read_bytes()
    for picture in ("learning_curve.png", "episode_val.png"):
        assert (tmp_path / "a" / picture).stat().st_size > 5000


def test_accumulation_is_exactly_equivalent_where_episodes_do_not_mix(tmp_path: Path) -> None:
    """Without BatchNorm the gradient of 4 episodes is the same in 1, 2 or 4 passes."""
    losses = []
    for per_forward in (1, 2, 4):
        folder = tmp_path / str(per_forward)
        linear = "--learner.backbone=tests.integration.plugins.LinearBackbone"
        passes = ("--episodes_per_step=4", f"--episodes_per_forward={per_forward}")
        arguments = [a for a in doors.TINY if "backbone" not in a]
        doors.run_door(
            doors.meta_train.main,
            [*arguments, linear, *passes, PLAIN, "--loop.steps=5", "--loop.log_every=1", f"--run_folder={folder}"],
        )
        losses.append([row["loss"] for row in read_metrics(folder / "metrics.csv")])
    assert losses[0] == pytest.approx(losses[1], rel=1e-5)
    assert losses[0] == pytest.approx(losses[2], rel=1e-5)
    assert losses[0][-1] != pytest.approx(losses[0][0], rel=1e-2)  # it did train


@pytest.mark.parametrize(
    ("option", "tolerance"),
    [
        ("--precision=bf16-mixed", 0.1),
        pytest.param("--channels_last=false", 1e-3, marks=pytest.mark.slow),
        pytest.param("--compile=true", 1e-3, marks=pytest.mark.slow),
        ("--placement=pinned", 0),
    ],
)
def test_what_makes_it_faster_trains_the_same(tmp_path: Path, option: str, tolerance: float) -> None:
    assert doors.train(tmp_path / "as_usual", PLAIN) == 0
    assert doors.train(tmp_path / "faster", PLAIN, option) == 0
    usual, faster = (
        [row["loss"] for row in read_metrics(tmp_path / n / "metrics.csv")] for n in ("as_usual", "faster")
    )
    assert faster == pytest.approx(usual, rel=tolerance, abs=0)


def test_augmentation_is_drawn_anew_each_step_and_only_in_training(tmp_path: Path) -> None:
    augmented = ("--augmentation=episodes.images.augmentation.CropFlipJitter", "--augmentation.padding=2")
    assert doors.train(tmp_path / "plain", PLAIN) == 0
    assert doors.train(tmp_path / "a", PLAIN, *augmented) == 0
    assert doors.train(tmp_path / "b", PLAIN, *augmented) == 0
    plain, a, b = (read_metrics(tmp_path / name / "metrics.csv") for name in ("plain", "a", "b"))
    assert a == b
    assert a[0]["loss"] != plain[0]["loss"]


def test_the_embedded_letters_are_the_default(tmp_path: Path) -> None:
    arguments = ["--loop.steps=2", "--validation_episodes=5", f"--run_folder={tmp_path / 'run'}", "--accelerator=cpu"]
    assert doors.run_door(doors.meta_train.main, arguments) == 0
    document = json.loads((tmp_path / "run/results.json").read_text())
    assert document["data"]["val"]["fingerprint"] == Glyphs().open("val").fingerprint


def test_results_of_other_weights_or_other_images_do_not_stay(tmp_path: Path) -> None:
    run = tmp_path / "run"
    assert doors.train(run, PLAIN, steps=2) == 0
    assert doors.run_test(run, "--k_shot", "1") == 0
    assert {e["split"] for e in json.loads((run / "results.json").read_text())["results"]} == {"val", "test"}
    assert doors.train(run, PLAIN, "--resume", steps=40) == 0
    document = json.loads((run / "results.json").read_text())
    assert document["training"]["best"]["step"] > 2  # the weights are others now
    assert [e["split"] for e in document["results"]] == ["val"]
    assert yaml.safe_load((run / "config.yaml").read_text())["loop"]["steps"] == 40

    assert doors.run_test(run, "--k_shot", "1") == 0
    config = (run / "config.yaml").read_text()
    (run / "config.yaml").write_text(config.replace("per_class: 10", "per_class: 12"))
    assert doors.run_test(run, "--k_shot", "2") == 0
    tested = [e for e in json.loads((run / "results.json").read_text())["results"] if e["split"] == "test"]
    assert [e["k_shot"] for e in tested] == [2]


def test_any_inference_can_be_compared(runs: dict[str, Path], capsys: pytest.CaptureFixture[str]) -> None:
    sla = str(runs["sla"])
    assert doors.compare_runs(sla, sla, "--baseline_inference=single", "--inference=aggregated") == 0
    printed = capsys.readouterr().out
    assert "A │ sla, single" in printed
    assert "B │ sla, aggregated" in printed
    assert doors.compare_runs(sla, str(runs["da"]), "--baseline_inference=nothing") == 2
    assert "there are single, aggregated" in capsys.readouterr().err
    assert doors.compare_runs(sla, str(runs["da"]), "--inference=single,aggregated") == 2
    assert "2 names for 1 run" in capsys.readouterr().err
    assert doors.compare_runs(sla, sla) == 2
    assert "the run is given twice" in capsys.readouterr().err


def test_da_is_compared_by_the_inference_that_chose_it(
    runs: dict[str, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    assert doors.compare_runs(str(runs["plain"]), str(runs["da"])) == 0
    assert "B │ da, single" in capsys.readouterr().out


def test_several_runs_are_compared_with_one(
    runs: dict[str, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file, picture = tmp_path / "table.json", tmp_path / "picture.png"
    given = [str(runs[name]) for name in ("plain", "da", "sla")]
    into = ("--format=json", "--output", str(file), "--picture", str(picture))
    assert doors.compare_runs(*given, "--inference=single,aggregated", *into) == 0
    (table,) = json.loads(file.read_text())
    assert [(row["run"], row["inference"], row["test"]) for row in table["rows"]] == [
        (name, inference, test)
        for test in ("5-way 1-shot", "5-way 5-shot")
        for name, inference in (("da", "single"), ("sla", "aggregated"))
    ]
    raw = [row["p over classes"]["value"] for row in table["rows"]]
    assert [row["p over classes (Holm)"]["value"] for row in table["rows"]] == pytest.approx(holm(raw))
    assert picture.read_bytes().startswith(b"\x89PNG")
    assert capsys.readouterr().out.strip() == str(file)


def test_a_compared_run_that_stopped_early_says_so(
    runs: dict[str, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    stopped = RunFolder(shutil.copytree(runs["da"], tmp_path / "stopped"))
    tensors, state = checkpoint.load_checkpoint(stopped.last)
    checkpoint.save_checkpoint(stopped.last, tensors, {**state, "step": 3})
    assert doors.compare_runs(str(runs["plain"]), str(stopped.path)) == 0
    assert f"Warning: {stopped.path}: not finished, 3 of 4 steps" in capsys.readouterr().out


def test_validation_figures_are_those_that_chose_the_checkpoint_in_bf16_too(tmp_path: Path) -> None:
    run = tmp_path / "run"
    assert doors.train(run, PLAIN, "--precision=bf16-mixed", "--validation_episodes=40", steps=6) == 0
    document = json.loads((run / "results.json").read_text())
    assert document["results"][0]["accuracy"] == document["training"]["best"]["single"]

"""``python -m fewshot_sla.figure 3|4|views`` on real runs, against accuracies computed in other ways; its errors."""

import json
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from episodes.labels import joint_label
from fewshot_sla import figure
from fewshot_sla.classification.kind import CLASSIFICATION
from fewshot_sla.cli.door import run_door
from fewshot_sla.reporting.pictures import COLORS
from fewshot_sla.runs.folder import RunFolder
from fewshot_sla.training.trained import TrainedRun, load_trained
from tests.fewshot_sla.reporting.test_training_curves import colors_of
from tests.integration import doors
from tests.integration.classification_doors import objective, results_of, run_class_test, train_classifier

LOOKS_AT_PICTURES = True

FEW = "--data.counts=[5,5,5,5]"
SNAPSHOTS = "--loop.snapshot_every=4"


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Runs of two sizes and one of meta_train; those of 12 images a class keep the last weights, and snapshots."""
    root = tmp_path_factory.mktemp("runs")
    for name, few in {"Baseline": (FEW, SNAPSHOTS), "SLA": (FEW,)}.items():
        for size, options in {"n5": few, "n12": (SNAPSHOTS, "--keep=last")}.items():
            folder = root / "limited" / f"{name}_{size}"
            assert train_classifier(folder, *objective(name), *options, steps=10) == 0
            assert run_class_test(folder) == 0
    assert train_classifier(root / "da", *objective("DA"), SNAPSHOTS, "--keep=last", steps=10) == 0
    assert doors.train(root / "meta", "--objective=fewshot_sla.meta.SLA", steps=2) == 0
    return root


def draw(kind: str, *arguments: str | Path, output: Path) -> int:
    device = [] if kind == "4" else ["--accelerator=cpu"]
    return run_door(figure.main, [kind, *map(str, arguments), f"--output={output}", *device])


def read(output: Path) -> dict[str, Any]:
    document: dict[str, Any] = json.loads(output.with_suffix(".json").read_text())
    return document


def logits_of(run: TrainedRun, split: str) -> tuple[Tensor, Tensor]:  # {output: [n, 4, W]} of all views, labels [n]
    """All images at once, rotated one by one by torch."""
    images = run.recipe.data.open(split)
    pixels = run.normalization(images.images)
    views = torch.stack([torch.rot90(pixels, turn, (-2, -1)) for turn in range(4)], dim=1)
    with torch.no_grad():
        (output,) = run.model.eval()(views).values()
    return output, images.labels


def accuracies_of(folder: Path) -> dict[str, float]:
    """What the test of a run came to, by inference."""
    return {result.inference: result.accuracy for result in results_of(folder) if result.split == "test"}


def accuracy(logits: Tensor, labels: Tensor) -> float:
    return float((logits.argmax(dim=-1) == labels).double().mean())


def test_figure_3_is_what_the_snapshots_predict(root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    da, sla = root / "da", root / "limited" / "SLA_n12"
    output = tmp_path / "curves.png"
    assert draw("3", da, sla, output=output) == 0
    out = capsys.readouterr().out
    document = read(output)
    assert [run["steps"] for run in document["runs"]] == [[4, 8, 10]] * 2
    for folder, found in zip((da, sla), document["runs"], strict=True):
        for place, step in enumerate(found["steps"]):
            run = load_trained(CLASSIFICATION, RunFolder(folder), step)
            assert run.step == step
            for split in ("train", "test"):
                logits, labels = logits_of(run, split)
                alone = logits[:, 0] if logits.shape[-1] == 4 else logits[:, 0, ::4]  # joint labels (y, 0)
                assert found["accuracies"][split]["single"][place] == pytest.approx(accuracy(alone, labels))
        values = [100 * found["accuracies"][split]["single"][-1] for split in ("train", "test")]
        assert all(f"{value:.2f}" in out for value in values)
    assert document["runs"][0]["data"]["train"]["looked_at"] == 48
    assert colors_of(output) == set(COLORS[:2])


def test_a_second_drawing_computes_nothing(root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    da = root / "da"
    assert draw("3", da, "--inference", "single", "aggregated", "--images=20", output=tmp_path / "a.svg") == 0
    monkeypatch.setattr("fewshot_sla.paper.figures.snapshot_accuracies.predict_classes", None)
    assert draw("3", da, "--inference", "single", "aggregated", "--images=20", output=tmp_path / "b.svg") == 0
    assert read(tmp_path / "a.svg")["runs"] == read(tmp_path / "b.svg")["runs"]
    assert (tmp_path / "a.svg").read_bytes() == (tmp_path / "b.svg").read_bytes()
    assert read(tmp_path / "b.svg")["runs"][0]["data"]["train"]["looked_at"] == 20


def test_what_was_computed_before_an_interruption_is_kept(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from fewshot_sla.paper.figures import snapshot_accuracies

    computed: list[int] = []
    predict = snapshot_accuracies.predict_classes

    def interrupted(*arguments: Any, **options: Any) -> Any:
        computed.append(1)
        if len(computed) == 4:
            raise KeyboardInterrupt
        return predict(*arguments, **options)

    monkeypatch.setattr(snapshot_accuracies, "predict_classes", interrupted)
    output = tmp_path / "curves.png"
    assert draw("3", root / "da", "--images=9", output=output) == 130
    assert capsys.readouterr().err.endswith("interrupted\n")
    assert not output.exists()
    assert draw("3", root / "da", "--images=9", output=output) == 0
    assert len(computed) == 4 + 3  # six of three snapshots and two splits, one of them begun twice


def test_figure_4_is_of_the_results_of_the_runs(root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    output = tmp_path / "gain.png"
    assert draw("4", root / "limited", output=output) == 0
    found = {(entry["inference"], entry["images_per_class"]): entry["by_seed"] for entry in read(output)["gains"]}
    assert list(found) == [("aggregated", 5), ("aggregated", 12), ("single", 5), ("single", 12)]
    for (inference, size), (gain,) in found.items():
        before, after = (accuracies_of(root / "limited" / f"{name}_n{size}") for name in ("Baseline", "SLA"))
        assert gain == pytest.approx(after[inference] / before["single"] - 1)
    out = capsys.readouterr().out
    assert "+37.5" in out
    assert "+21.9" in out
    assert colors_of(output) == set(COLORS[:2])


def test_views_of_a_classifier(root: Path, tmp_path: Path) -> None:
    folder = root / "limited" / "SLA_n12"
    logits, labels = logits_of(load_trained(CLASSIFICATION, RunFolder(folder)), "test")
    by_view = torch.stack([logits[:, j, joint_label(torch.arange(4), torch.tensor(j), 4)] for j in range(4)], dim=1)
    assert draw("views", folder, output=tmp_path / "views.png") == 0
    (curve,) = read(tmp_path / "views.png")["curves"]
    base = accuracy(by_view[:, 0], labels)
    for m, found in enumerate(curve["gains"], start=1):
        of_each = [
            accuracy(by_view[:, [0, *others]].mean(dim=1), labels) for others in combinations(range(1, 4), m - 1)
        ]
        assert found["accuracy"] == pytest.approx(np.mean(of_each))
        assert found["gain"]["value"] == pytest.approx(np.mean(of_each) / base - 1)
        assert (found["lowest"], found["highest"]) == pytest.approx((min(of_each) / base - 1, max(of_each) / base - 1))
        assert found["first"] == pytest.approx(accuracy(by_view[:, :m].mean(dim=1), labels) / base - 1)
    assert curve["gains"][-1]["accuracy"] == pytest.approx(accuracies_of(folder)["aggregated"])
    assert colors_of(tmp_path / "views.png") == {COLORS[0]}


def test_views_of_a_meta_learner_and_over_a_baseline(root: Path, tmp_path: Path) -> None:
    folder, output = root / "meta", tmp_path / "views.pdf"
    size = ("--n_query=3", "--episodes=12", "--k_shot", "1", "2")
    assert draw("views", folder, *size, output=output) == 0
    document = read(output)
    assert [curve["setting"] for curve in document["curves"]] == ["1-shot", "2-shot"]
    assert doors.run_test(folder, "--episodes=12", "--k_shot=2") == 0
    tested = json.loads((folder / "results.json").read_text())["results"]
    by_inference = {entry["inference"]: entry["accuracy"] for entry in tested}
    curve = document["curves"][1]
    assert curve["base_accuracy"] == pytest.approx(by_inference["single"])
    assert curve["gains"][-1]["accuracy"] == pytest.approx(by_inference["aggregated"])
    assert curve["gains"][-1]["gain"]["value"] == pytest.approx(by_inference["aggregated"] / by_inference["single"] - 1)

    base, sla = root / "limited" / "Baseline_n12", root / "limited" / "SLA_n12"
    assert draw("views", sla, f"--baseline={base}", output=output) == 0
    (curve,) = read(output)["curves"]
    assert curve["base_accuracy"] == pytest.approx(accuracies_of(base)["single"])


MISTAKES = {
    "no such figure": (["5"], "no such figure: '5'; choose from 2, 3, 4, views"),
    "no runs": (["3"], "runs"),
    "no snapshots": (["3", "SMALL"], "no snapshots of the weights in this run; train with --loop.snapshot_every 1"),
    "of meta_train": (["3", "META"], "but a run of meta_train; runs of python -m fewshot_sla.meta_train are tested"),
    "nowhere": (["3", "nowhere"], "nowhere: there is no such folder"),
    "other images": (["3", "DA", "OTHER"], "its train images are not those of"),
    "no inference": (["3", "DA", "--inference", "distilled"], "no inference distilled; it has single, aggregated"),
    "twice": (["3", "DA", "DA"], "the run is given twice"),
    "negative": (["3", "DA", "--images=-1"], "images must not be negative, got -1"),
    "no picture": (
        ["4", "SMALL", "--output=x.gif"],
        "--output x.gif: give a file name that ends in .png, .svg or .pdf",
    ),
    "not tested": (["4", "DA", "OTHER"], "no results on the test split; run python -m fewshot_sla.test"),
    "meta in 4": (["4", "META"], "of runs of python -m fewshot_sla.train, and this is none"),
    "one view": (["views", "BASE"], "trained with Baseline on one view; there is nothing to aggregate"),
    "no such inference": (["views", "SLA", "--inference=distilled"], "no inference 'distilled'; it has single, aggr"),
    "two kinds": (["views", "SLA", "--baseline", "META"], "are of different kinds of training; give two of one"),
    "no subsets": (["views", "SLA", "--subsets=0"], "subsets must be at least 1, got 0"),
    "too few classes": (["views", "META", "--n_way=99"], "99"),
    "two devices": (["views", "SLA", "--devices=2"], "a figure is made by one process"),
    "mistyped": (["views", "SLA", "--subset=3"], "unknown key 'subset'; did you mean 'subsets'?"),
}


@pytest.mark.parametrize("name", MISTAKES)
def test_a_mistake_is_one_line(
    name: str, root: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    arguments, words = MISTAKES[name]
    monkeypatch.chdir(root)
    limited = root / "limited"
    places = {
        "SMALL": limited / "SLA_n5",
        "SLA": limited / "SLA_n12",
        "BASE": limited / "Baseline_n12",
        "DA": root / "da",
        "META": root / "meta",
        "OTHER": limited / "Baseline_n5",
    }
    assert run_door(figure.main, [str(places.get(word, word)) for word in arguments]) == 2
    error = capsys.readouterr().err
    assert words in error
    assert error.startswith("error: ")
    assert error.count("\n") == 1
    assert not (root / "runs").exists()


def test_help_names_the_figures(capsys: pytest.CaptureFixture[str]) -> None:
    for arguments in ([], ["--help"], ["-h"]):
        assert run_door(figure.main, arguments) == 0
        out = capsys.readouterr().out
        assert all(f"\n  {kind} " in out for kind in figure.KINDS)
    for kind in figure.KINDS:
        with pytest.raises(SystemExit, match=r"^0$"):
            figure.main([kind, "--help"])
        assert "--output" in capsys.readouterr().out

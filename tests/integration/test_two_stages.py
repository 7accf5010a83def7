"""Two stages: a classifier of base classes, then any head on it, or a meta-training that starts from it."""

import shutil
from pathlib import Path

import pytest
import torch
import yaml
from safetensors.torch import load_file
from torch import Tensor

from episodes.episode import EpisodeSpec
from episodes.source import EpisodeSource
from fewshot_sla import compare, meta_test, meta_train, train
from fewshot_sla.classification.kind import CLASSIFICATION
from fewshot_sla.cli.door import run_door
from fewshot_sla.heads import LogisticRegressionHead, ProtoNetHead
from fewshot_sla.meta.kind import META
from fewshot_sla.meta.protocol import evaluate
from fewshot_sla.meta.task import MetaTask
from fewshot_sla.prediction import FewShotClassifier
from fewshot_sla.runs.checkpoint import load_state
from fewshot_sla.runs.folder import RunFolder
from fewshot_sla.runs.metrics import read_metrics
from fewshot_sla.stages import lay_heads
from fewshot_sla.training.recipe import Hardware
from fewshot_sla.training.trained import load_trained
from tests.tiny import TinyImages

CPU = Hardware(accelerator="cpu")
SIZE = ("--data.source.height=8", "--data.source.width=8")
BASE = ("--data=episodes.datasets.BaseClasses", "--data.source=tests.tiny.TinyImages", "--data.val_per_class=2", *SIZE)
LOOP = ("--loop.steps=2", "--loop.validate_every=1", "--loop.log_every=1", "--accelerator=cpu")
FEW = ("--n_query=3", "--episodes=12", "--k_shot", "1", "2", "--accelerator=cpu")
BACKBONE = ("--learner.backbone=fewshot_sla.backbones.ConvNet", "--learner.backbone.in_channels=1")
TINY = ("--data=tests.tiny.TinyImages", "--data.height=8", "--data.width=8")
TRAIN = (*TINY, *BACKBONE, *LOOP, "--train.n_query=3", "--validation.n_query=3", "--validation_episodes=5")


def trained(folder: Path, objective: str, *arguments: str) -> Path:
    chosen = (f"--objective=fewshot_sla.classification.{objective}", f"--run_folder={folder}")
    small = ("--backbone.channels=4", "--batch_size=8")
    assert run_door(train.main, [*BASE, *small, *LOOP, *chosen, *arguments]) == 0
    return folder


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """One run that learned joint labels, and one that learned classes."""
    root = tmp_path_factory.mktemp("stages")
    sla = trained(root / "sla", "SLA", "--objective.transformations=episodes.Rotation")
    return {"sla": sla, "baseline": trained(root / "baseline", "Baseline")}


def features_by_hand(run: Path, images: Tensor, turns: int) -> Tensor:  # [n, turns, D]
    """The classifier's backbone on every image alone, upright and turned."""
    classifier = load_trained(CLASSIFICATION, RunFolder(run))
    backbone = classifier.model.backbone.eval()
    with torch.no_grad():
        pixels = classifier.normalization(images.float() / 255)
        return torch.stack(
            [
                torch.cat([backbone(torch.rot90(image, j, (1, 2))[None]) for j in range(turns)])
                for image in pixels  # one after the other
            ]
        )


@pytest.mark.parametrize(("name", "turns", "inference"), [("sla", 4, "aggregated"), ("baseline", 1, "single")])
@pytest.mark.parametrize(("word", "head"), [("protonet", ProtoNetHead), ("logistic", LogisticRegressionHead)])
def test_an_episode_is_what_a_loop_over_views_makes_of_the_backbone_and_the_head(
    runs: dict[str, Path], name: str, turns: int, inference: str, word: str, head: type, tmp_path: Path
) -> None:
    run = shutil.copytree(runs[name], tmp_path / name)
    (laid,) = lay_heads([RunFolder(run)], [word], "test", CPU)
    assert laid.path == run / "heads" / word
    learner = load_trained(META, laid)
    images = TinyImages(height=8, width=8).open("test")
    source = EpisodeSource(images, EpisodeSpec(5, 2, 3), 7, learner.normalization)
    numbers = range(1)
    found = evaluate(learner.model, learner.recipe.objective, source, numbers)[inference]

    drawn = source.sampler.draw(numbers)
    features = features_by_hand(run, images.images, turns)
    for e in numbers:
        rows, labels = [], []
        for image, y in zip(drawn.support[e], drawn.support_labels[e], strict=True):
            for j in range(turns):
                rows.append(features[image, j])
                labels.append(int(y) * turns + j)
        right = [0] * 5
        for image, y in zip(drawn.query[e], drawn.query_labels[e], strict=True):
            total = torch.zeros(5)
            for j in range(turns):
                query = features[image, j][None, None]
                logits = head()(torch.stack(rows)[None], torch.tensor([labels]), query, 5 * turns)[0, 0]
                total += torch.stack([logits[c * turns + j] for c in range(5)])
            right[int(y)] += int(total.argmax() == y)
        assert found.correct[e].tolist() == right


def test_heads_have_results_of_their_own_that_compare_pairs(
    runs: dict[str, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = shutil.copytree(runs["sla"], tmp_path / "sla")
    own = tmp_path / "own.yaml"
    own.write_text("learner: {init_args: {head: {class_path: fewshot_sla.heads.RidgeHead}}}\n")
    assert run_door(meta_test.main, [str(run), f"--head=simpleshot,{own}", *FEW]) == 0
    assert "│ simpleshot │ 1 " in capsys.readouterr().out
    heads = [RunFolder(run / "heads" / name) for name in ("simpleshot", "own")]
    assert not (run / "results.json").read_text().count("meta_test")
    assert run_door(compare.main, [str(head.path) for head in heads]) == 0
    assert "simpleshot, aggregated" in capsys.readouterr().out

    centre = load_file(heads[0].best)["model.head.base_mean"]
    of_train = features_by_hand(run, TinyImages(height=8, width=8).open("train").images, 4)
    torch.testing.assert_close(centre, of_train.flatten(0, 1).mean(0), rtol=1e-4, atol=1e-5)
    said = yaml.safe_load(heads[0].config.read_text())
    assert said["weights"] == str(run)
    assert said["objective"]["class_path"].endswith("SLA")

    pictures = list(TinyImages(height=8, width=8).open("test").images[::10, 0].numpy())
    assert len(FewShotClassifier(heads[0].path, device="cpu").fit(pictures, range(8)).predict(pictures)) == 8


def test_what_is_the_same_stays_and_another_head_of_that_name_replaces_it(
    runs: dict[str, Path], tmp_path: Path
) -> None:
    own, tested = tmp_path / "own.yaml", []
    for head in ("ProtoNetHead", "ProtoNetHead", "RidgeHead"):
        own.write_text(f"learner: {{head: fewshot_sla.heads.{head}}}\n")
        (laid,) = lay_heads([RunFolder(runs["baseline"])], [str(own)], "test", CPU)
        tested.append(laid.results.exists())
        laid.results.write_text("results of this head")
    assert tested == [False, True, False]


@pytest.mark.parametrize(("gain", "kept"), [(0, 0), (1, 2)])
def test_meta_training_from_a_run_keeps_the_start_unless_validation_improves(
    runs: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, gain: int, kept: int
) -> None:
    seen: list[dict[str, Tensor]] = []

    def validate(task: MetaTask, model: torch.nn.Module) -> dict[str, float]:
        seen.append({name: tensor.clone() for name, tensor in model.state_dict().items()})
        return {"single": 0.5, "aggregated": 0.5 + gain * 0.1 * len(seen)}

    monkeypatch.setattr(MetaTask, "validate", validate)
    folder = RunFolder(tmp_path / "run")
    started = ("--learner.backbone.channels=4", f"--weights={runs['sla']}", f"--run_folder={folder.path}")
    assert run_door(meta_train.main, [*TRAIN, *started]) == 0
    stored = load_file(runs["sla"] / "best.safetensors")
    for name, tensor in seen[0].items():
        if name.startswith("backbone."):
            assert torch.equal(tensor, stored[f"model.{name}"])
    best = load_file(folder.best)
    for name in ("normalization.mean", "normalization.deviation"):
        assert torch.equal(best[name], stored[name])
    assert load_state(folder.best)["best"]["step"] == kept
    assert [row["step"] for row in read_metrics(folder.metrics)] == [0, 1, 2]

    (laid,) = lay_heads([folder], ["cosine"], "test", CPU)  # a run of meta_train takes another head too
    other = load_file(laid.best)
    assert "model.head.scale" in other
    assert all(torch.equal(other[name], best[name]) for name in best if "backbone" in name)


def error_of(capsys: pytest.CaptureFixture[str], main: object, *arguments: str) -> str:
    capsys.readouterr()
    assert run_door(main, list(arguments)) == 2  # type: ignore[arg-type]
    (line,) = capsys.readouterr().err.splitlines()
    return line


def test_what_is_wrong_is_said_in_a_line_and_nothing_is_written(
    runs: dict[str, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = shutil.copytree(runs["sla"], tmp_path / "run")
    config = RunFolder(run).config
    said = config.read_text()

    def told(*arguments: str) -> str:
        return error_of(capsys, meta_test.main, str(run), *FEW, *arguments)

    assert "meta_test RUN --head logistic" in told()
    assert "unknown head 'logistc' in --head; did you mean 'logistic'?" in told("--head=protonet,logistc")
    assert "by one process" in told("--head=protonet", "--devices=2")
    assert "there is no such configuration file" in told("--head=no/such.yaml")
    assert "is not a Head" in told("--head=torch.nn.Linear")
    learned = told("--head=tests.integration.plugins.LearnedMetric")
    assert "weights that only training gives (metric)" in learned
    assert "meta_train --weights" in learned
    assert "weights that only training gives (attention.queries.weight)" in told("--head=feat")  # made for the backbone
    assert "compares feature maps" in told("--head=frn")
    config.write_text(
        said.replace("episodes.datasets.BaseClasses", "episodes.datasets.Limited").replace(
            "val_per_class: 2", "per_class: 8"
        )
    )
    assert "trained on tiny-limited-8, which has no new classes for a head" in told("--head=protonet")
    config.write_text(said.replace("TinyImages", "TinyClasses"))
    assert "tiny-classes/train and tiny-classes/test hold the same classes" in told("--head=protonet")
    assert not (run / "heads").exists()


def test_a_start_that_does_not_fit_is_refused(
    runs: dict[str, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "new"

    def told(*arguments: str) -> str:
        weights = (f"--weights={runs['sla']}", f"--run_folder={folder}")
        return error_of(capsys, meta_train.main, *TRAIN, *weights, *arguments)

    assert "has in another shape" in told("--learner.backbone.channels=8")
    assert "the run has a ConvNet, the model a Conv4" in told("--learner.backbone=fewshot_sla.backbones.Conv4")
    shape = told("--learner.backbone.channels=4", "--data.height=16", "--data.width=16")
    assert "trained on images of shape [1, 8, 8], tiny/train has [1, 16, 16]" in shape
    assert "there is no such folder" in told(f"--weights={tmp_path / 'none'}")
    assert not folder.exists()

"""Heads that must know the features, that add to the loss, or that are transductive: through every door."""

import json
from pathlib import Path

import pytest
import torch

from episodes.errors import UserError
from fewshot_sla import predict
from fewshot_sla.cli import configuration
from fewshot_sla.cli.door import run_door
from fewshot_sla.heads import RelationHead
from fewshot_sla.meta.kind import META
from fewshot_sla.meta.results import EpisodeResult
from fewshot_sla.meta.tables import TRANSDUCTIVE, results_table
from fewshot_sla.prediction import FewShotClassifier
from fewshot_sla.runs.checkpoint import load_checkpoint
from fewshot_sla.runs.folder import RunFolder
from fewshot_sla.runs.metrics import read_metrics
from fewshot_sla.runs.results import read_results
from fewshot_sla.training.trained import load_trained
from tests.integration import doors
from tests.integration.test_predict import ask, pictures  # noqa: F401 -- a fixture
from tests.tiny import TinyImages

# Of images of 16 x 16 pixels, maps 8x4x4.
MAPS = (
    "--learner.backbone=fewshot_sla.backbones.ConvNet",
    "--learner.backbone.blocks=2",
    "--learner.backbone.in_channels=1",
    "--learner.backbone.channels=8",
)
PLAIN = "--objective=fewshot_sla.meta.Plain"


@pytest.fixture(scope="module")
def relation(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run with a head whose parameters exist once it is told the features."""
    folder = tmp_path_factory.mktemp("relation") / "run"
    assert doors.train(folder, *MAPS, "--learner.head=fewshot_sla.heads.RelationHead") == 0
    return folder


def test_a_head_that_must_know_the_features_is_trained_resumed_tested_and_saved(relation: Path, tmp_path: Path) -> None:
    weights, _ = load_checkpoint(relation / "last.safetensors")
    started = RelationHead()
    assert weights["model.head.relation.of_class.weight"].shape == (8, 8, 3, 3)
    assert not dict(started.named_parameters())  # nothing was typed
    options = (*MAPS, "--learner.head=fewshot_sla.heads.RelationHead")
    assert doors.train(relation, *options, "--resume", steps=6) == 0
    assert doors.run_test(relation, "--k_shot=1") == 0

    shown = list(TinyImages().open("test").images[::10, 0].numpy())
    fitted = FewShotClassifier(relation, device="cpu").fit(shown, range(8))
    fitted.save(tmp_path / "saved")
    again = FewShotClassifier.load(tmp_path / "saved", device="cpu")
    assert (again.predict_proba(shown) == fitted.predict_proba(shown)).all()
    other = FewShotClassifier(relation, head=RelationHead(), device="cpu").fit(shown, range(8))
    assert other.predictor_.model.learner.head.shape == (8, 4, 4)


def test_the_seed_of_the_recipe_draws_what_a_head_makes_when_it_is_told() -> None:
    def drawn(seed: int) -> torch.Tensor:
        options = [*doors.TINY, *MAPS, "--learner.head=fewshot_sla.heads.RelationHead", f"--seed={seed}"]
        parser = META.parser()
        recipe = configuration.instantiate(parser, configuration.parse(parser, options), META.recipe)
        return META.task(recipe).model.head.relation.second.weight.detach()

    first = drawn(0)
    assert torch.equal(first, drawn(0))
    assert not torch.equal(first, drawn(1))


def test_feature_maps_that_are_none_are_refused_before_anything_is_written(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "run"
    assert doors.train(folder, "--learner.head=fewshot_sla.heads.FRNHead") == 2
    error = capsys.readouterr().err
    assert "FRNHead compares feature maps, but the features are of shape 8x1x1" in error
    assert error.count("\n") == 1
    assert not folder.exists()


def test_maps_are_not_averaged_over_crops(relation: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert doors.run_test(relation, "--ten_crop") == 2
    assert "RelationHead takes feature maps, whose places would be mixed" in capsys.readouterr().err


def test_an_auxiliary_loss_is_added_in_training_and_nowhere_else(tmp_path: Path) -> None:
    compact = "--learner.head=examples.auxiliary_loss.CompactHead"
    rows = {}
    for weight in (0, 3):
        folder = tmp_path / str(weight)
        options = (PLAIN, "--train.k_shot=2", compact, f"--learner.head.weight={weight}")
        assert doors.train(folder, *options, steps=1) == 0
        (rows[weight],) = read_metrics(folder / "metrics.csv")
    assert rows[3]["loss"] > rows[0]["loss"] + 0.01
    assert rows[0]["accuracy"] == rows[3]["accuracy"]
    learner = load_trained(META, RunFolder(tmp_path / "3")).model.eval()
    from tests.fewshot_sla.prediction import small

    images = torch.randn(1, 4, 1, 16, 16)
    episode = small.episode(images[0], torch.tensor([0, 1, 1, 0]), images[0], 2)
    assert isinstance(learner(episode), torch.Tensor)
    assert learner.train()(episode).loss > 0


@pytest.fixture(scope="module")
def together(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run with a transductive head."""
    folder = tmp_path_factory.mktemp("transductive") / "run"
    assert doors.train(folder, "--learner.head=examples.transductive_head.SoftKMeansHead") == 0
    return folder


def test_results_say_that_they_are_transductive(together: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert doors.run_test(together, "--k_shot=1") == 0
    assert "transductive" in capsys.readouterr().out
    document = json.loads((together / "results.json").read_text())
    assert {result["transductive"] for result in document["results"]} == {True}
    results = [result for result in read_results(RunFolder(together), EpisodeResult) if result.split == "test"]
    assert all((together / name).is_file() for result in results for name in result.files.values())
    assert {result.setting for result in results} == {"1-shot, transductive"}
    table = results_table(results, "runs/kmeans on tiny/test")
    assert table.headings[1] == "mode"
    assert TRANSDUCTIVE in table.notes
    assert doors.run_test(together, "--unknown_ways=2") == 2
    assert "would change the answers to the others" in capsys.readouterr().err


def test_predictions_together_need_leave(
    together: Path,
    pictures: Path,  # noqa: F811
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert ask(pictures, str(together)) == 2
    error = capsys.readouterr().err
    assert "is transductive" in error
    assert "--transductive" in error
    saved = pictures / "saved"
    assert ask(pictures, str(together), "--transductive=true", f"--save={saved}") == 0
    out = " ".join(capsys.readouterr().out.split())
    assert "the model is transductive: a picture's answer depends on the others" in out
    assert json.loads((pictures / "out" / "predictions.json").read_text())["leave_one_out"]["accuracy"] is None

    loaded = FewShotClassifier.load(saved, device="cpu")
    queries = sorted((pictures / "query").iterdir())
    assert abs(loaded.predict_proba(queries)[:1] - loaded.predict_proba(queries[:1])).max() > 1e-6
    with pytest.raises(UserError, match="cannot be left out one by one"):
        loaded.leave_one_out()
    arguments = [str(saved), f"--output_folder={pictures / 'again'}", "--device=cpu"]
    assert run_door(predict.main, [*arguments, "--query", str(pictures / "query")]) == 2

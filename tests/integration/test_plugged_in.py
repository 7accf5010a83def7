"""What a user plugs in is one class: a mixing augmentation, a photometric set of transformations, an inference."""

import json
from pathlib import Path

import pytest
import torch

from episodes import EpisodeSource, EpisodeSpec, Rotation
from fewshot_sla.classification.kind import CLASSIFICATION
from fewshot_sla.meta.kind import META
from fewshot_sla.meta.predictions import predict_episode
from fewshot_sla.meta.protocol import evaluate
from fewshot_sla.prediction.predictor import fit
from fewshot_sla.runs.checkpoint import load_checkpoint
from fewshot_sla.runs.folder import RunFolder
from fewshot_sla.training.trained import load_trained
from tests.fewshot_sla.prediction import small
from tests.integration import classification_doors as classes
from tests.integration import doors
from tests.integration.plugins import EpisodesByTheLargest
from tests.tiny import TinyClasses

PLUGINS = "tests.integration.plugins"
MIXUP = ("--augmentation=episodes.images.augmentation.Mixup", "--augmentation.alpha=0.5")
ROTATION = "--objective.transformations=episodes.Rotation"
LONG_TAIL = (f"{classes.LOSS}.LDAM", classes.REWEIGHTING, "--objective.label_loss.reweighting.start=0.5")


def losses(folder: Path) -> list[float]:
    rows = (folder / "metrics.csv").read_text().splitlines()
    where = rows[0].split(",").index("loss")
    return [float(row.split(",")[where]) for row in rows[1:]]


@pytest.mark.parametrize("objective", ["Plain", "DA", "SLA"])
def test_mixup_trains_a_meta_learner_with_every_objective(objective: str, tmp_path: Path) -> None:
    chosen = [f"--objective=fewshot_sla.meta.{objective}", *([] if objective == "Plain" else [ROTATION])]
    assert doors.train(tmp_path / "mixed", *chosen, *MIXUP, steps=2) == 0
    assert doors.train(tmp_path / "plain", *chosen, steps=2) == 0
    assert losses(tmp_path / "mixed") != losses(tmp_path / "plain")
    assert torch.tensor(losses(tmp_path / "mixed")).isfinite().all()


@pytest.mark.parametrize("loss", [(), LONG_TAIL], ids=["cross-entropy", "LDAM-DRW"])
@pytest.mark.parametrize("objective", ["Baseline", "DA", "MT", "SLA", "SLASD"])
def test_mixup_trains_a_classifier_with_every_objective(objective: str, loss: tuple[str, ...], tmp_path: Path) -> None:
    chosen = (*classes.objective(objective), *loss)
    assert classes.train_classifier(tmp_path / "mixed", *chosen, *MIXUP, steps=2) == 0
    assert classes.train_classifier(tmp_path / "plain", *chosen, steps=2) == 0
    assert losses(tmp_path / "mixed") != losses(tmp_path / "plain")


def test_a_photometric_set_is_trained_and_tested_by_both_wings(tmp_path: Path) -> None:
    shades = f"--objective.transformations={PLUGINS}.Posterisation"
    for name, train in (("fewshot", doors.train), ("classes", classes.train_classifier)):
        sla = f"--objective=fewshot_sla.{'meta' if name == 'fewshot' else 'classification'}.SLA"
        assert train(tmp_path / name, sla, shades, steps=2) == 0
        assert torch.tensor(losses(tmp_path / name)).isfinite().all()
    assert doors.run_test(tmp_path / "fewshot") == 0
    assert classes.run_class_test(tmp_path / "classes") == 0


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of each wing by objectives with an inference of their own."""
    root = tmp_path_factory.mktemp("own inference")
    assert doors.train(root / "fewshot", f"--objective={PLUGINS}.EpisodesByTheLargest", ROTATION) == 0
    assert classes.train_classifier(root / "classes", f"--objective={PLUGINS}.ClassesByTheLargest", ROTATION) == 0
    return root


def test_an_inference_of_ones_own_is_evaluated_with_the_others(trained: Path) -> None:
    assert doors.run_test(trained / "fewshot") == 0
    document = json.loads((trained / "fewshot" / "results.json").read_text())
    assert "largest" in {result["inference"] for result in document["results"]}
    run = load_trained(META, RunFolder(trained / "fewshot"))
    images = run.recipe.data.open("test")
    source = EpisodeSource(images, EpisodeSpec(5, 1, 3), 0, run.normalization)
    found = evaluate(run.recipe.learner, run.recipe.objective, source, range(4))["largest"]
    learner = run.recipe.learner.eval()
    for number in range(4):
        views = source.views([number], Rotation())
        right = torch.zeros(5, dtype=torch.int64)
        with torch.no_grad():
            logits = learner(run.recipe.objective.labelling(views))[0]
        for r, label in enumerate(views.query_labels[0].tolist()):
            largest = [max(float(logits[r * 4 + j, y * 4 + j]) for j in range(4)) for y in range(5)]
            right[label] += largest.index(max(largest)) == label
        assert torch.equal(found.correct[number], right)


def test_and_classifies(trained: Path) -> None:
    assert classes.run_class_test(trained / "classes", "--inference=largest") == 0
    document = json.loads((trained / "classes" / "results.json").read_text())
    found = {result["inference"]: result for result in document["results"] if result["split"] == "test"}
    run = load_trained(CLASSIFICATION, RunFolder(trained / "classes"))
    images = TinyClasses().open("test")
    run.model.eval()
    with torch.no_grad():
        joint = run.model(Rotation()(run.normalization(images.images)))["joint"]
    right = 0
    for r, label in enumerate(images.labels.tolist()):
        largest = [max(float(joint[r, j, y * 4 + j]) for j in range(4)) for y in range(4)]
        right += largest.index(max(largest)) == label
    assert found["largest"]["accuracy"] == pytest.approx(right / len(images))


def test_and_predicts_pictures() -> None:
    model = small.model(EpisodesByTheLargest(Rotation()))
    images = small.noisy_patterns()
    source = EpisodeSource(images, EpisodeSpec(5, 2, 6), 3, model.normalization)
    model.objective.primary = "largest"
    episode, expected = predict_episode(model.learner, model.objective, source, 0)
    predictor = fit(
        model,
        images.images[episode.support[0]].numpy(),
        episode.support_labels[0].numpy(),
        tuple("abcde"),
        inference="largest",
    )
    found = predictor.predict(images.images[episode.query[0]].numpy())
    assert found.probabilities.argmax(axis=1).tolist() == expected.tolist()
    assert found.views == 4  # all of them vote
    assert len(predictor.leave_one_out().predicted) == 10


MIXED_AFTER_POLICY = """
augmentation:
  class_path: episodes.images.augmentation.Compose
  init_args:
    augmentations:
    - {class_path: episodes.images.augmentation.AutoAugment}
    - {class_path: episodes.images.augmentation.CropFlipJitter, init_args: {padding: 4, jitter: 0}}
    - {class_path: episodes.images.augmentation.CutMix, init_args: {probability: 1.0}}
    - {class_path: episodes.images.augmentation.Cutout, init_args: {size: 8}}
"""


@pytest.mark.parametrize("wing", ["fewshot", "classes"])
def test_cutmix_over_a_policy_trains_both_wings_and_a_resumed_run_draws_what_an_uninterrupted_one_draws(
    wing: str, tmp_path: Path
) -> None:
    several = tmp_path / "several.yaml"
    several.write_text(MIXED_AFTER_POLICY)
    policy = f"--config={several}"
    train = {"fewshot": doors.train, "classes": classes.train_classifier}[wing]
    objective = f"--objective=fewshot_sla.{'meta' if wing == 'fewshot' else 'classification'}.SLA"
    assert train(tmp_path / "whole", objective, ROTATION, policy, steps=4) == 0
    assert train(tmp_path / "parts", objective, ROTATION, policy, steps=2) == 0
    assert train(tmp_path / "parts", objective, ROTATION, policy, "--resume", steps=4) == 0
    assert "AutoAugment" in (tmp_path / "parts" / "config.yaml").read_text()
    whole, parts = (load_checkpoint(tmp_path / name / "last.safetensors")[0] for name in ("whole", "parts"))
    assert all(torch.equal(values, parts[name]) for name, values in whole.items())
    assert losses(tmp_path / "whole") == losses(tmp_path / "parts")

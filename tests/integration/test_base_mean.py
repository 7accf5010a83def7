"""The mean of the base classes is part of a trained run: there in tests, in predictions and when resumed."""

from pathlib import Path

import pytest
import torch

from episodes.transformations import Rotation
from fewshot_sla.meta import features
from fewshot_sla.meta.kind import META
from fewshot_sla.prediction import FewShotClassifier
from fewshot_sla.runs.checkpoint import load_checkpoint
from fewshot_sla.runs.folder import RunFolder
from fewshot_sla.training.trained import load_trained
from tests.integration import doors
from tests.tiny import TinyImages

SIMPLESHOT = (
    "--learner.head=fewshot_sla.heads.NormalizedHead",
    "--learner.head.head=fewshot_sla.heads.ProtoNetHead",
)


def test_the_centre_is_the_mean_feature_of_the_training_images_and_everybody_uses_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(features, "_VIEWS_PER_PASS", 64)
    folder = tmp_path / "run"
    assert doors.train(folder, *SIMPLESHOT) == 0
    run = load_trained(META, RunFolder(folder))
    learner = run.model.eval()
    images = TinyImages().open("train").images
    with torch.no_grad():
        views = Rotation()(run.normalization(images))
        mean = torch.stack([learner.embed(image).mean(0) for image in views]).mean(0)  # an image at a time
    torch.testing.assert_close(learner.head.base_mean, mean, rtol=1e-4, atol=1e-5)

    assert doors.run_test(folder, "--k_shot=1") == 0
    assert doors.train(folder, *SIMPLESHOT, "--resume", steps=6) == 0
    last, _ = load_checkpoint(folder / "last.safetensors")
    assert last["model.head.base_mean"].shape == mean.shape

    pictures = TinyImages().open("test").images[::10, 0].numpy()
    fitted = FewShotClassifier(folder, device="cpu").fit(list(pictures), range(8))
    fitted.save(tmp_path / "saved")
    again = FewShotClassifier.load(tmp_path / "saved", device="cpu")
    assert (again.predict_proba(list(pictures)) == fitted.predict_proba(list(pictures))).all()
    head = again.predictor_.model.learner.head
    assert torch.equal(head.base_mean, load_trained(META, RunFolder(folder)).model.head.base_mean)


def test_of_many_images_some_of_every_class_are_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    from fewshot_sla.meta.team import ALONE
    from tests.fewshot_sla.meta.test_protocol import learner, source

    taken: list[torch.Tensor] = []

    def note(team, model, of, transformations, autocast, numbers):
        taken.append(of.images.labels[numbers])
        return torch.zeros(len(numbers), 2, 3)

    monkeypatch.setattr(features, "embed_together", note)
    monkeypatch.setattr(features, "BASE_IMAGES", 20)
    of = source()
    features.base_mean(ALONE, learner("protonet"), of, Rotation(), None)
    assert len(taken[0]) == 20
    assert set(taken[0].tolist()) == set(of.images.labels.tolist())

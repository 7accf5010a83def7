"""A teacher's opinion of the same views: the loss by hand, the whole training, and teachers that do not fit."""

import copy
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from scipy.special import log_softmax

from episodes.transformations import Rotation
from fewshot_sla import train
from fewshot_sla.classification.classifier import Classifier
from fewshot_sla.classification.distillation import Teacher
from fewshot_sla.classification.objectives import SLA, SLASD, Baseline, ClassificationObjective
from fewshot_sla.classification.recipe import Distillation
from fewshot_sla.cli.door import run_door
from fewshot_sla.runs.folder import RunFolder
from fewshot_sla.runs.metrics import read_metrics
from tests.integration.plugins import LinearBackbone
from tests.tiny import TinyClasses

IMAGES = TinyClasses(height=6, width=6, classes=3, splits=("train",)).open("train")


def run_of(objective: ClassificationObjective) -> Any:
    with torch.random.fork_rng():
        torch.manual_seed(3)
        model = Classifier(LinearBackbone(size=6), objective.outputs(3), (6, 6))
    state = {"class_names": list(IMAGES.class_names)}
    folder, recipe = SimpleNamespace(path=Path("teacher")), SimpleNamespace(objective=objective)
    parts = {"folder": folder, "recipe": recipe, "model": model, "state": state, "image_shape": IMAGES.image_shape}
    return SimpleNamespace(**parts, normalization=IMAGES.normalization())


def teacher_of(run: Any, student: ClassificationObjective, **settings: float) -> Teacher:
    recipe: Any = SimpleNamespace(objective=student, distillation=Distillation("teacher", **settings))
    return Teacher(run, recipe, IMAGES, IMAGES.normalization())


def test_the_loss_is_the_mean_divergence_of_joint_labels_over_images_and_views() -> None:
    run = run_of(SLA(Rotation()))
    views = torch.randn(2, 4, 1, 6, 6, generator=torch.Generator().manual_seed(1))
    logits = torch.randn(2, 4, 12, generator=torch.Generator().manual_seed(2), requires_grad=True)
    teacher = teacher_of(run, SLA(Rotation()), temperature=3.0, weight=0.5, label_weight=2.0)
    loss = teacher.loss(torch.tensor(7.0), {"joint": logits}, views)
    expected = 0.0
    for image in range(2):
        for j in range(4):
            of_teacher = run.model(views[image, j][None])["joint"][0].detach().double().numpy()
            p = log_softmax(of_teacher / 3)
            expected += float((np.exp(p) * (p - log_softmax(logits[image, j].detach().double().numpy() / 3))).sum()) / 8
    assert loss.item() == pytest.approx(2 * 7 + 0.5 * 9 * expected, rel=1e-5)
    loss.backward()
    assert logits.grad is not None
    assert bool(logits.grad.abs().sum() > 0)
    assert all(weights.grad is None for weights in run.model.parameters())


def test_of_several_outputs_those_that_both_have_are_taught() -> None:
    assert teacher_of(run_of(SLA(Rotation())), SLASD(Rotation())).outputs == ["joint"]
    with pytest.raises(ValueError, match="teacher has the output class, the student joint: nothing in common"):
        teacher_of(run_of(Baseline()), SLA(Rotation()))
    with pytest.raises(ValueError, match=r"knows the views identity, .* the student is trained on"):
        teacher_of(run_of(SLA(Rotation())), SLA(Rotation((0, 180))))
    other = copy.copy(run_of(Baseline()))
    other.state = {"class_names": ["a", "b", "c"]}
    with pytest.raises(ValueError, match="other classes"):
        teacher_of(other, Baseline())


def test_a_run_teaches_another(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Without labels, and with the teacher as it was, the first loss is the divergence alone, and labels add to it."""
    tiny = ("--data=tests.tiny.TinyClasses", "--data.height=8", "--data.width=8", "--backbone.channels=4")
    loop = ("--loop.steps=1", "--loop.log_every=1", "--batch_size=8", "--accelerator=cpu")
    taught = f"--distillation.teacher={tmp_path / 'teacher'}"
    losses = {}
    cases = {"teacher": (), "both": (taught,), "told": (taught, "--distillation.label_weight=0")}
    for name, options in cases.items():
        assert run_door(train.main, [*tiny, *loop, f"--run_folder={tmp_path / name}", *options]) == 0
        losses[name] = read_metrics(RunFolder(tmp_path / name).metrics)[0]["loss"]
    assert losses["both"] == pytest.approx(losses["teacher"] + losses["told"], rel=1e-4)
    assert losses["told"] > 0
    assert run_door(train.main, [*tiny, *loop, f"--distillation.teacher={tmp_path / 'none'}"]) == 2
    assert "none: there is no such folder" in capsys.readouterr().err

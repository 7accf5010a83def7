"""With thousands of classes nothing is kept that need not be: what the losses save, what is read, what is summed up."""

import csv
from io import StringIO

import numpy as np
import pytest
import torch
from torch import Tensor

from episodes.targets import Targets
from episodes.transformations import Rotation
from fewshot_sla.classification import predictions
from fewshot_sla.classification.label_losses import LDAM, CrossEntropy, LabelLoss, subtract_margins
from fewshot_sla.classification.objectives import SLA, SLASD, ClassificationObjective, Standing
from fewshot_sla.classification.predictions import Predictions
from fewshot_sla.classification.results import prediction_tables, summarize_classes
from fewshot_sla.inference.by_view import conditional_logits
from tests.tiny import TinyImages

B, M, N = 3, 4, 50


@pytest.mark.parametrize("objective", [SLA, SLASD])
@pytest.mark.parametrize("loss", [CrossEntropy(), LDAM()])
def test_a_loss_saves_one_copy_of_the_joint_logits(objective: type[ClassificationObjective], loss: LabelLoss) -> None:
    one = objective(Rotation(), loss)
    logits = {name: torch.randn(B, M, size, requires_grad=True) for name, size in one.outputs(N).items()}
    saved: dict[int, Tensor] = {}

    def save(tensor: Tensor) -> Tensor:
        saved[tensor.untyped_storage().data_ptr()] = tensor  # held, so that no other gets its place
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(save, lambda tensor: tensor):
        one.loss(logits, Targets(torch.tensor([0, 7, 49])), Standing(torch.arange(1, N + 1)))
    floats = sum(one.untyped_storage().nbytes() // 4 for one in saved.values() if one.is_floating_point())
    assert B * M * N * M <= floats < 1.5 * B * M * N * M


def test_what_views_say_of_classes_is_no_copy() -> None:
    joint = torch.randn(2, B * M, N * M)
    assert conditional_logits(joint, M).untyped_storage().data_ptr() == joint.untyped_storage().data_ptr()


def test_margins_are_subtracted_as_by_one_hot_vectors() -> None:
    logits = torch.randn(9, N, dtype=torch.float32, requires_grad=True)
    labels, margins = torch.randint(N, (9,)), torch.rand(N, dtype=torch.float64)
    by_hand = logits - torch.nn.functional.one_hot(labels, N) * margins.float()
    found = subtract_margins(logits, labels, margins)
    assert torch.equal(found, by_hand)
    (gradient,) = torch.autograd.grad(found.square().sum(), logits)
    assert torch.equal(gradient, 2 * by_hand)


def test_predictions_are_read_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    """7 images in parts of 2 come to what they come to at once."""
    images = TinyImages().open("test")
    classes = len(images.class_names)
    numbers = torch.arange(7) % len(images)
    found = Predictions(images.labels[numbers], {"single": torch.randn(7, 3, classes)})
    by_hand = found.logits["single"].double().softmax(-1).mean(1)
    monkeypatch.setattr(predictions, "_IMAGES_PER_PART", 2)
    assert [len(part) for part in found.probabilities_by_part("single")] == [2, 2, 2, 1]
    torch.testing.assert_close(found.probabilities("single").double(), by_hand, rtol=1e-6, atol=1e-6)
    assert torch.equal(found.right("single"), by_hand.argmax(1) == found.labels)
    results = summarize_classes(found, images, [1] * classes, primary="single", step=0)
    (text,) = prediction_tables(results, found, images.class_names).values()
    rows = list(csv.DictReader(StringIO(text)))
    assert [row["predicted"] for row in rows] == [images.class_names[k] for k in by_hand.argmax(1).tolist()]
    expected = by_hand[torch.arange(7), found.labels].numpy()
    np.testing.assert_allclose([float(row["probability_of_class"]) for row in rows], expected, atol=1e-6)

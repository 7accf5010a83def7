"""Predictions of many images against slow loops over images, crops and views."""

import math
from collections.abc import Iterator
from functools import partial

import pytest
import torch
from torch import Tensor, nn

from episodes.batches.batch import ImageBatch
from episodes.images.crops import ten_crops
from episodes.images.normalization import Normalization
from episodes.targets import Targets
from episodes.transformations import Rotation
from fewshot_sla.classification.classifier import Classifier
from fewshot_sla.classification.label_losses import LDAM
from fewshot_sla.classification.objectives import DA, SLA, SLASD, ClassificationObjective
from fewshot_sla.classification.predictions import Predictions, counted, images_per_pass, predict_classes
from tests.integration.plugins import LinearBackbone

N, M, SIDE = 3, 4, 6
NORMALIZATION = Normalization(torch.tensor([0.3]), torch.tensor([0.2]))  # black becomes -1.5
OBJECTIVES = {
    "DA": DA(Rotation()),
    "SLA": SLA(Rotation()),
    "SLA with LDAM": SLA(Rotation(), LDAM()),
    "SLASD": SLASD(Rotation()),
}


def classifier_of(objective: ClassificationObjective) -> Classifier:
    with torch.random.fork_rng():
        torch.manual_seed(3)
        normalized = objective.label_loss.needs_normalized_layer
        return Classifier(LinearBackbone(size=SIDE), objective.outputs(N), (SIDE, SIDE), normalized)


def batches() -> Iterator[ImageBatch]:
    generator = torch.Generator().manual_seed(4)
    for size in (3, 2):
        pixels = torch.randint(0, 256, (size, 1, SIDE, SIDE), generator=generator, dtype=torch.uint8)
        yield ImageBatch(pixels, Targets(torch.randint(N, (size,), generator=generator)))


def slow_probabilities(classifier: Classifier, scale: float, inference: str, image: Tensor) -> Tensor:
    """Of one image [1, S, S], view by view and class by class."""
    logits = torch.zeros(N)
    for j in range(M if inference == "aggregated" else 1):
        outputs = classifier(torch.rot90(image, j, (-2, -1))[None])
        for y in range(N):
            joint = "joint" in outputs and inference != "distilled"
            logits[y] += scale * (outputs["joint"][0, y * M + j] if joint else outputs["class"][0, y])
    return (logits / (M if inference == "aggregated" else 1)).softmax(0)


@pytest.mark.parametrize("crops", [1, 10])
@pytest.mark.parametrize("name", OBJECTIVES)
def test_probabilities_are_those_of_a_slow_loop(name: str, crops: int) -> None:
    objective = OBJECTIVES[name]
    classifier = classifier_of(objective)
    scale = 30.0 if "LDAM" in name else 1.0
    cut = partial(ten_crops, padding=1)
    done: list[tuple[str, int, int]] = []
    more = {"crops": cut} if crops > 1 else {}
    told = counted(batches(), 5, lambda *far: done.append(far))
    found = predict_classes(classifier, objective, told, NORMALIZATION, **more)
    assert done == [("images", 3, 5), ("images", 5, 5)]
    assert found.labels.equal(torch.cat([batch.labels for batch in batches()]))
    images = (torch.cat([batch.pixels for batch in batches()]) / 255 - 0.3) / 0.2
    for inference in objective.inferences:
        for image, probabilities in zip(images, found.probabilities(inference), strict=True):
            # Around a normalised image there is what black has become.
            of_crops = cut(image[None] + 1.5)[0] - 1.5 if crops > 1 else image[None]
            with torch.no_grad():
                expected = sum(slow_probabilities(classifier, scale, inference, crop) for crop in of_crops) / crops
            torch.testing.assert_close(probabilities, expected)


@pytest.mark.parametrize(
    ("side", "crops", "images"), [(8, 1, 256), (64, 1, 256), (64, 10, 25), (224, 1, 20), (224, 10, 2), (4096, 1, 1)]
)
def test_a_pass_has_1024_views_or_four_million_pixels(side: int, crops: int, images: int) -> None:
    """With M = 4 at 224 pixels: 80 views of 3 * 224^2 float32, 48 MB; 1024 of them would be 617 MB."""
    assert images_per_pass(OBJECTIVES["SLA"], (3, side, side), crops) == images
    assert images == 1 or 4 * crops * images <= 1024
    assert images == 1 or 4 * crops * images * side**2 <= 2**22


def test_the_classifier_is_evaluated_and_goes_on_training() -> None:
    objective = OBJECTIVES["SLA"]
    classifier = classifier_of(objective)
    classifier.layers["joint"] = nn.Sequential(nn.Dropout(0.9), classifier.layers["joint"])
    classifier.train()
    first, second = (predict_classes(classifier, objective, batches(), NORMALIZATION) for _ in range(2))
    assert all(first.logits[name].equal(second.logits[name]) for name in objective.inferences)
    assert classifier.training


def test_of_ten_crops_the_softmax_outputs_are_averaged_and_not_the_logits() -> None:
    """Nine crops a little for class 1, one very much for class 0: 1/10 (1 + 9 * 0.43) < 0.5, the mean logit is > 0."""
    crops = torch.tensor([[[9.0, 0.0]] + [[0.0, 0.3]] * 9])
    found = Predictions(torch.tensor([1]), {"single": crops})
    share = (1 / (1 + math.exp(-9)) + 9 / (1 + math.exp(0.3))) / 10
    torch.testing.assert_close(found.probabilities("single"), torch.tensor([[share, 1 - share]]))
    assert found.right("single").tolist() == [True]
    assert crops.mean(dim=1).argmax(dim=1).tolist() == [0]

"""Predictions of many images against slow loops over images, crops and views; ensembles by hand."""

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
from fewshot_sla.classification.predictions import Predictions, counted, ensemble, predict_classes
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
        for image, probabilities in zip(images, found.probabilities[inference], strict=True):
            # Around a normalised image there is what black has become.
            of_crops = cut(image[None] + 1.5)[0] - 1.5 if crops > 1 else image[None]
            with torch.no_grad():
                expected = sum(slow_probabilities(classifier, scale, inference, crop) for crop in of_crops) / crops
            torch.testing.assert_close(probabilities, expected)


def test_the_classifier_is_evaluated_and_goes_on_training() -> None:
    objective = OBJECTIVES["SLA"]
    classifier = classifier_of(objective)
    classifier.layers["joint"] = nn.Sequential(nn.Dropout(0.9), classifier.layers["joint"])
    classifier.train()
    first, second = (predict_classes(classifier, objective, batches(), NORMALIZATION) for _ in range(2))
    assert all(first.probabilities[name].equal(second.probabilities[name]) for name in objective.inferences)
    assert classifier.training


def made_up(**probabilities: list[list[float]]) -> Predictions:
    return Predictions(torch.tensor([0, 1]), {name: torch.tensor(rows) for name, rows in probabilities.items()})


def test_what_is_right_is_the_most_probable_class() -> None:
    assert made_up(single=[[0.6, 0.4], [0.7, 0.3]]).right("single").tolist() == [True, False]


def test_an_ensemble_is_the_mean_of_probabilities_by_the_inferences_of_all() -> None:
    one = made_up(single=[[0.9, 0.1], [0.55, 0.45]], distilled=[[1.0, 0.0], [1.0, 0.0]])
    other = made_up(single=[[0.3, 0.7], [0.2, 0.8]], aggregated=[[0.0, 1.0], [0.0, 1.0]])
    found = ensemble([one, other])
    assert list(found.probabilities) == ["single"]
    torch.testing.assert_close(found.probabilities["single"], torch.tensor([[0.6, 0.4], [0.375, 0.625]]))
    assert found.right("single").tolist() == [True, True]

"""Scores of many images by a network that says given logits, against formulas in numpy, image by image."""

from collections.abc import Iterator

import numpy as np
import pytest
import torch
from scipy.special import logsumexp, softmax
from torch import Tensor

from episodes.batches.batch import ImageBatch
from episodes.images.normalization import Normalization
from episodes.targets import Targets
from episodes.transformations import Rotation
from fewshot_sla.classification.classifier import Classifier
from fewshot_sla.classification.objectives import SLASD
from fewshot_sla.classification.unknown.scoring import score_images

N, M, IMAGES = 3, 4, 5


class Says(Classifier):
    """Gives hand-made logits whatever it is shown; it counts the images that it is shown."""

    def __init__(self, joint: Tensor, of_class: Tensor) -> None:
        torch.nn.Module.__init__(self)
        self.joint, self.of_class, self.seen, self.shape = joint, of_class, 0, (0,)

    def forward(self, images: Tensor) -> dict[str, Tensor]:
        self.shape = tuple(images.shape[1:])
        chosen = slice(self.seen, self.seen + len(images))
        self.seen += len(images)
        return {"joint": self.joint[chosen], "class": self.of_class[chosen]}


def batches(*sizes: int) -> Iterator[ImageBatch]:
    for size in sizes:
        yield ImageBatch(torch.zeros(size, 1, 4, 6, dtype=torch.uint8), Targets(torch.arange(size) % N))


def scored(joint: Tensor, of_class: Tensor, *sizes: int) -> tuple[Says, dict]:
    says = Says(joint, of_class)
    found = score_images(
        says,
        SLASD(Rotation()),
        batches(*sizes),
        Normalization(torch.zeros(3), torch.ones(3)),
        image_shape=(3, 8, 8),
        inferences=["aggregated", "single", "distilled"],
    )
    return says, found


def test_scores_follow_from_the_logits_of_one_pass() -> None:
    generator = torch.Generator().manual_seed(0)
    joint = 3 * torch.randn(IMAGES, M, N * M, generator=generator)
    of_class = 3 * torch.randn(IMAGES, M, N, generator=generator)
    says, found = scored(joint, of_class, 3, 2)
    assert says.seen == IMAGES  # once each, for three inferences
    assert says.shape == (M, 3, 8, 8)  # grey, 4 x 6, in the shape of the network
    for r in range(IMAGES):
        by_view = np.array([[joint[r, j, y * M + j] for y in range(N)] for j in range(M)], np.float64)
        logits = {"aggregated": by_view.mean(0), "single": by_view[0], "distilled": of_class[r, 0].double().numpy()}
        for inference, s in logits.items():
            ours = {name: float(values[r]) for name, values in found[inference].scores.items()}
            assert ours["probability"] == pytest.approx(softmax(s).max(), rel=1e-6)
            assert ours["logit"] == pytest.approx(s.max(), rel=1e-6)
            assert ours["energy"] == pytest.approx(logsumexp(s), rel=1e-6)
            assert int(found[inference].predicted[r]) == s.argmax()
    assert found["aggregated"].labels.tolist() == [0, 1, 2, 0, 1]
    assert [("agreement" in found[name].scores) for name in found] == [True, False, False]


def test_sure_probabilities_are_told_apart() -> None:
    """In float32 both are 1."""
    of_class = torch.zeros(2, M, N)
    of_class[:, :, 0] = torch.tensor([20.0, 25.0])[:, None]
    probability = scored(torch.zeros(2, M, N * M), of_class, 2)[1]["distilled"].scores["probability"]
    assert probability[0] < probability[1] < 1
    assert probability.float().eq(1).all()

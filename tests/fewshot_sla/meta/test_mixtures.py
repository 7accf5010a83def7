"""The loss of episodes whose queries are mixtures, against a loop over queries, labels and classes."""

import math

import pytest
import torch
from torch import Tensor

from episodes import EpisodeSource, EpisodeSpec, Normalization, Rotation, Targets
from episodes.images.augmentation import Mixup
from fewshot_sla.meta import DA, SLA, EpisodeObjective, Plain
from tests.tiny import TinyImages

GENERATOR = torch.Generator().manual_seed(0)
WAYS = 4
LOGITS = torch.randn(2, 5, WAYS, generator=GENERATOR, dtype=torch.float64)
MIXTURE = Targets(
    torch.randint(WAYS, (2, 5), generator=GENERATOR),
    torch.randint(WAYS, (2, 5), generator=GENERATOR),
    torch.rand(2, 5, generator=GENERATOR, dtype=torch.float64),
)


def slow_loss(logits: Tensor, targets: Targets, smoothing: float) -> float:
    """Cross-entropy with the mixed and smoothed distribution, class by class."""
    assert targets.others is not None
    assert targets.share is not None
    losses = []
    for t in range(logits.shape[0]):
        for r in range(logits.shape[1]):
            row = logits[t, r].tolist()
            total = math.log(sum(math.exp(value) for value in row))
            share, loss = float(targets.share[t, r]), 0.0
            for w, value in enumerate(row):
                target = 0.0
                for label, part in ((targets.labels[t, r], share), (targets.others[t, r], 1 - share)):
                    target += part * (1 - smoothing if w == label else smoothing / (len(row) - 1))
                loss -= target * (value - total)
            losses.append(loss)
    return sum(losses) / len(losses)


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_the_loss_of_mixtures(smoothing: float) -> None:
    for objective in (Plain(smoothing), DA(Rotation(), smoothing), SLA(Rotation(), smoothing)):
        expected = slow_loss(LOGITS, MIXTURE, smoothing)
        assert objective.loss(LOGITS, MIXTURE).item() == pytest.approx(expected, rel=1e-12)
        pure = MIXTURE._replace(share=torch.ones(2, 5))
        torch.testing.assert_close(objective.loss(LOGITS, pure), objective.loss(LOGITS, Targets(MIXTURE.labels)))


def test_the_heavier_label_is_the_right_one() -> None:
    heavier = MIXTURE.labels.where(MIXTURE.share >= 0.5, MIXTURE.others)
    right = sum(int(LOGITS[t, r].argmax()) == int(heavier[t, r]) for t in range(2) for r in range(5))
    assert Plain().accuracy(LOGITS, MIXTURE).item() == pytest.approx(right / 10)


@pytest.mark.parametrize("objective", [Plain(), DA(Rotation()), SLA(Rotation())], ids=["plain", "da", "sla"])
def test_training_episodes_have_pure_supports_and_mixed_queries(objective: EpisodeObjective) -> None:
    images = TinyImages().open("train")
    source = EpisodeSource(images, EpisodeSpec(3, 2, 4), 0, Normalization.of(images), Mixup())
    plain = EpisodeSource(images, EpisodeSpec(3, 2, 4), 0, Normalization.of(images))
    torch.manual_seed(0)
    episodes, expected = objective.episodes(source, [0, 1]), objective.episodes(plain, [0, 1])
    assert episodes.ways == expected.ways
    torch.testing.assert_close(episodes.support, expected.support, rtol=1e-5, atol=1e-5)
    assert torch.equal(episodes.support_labels, expected.support_labels)
    assert torch.equal(episodes.query_targets.labels, expected.query_labels)
    others, m = episodes.query_targets.others, objective.transformations.m
    assert others is not None
    assert not torch.equal(others, expected.query_labels)
    if isinstance(objective, SLA):  # both labels of a view have its transformation
        assert torch.equal(others % m, expected.query_labels % m)
    assert len(episodes.query_targets.share.unique()) == 2  # a lambda an episode

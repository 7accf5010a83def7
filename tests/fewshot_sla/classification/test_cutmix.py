"""SLA and SLA+SD of images that CutMix mixed, against a loop over images, pixels, views and labels."""

import numpy as np
import pytest
import torch

from episodes.images.augmentation import CutMix
from episodes.targets import Targets
from episodes.transformations import Rotation
from fewshot_sla.classification.objectives import SLA, SLASD, Standing

B, N, M, SIDE = 5, 3, 4, 6
RANDOM = np.random.default_rng(0)
IMAGES = RANDOM.random((B, 2, SIDE, SIDE))  # no two numbers are alike, so each says which image it is of
LABELS = [0, 2, 1, 0, 1]
JOINT, CLASS = (RANDOM.standard_normal((outputs, 2 * SIDE * SIDE)) for outputs in (N * M, N))  # linear networks


def mixed(per_image: bool) -> tuple[torch.Tensor, Targets]:
    with torch.random.fork_rng():
        torch.manual_seed(4)
        return CutMix(1.0, 1.0, per_image)(torch.tensor(IMAGES), Targets(torch.tensor(LABELS)))


def mixture_of(image: np.ndarray, b: int) -> tuple[int, float]:
    """Pixel by pixel: which other image it is of, and in which share its own."""
    owners = [
        next(a for a in range(B) if (image[:, y, x] == IMAGES[a, :, y, x]).all())
        for y in range(SIDE)
        for x in range(SIDE)
    ]
    (partner,) = set(owners) - {b} or {b}
    return partner, owners.count(b) / len(owners)


def log_softmax(logits: np.ndarray) -> np.ndarray:
    return logits - np.log(np.exp(logits).sum())


def slow_losses(images: np.ndarray) -> tuple[float, float, float]:
    """Eq. 3, and of eq. 5 the divergence and the loss of the class layer; means over images."""
    joint_loss = divergence = class_loss = 0.0
    for b in range(B):
        partner, share = mixture_of(images[b], b)
        first, second = LABELS[b], LABELS[partner]
        aggregated = np.zeros(N)
        for j in range(M):
            logits = JOINT @ np.rot90(images[b], j, axes=(1, 2)).ravel()
            said = log_softmax(logits)
            joint_loss -= (share * said[first * M + j] + (1 - share) * said[second * M + j]) / (B * M)
            aggregated += np.array([logits[y * M + j] for y in range(N)]) / M
        teacher, student = log_softmax(aggregated), log_softmax(CLASS @ images[b].ravel())
        divergence += sum(np.exp(teacher[y]) * (teacher[y] - student[y]) for y in range(N)) / B
        class_loss -= (share * student[first] + (1 - share) * student[second]) / B
    return joint_loss, divergence, class_loss


@pytest.mark.parametrize("per_image", [False, True])
def test_mixed_first_then_seen_in_all_views(per_image: bool) -> None:
    images, targets = mixed(per_image)
    found = [mixture_of(image, b) for b, image in enumerate(images.numpy())]
    paired = [b for b, (partner, _) in enumerate(found) if partner != b]  # an image may be its own partner
    assert len(paired) >= 3
    shares = [found[b][1] for b in paired]
    assert targets.share[paired].tolist() == pytest.approx(shares)  # lambda is the share of pixels
    assert min(shares) < 0.9
    rows = Rotation()(images).flatten(2)  # [B, M, D]
    logits = {"joint": rows @ torch.tensor(JOINT).T, "class": rows @ torch.tensor(CLASS).T}
    joint, divergence, of_class = slow_losses(images.numpy())
    standing = Standing()
    assert SLA(Rotation()).loss(logits, targets, standing).item() == pytest.approx(joint, rel=1e-10)
    for beta in (0, 1):
        whole = SLASD(Rotation(), beta=beta).loss(logits, targets, standing)
        assert whole.item() == pytest.approx(joint + divergence + beta * of_class, rel=1e-10)

"""Losses of mixtures of two labels, against loops over rows and labels, and against those of single labels."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from episodes.images.augmentation.mixup import mix
from episodes.targets import Targets
from episodes.transformations import Rotation
from fewshot_sla.classification.label_losses import LDAM, LabelLoss
from fewshot_sla.classification.objectives import DA, MT, SLA, SLASD, Baseline, ClassificationObjective
from fewshot_sla.classification.views import distillation_loss
from tests.fewshot_sla.classification import slow_losses
from tests.fewshot_sla.classification.cases import COUNTS, DRW, LABEL_LOSSES, STANDING, B, M, N, batch, made

OBJECTIVES = [Baseline, DA, MT, SLA, SLASD]


def mixture(seed: int = 0, shares: Tensor | None = None) -> Targets:
    generator = torch.Generator().manual_seed(seed)
    labels, others = (torch.randint(N, (B,), generator=generator) for _ in range(2))
    return Targets(labels, others, torch.rand(B, generator=generator).double() if shares is None else shares)


def slow_mean(
    loss: LabelLoss, slow: slow_losses.RowLoss, logits: Tensor, targets: Targets, counts: list[float]
) -> float:
    """Each row twice, once with each label; labels weigh what they weigh, times their share."""
    weights = slow_losses.class_balanced(counts, 0.9) if loss.reweighting is DRW else [1.0] * len(counts)
    total = weight = 0.0
    for row, a, b, share in zip(logits.tolist(), *(part.tolist() for part in targets), strict=True):
        for label, part in ((a, share), (b, 1 - share)):
            total += part * weights[label] * slow(row, label, counts)
            weight += part * weights[label]
    return total / weight


@pytest.mark.parametrize(("loss", "slow"), LABEL_LOSSES)
def test_the_label_loss_of_a_mixture(loss: LabelLoss, slow: slow_losses.RowLoss) -> None:
    logits, _ = batch(Baseline())
    found = loss(logits["class"][:, 0], mixture(), COUNTS, STANDING.done)
    expected = slow_mean(loss, slow, logits["class"][:, 0], mixture(), COUNTS.tolist())
    assert found.item() == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize(("loss", "slow"), LABEL_LOSSES)
def test_sla_mixes_the_joint_labels_of_both_images(loss: LabelLoss, slow: slow_losses.RowLoss) -> None:
    """View j of a mixture is (y_a, j) in share lambda and (y_b, j) in share 1 - lambda."""
    logits, _ = batch(SLA(Rotation()))
    a, b, share = mixture()
    counts = [count for count in COUNTS.tolist() for _ in range(M)]
    expected = sum(
        slow_mean(loss, slow, logits["joint"][:, j], Targets(a * M + j, b * M + j, share), counts) for j in range(M)
    )
    found = SLA(Rotation(), loss).loss(logits, mixture(), STANDING)
    assert found.item() == pytest.approx(expected / M, rel=1e-12)


@pytest.mark.parametrize(("loss", "slow"), LABEL_LOSSES)
def test_of_mt_only_the_class_is_mixed(loss: LabelLoss, slow: slow_losses.RowLoss) -> None:
    logits, _ = batch(MT(Rotation()))
    scale = 8 if isinstance(loss, LDAM) else 1
    second = [
        slow_losses.cross_entropy([scale * value for value in logits["transformation"][b, j].tolist()], j, [])
        for j in range(M)
        for b in range(B)
    ]
    first = [slow_mean(loss, slow, logits["class"][:, j], mixture(), COUNTS.tolist()) for j in range(M)]
    found = MT(Rotation(), loss).loss(logits, mixture(), STANDING)
    assert found.item() == pytest.approx(sum(first) / M + sum(second) / (M * B), rel=1e-12)


@pytest.mark.parametrize(("loss", "slow"), LABEL_LOSSES)
def test_sla_with_self_distillation(loss: LabelLoss, slow: slow_losses.RowLoss) -> None:
    """The mixture is in the two terms with labels; teacher and student say what they say of the same images."""
    objective = SLASD(Rotation(), loss)
    logits, _ = batch(objective)
    joint = SLA(Rotation(), loss).loss(logits, mixture(), STANDING)
    student, teacher = objective.predict(logits, "distilled"), objective.predict(logits, "aggregated")
    expected = joint + distillation_loss(student, teacher)
    expected = expected + slow_mean(loss, slow, logits["class"][:, 0], mixture(), COUNTS.tolist())
    torch.testing.assert_close(objective.loss(logits, mixture(), STANDING), expected, rtol=1e-12, atol=0)


@pytest.mark.parametrize("share", [0.0, 1.0])
@pytest.mark.parametrize("loss", [loss for loss, _ in LABEL_LOSSES])
@pytest.mark.parametrize("kind", OBJECTIVES)
def test_a_share_of_one_is_the_label_itself(kind: type[ClassificationObjective], loss: LabelLoss, share: float) -> None:
    objective = made(kind, loss)
    logits, _ = batch(objective)
    a, b, shares = mixture(shares=torch.full((B,), share))
    pure = Targets(a if share else b)
    found = objective.loss(logits, Targets(a, b, shares), STANDING)
    torch.testing.assert_close(found, objective.loss(logits, pure, STANDING), rtol=1e-12, atol=1e-12)
    assert objective.accuracy(logits, Targets(a, b, shares)) == objective.accuracy(logits, pure)


@given(st.integers(0, 2**31), st.floats(0, 1), st.sampled_from(OBJECTIVES), st.integers(0, len(LABEL_LOSSES) - 1))
def test_where_labels_weigh_the_same_the_loss_is_linear_in_the_share(
    seed: int, share: float, kind: type[ClassificationObjective], which: int
) -> None:
    objective = made(kind, LABEL_LOSSES[which][0])
    standing = STANDING._replace(done=0.1)  # before re-weighting starts
    logits, _ = batch(objective, seed)
    a, b, shares = mixture(seed, torch.full((B,), share, dtype=torch.float64))
    ends = (objective.loss(logits, Targets(labels), standing) for labels in (a, b))
    expected = sum(part * end for part, end in zip((share, 1 - share), ends, strict=True))
    torch.testing.assert_close(objective.loss(logits, Targets(a, b, shares), standing), expected, rtol=1e-9, atol=1e-9)


@given(st.integers(0, 2**31), st.sampled_from(OBJECTIVES), st.integers(0, len(LABEL_LOSSES) - 1))
def test_it_does_not_matter_which_image_is_called_the_partner(
    seed: int, kind: type[ClassificationObjective], which: int
) -> None:
    objective = made(kind, LABEL_LOSSES[which][0])
    logits, _ = batch(objective, seed)
    a, b, share = mixture(seed)
    one, other = (
        objective.loss(logits, targets, STANDING) for targets in (Targets(a, b, share), Targets(b, a, 1 - share))
    )
    torch.testing.assert_close(one, other, rtol=1e-9, atol=1e-12)


@given(st.integers(0, 2**31), st.sampled_from(OBJECTIVES), st.integers(0, len(LABEL_LOSSES) - 1))
def test_an_image_mixed_with_one_of_its_class_has_that_class(
    seed: int, kind: type[ClassificationObjective], which: int
) -> None:
    objective = made(kind, LABEL_LOSSES[which][0])
    logits, labels = batch(objective, seed)
    twice = Targets(labels, labels, mixture(seed).share)
    torch.testing.assert_close(
        objective.loss(logits, twice, STANDING),
        objective.loss(logits, Targets(labels), STANDING),
        rtol=1e-9,
        atol=1e-12,
    )


@pytest.mark.parametrize("loss", [loss for loss, _ in LABEL_LOSSES])
@pytest.mark.parametrize("kind", [Baseline, DA, MT, SLA])
def test_gradients(kind: type[ClassificationObjective], loss: LabelLoss) -> None:
    objective = made(kind, loss)
    logits, _ = batch(objective)
    names = list(logits)

    def function(*values: Tensor) -> Tensor:
        return objective.loss(dict(zip(names, values, strict=True)), mixture().each(lambda part: part[:2]), STANDING)

    assert torch.autograd.gradcheck(function, [logits[name][:2].requires_grad_() for name in names])


@pytest.mark.parametrize("kind", OBJECTIVES)
def test_a_mixture_in_half_precision_costs_float32(kind: type[ClassificationObjective]) -> None:
    objective = made(kind, LABEL_LOSSES[0][0])
    logits, _ = batch(objective)
    half = {name: values.bfloat16() for name, values in logits.items()}
    assert objective.loss(half, mixture().each(lambda part: part), STANDING).dtype == torch.float32


@pytest.mark.parametrize("kind", [DA, SLA])
def test_the_heavier_label_is_the_right_one(kind: type[DA | SLA]) -> None:
    objective = kind(Rotation())
    logits, _ = batch(objective)
    rows = logits["joint" if kind is SLA else "class"]
    right = 0
    for b, (first, second, share) in enumerate(zip(*(part.tolist() for part in mixture()), strict=True)):
        label = first if share >= 0.5 else second
        for j in range(M):
            right += int(rows[b, j].argmax()) == (label * M + j if kind is SLA else label)
    assert objective.accuracy(logits, mixture()).item() == pytest.approx(right / (B * M))


def test_for_a_linear_network_mixing_images_mixes_logits() -> None:
    """What Mixup asks for: a network that is linear between two images has no loss there beyond the entropy."""
    images = torch.eye(3, dtype=torch.float64).reshape(3, 1, 1, 3)
    mixed, targets = mix(images, Targets(torch.arange(3)), torch.tensor([1, 2, 0]), torch.tensor(0.25))
    rows = mixed.flatten(1).log().clamp_min(-1e6)  # the logits whose softmax is the mixture of the labels
    found = Baseline().loss({"class": rows.unsqueeze(1)}, targets, STANDING)
    entropy = -(0.25 * torch.tensor(0.25).log() + 0.75 * torch.tensor(0.75).log())
    assert found.item() == pytest.approx(entropy.item(), rel=1e-6)

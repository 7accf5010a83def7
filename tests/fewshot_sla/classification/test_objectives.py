"""Baseline, DA, MT and SLA against loops written from the paper's equations, and against each other."""

import math

import pytest
import torch
from torch import Tensor

from episodes import Identity, Rotation, UserError, named_transformations
from episodes.targets import Targets
from fewshot_sla.classification.label_losses import LDAM, BalancedSoftmax, CrossEntropy, LabelLoss, LogitAdjustment
from fewshot_sla.classification.objectives import DA, MT, SLA, SLASD, Baseline, ClassificationObjective, Reduction
from tests.fewshot_sla.classification import slow_losses
from tests.fewshot_sla.classification.cases import COUNTS, DRW, LABEL_LOSSES, STANDING, B, M, N, batch


def slow_class_loss(loss: LabelLoss, slow: slow_losses.RowLoss, logits: Tensor, labels: Tensor) -> float:
    """1/M sum_j (mean over the batch of the loss of view j at the class)."""
    counts = COUNTS.tolist()
    weights = slow_losses.class_balanced(counts, 0.9) if loss.reweighting is DRW else None
    by_view = [
        slow_losses.weighted_mean(slow, logits[:, j].tolist(), labels.tolist(), counts, weights)
        for j in range(logits.shape[1])
    ]
    return sum(by_view) / len(by_view)


def slow_joint_loss(loss: LabelLoss, slow: slow_losses.RowLoss, logits: Tensor, labels: Tensor) -> float:
    """1/M sum_j (mean over the batch of the loss of view j at the joint label (y, j), number y * M + j)."""
    m = logits.shape[1]
    counts = [count for count in COUNTS.tolist() for _ in range(m)]
    weights = slow_losses.class_balanced(counts, 0.9) if loss.reweighting is DRW else None
    by_view = [
        slow_losses.weighted_mean(slow, logits[:, j].tolist(), [y * m + j for y in labels.tolist()], counts, weights)
        for j in range(m)
    ]
    return sum(by_view) / m


# Equations 1, 2 and 3


@pytest.mark.parametrize(("loss", "slow"), LABEL_LOSSES)
def test_the_baseline_is_the_label_loss(loss: LabelLoss, slow: slow_losses.RowLoss) -> None:
    objective = Baseline(loss)
    logits, labels = batch(objective)
    expected = slow_class_loss(loss, slow, logits["class"], labels)
    assert objective.loss(logits, Targets(labels), STANDING).item() == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize(("loss", "slow"), LABEL_LOSSES)
def test_da_is_equation_2(loss: LabelLoss, slow: slow_losses.RowLoss) -> None:
    objective = DA(Rotation(), loss)
    logits, labels = batch(objective)
    expected = slow_class_loss(loss, slow, logits["class"], labels)
    assert objective.loss(logits, Targets(labels), STANDING).item() == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize(("loss", "slow"), LABEL_LOSSES)
def test_mt_is_equation_1(loss: LabelLoss, slow: slow_losses.RowLoss) -> None:
    objective = MT(Rotation(), loss)
    logits, labels = batch(objective)
    scale = 8 if isinstance(loss, LDAM) else 1
    second = [
        slow_losses.cross_entropy([scale * value for value in logits["transformation"][b, j].tolist()], j, [])
        for j in range(M)
        for b in range(B)
    ]
    expected = slow_class_loss(loss, slow, logits["class"], labels) + sum(second) / (M * B)
    assert objective.loss(logits, Targets(labels), STANDING).item() == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize(("loss", "slow"), LABEL_LOSSES)
def test_sla_is_equation_3(loss: LabelLoss, slow: slow_losses.RowLoss) -> None:
    objective = SLA(Rotation(), loss)
    logits, labels = batch(objective)
    expected = slow_joint_loss(loss, slow, logits["joint"], labels)
    assert objective.loss(logits, Targets(labels), STANDING).item() == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("name", ["rotation4", "color3", "rotation4+color6"])
@pytest.mark.parametrize("kind", [DA, MT, SLA])
@pytest.mark.parametrize("loss", [CrossEntropy(), LDAM(0.4, 8.0, DRW)])
def test_the_sum_is_m_times_the_mean(kind: type[DA | MT | SLA], name: str, loss: LabelLoss) -> None:
    transformations = named_transformations(name)
    mean, total = kind(transformations, loss), kind(transformations, loss, "sum")
    logits, labels = batch(mean)
    expected = transformations.m * mean.loss(logits, Targets(labels), STANDING)
    torch.testing.assert_close(total.loss(logits, Targets(labels), STANDING), expected, rtol=1e-12, atol=0)


# The paper's remark: DA and MT are SLA with fewer weights


def weights(seed: int = 0) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Features [B, M, D] of the views, u [N, D], v [M, D], labels [B]."""
    generator = torch.Generator().manual_seed(seed)
    features, u, v = (
        torch.randn(shape, generator=generator, dtype=torch.float64) for shape in ((B, M, 6), (N, 6), (M, 6))
    )
    return features, u, v, torch.randint(0, N, (B,), generator=generator)


@pytest.mark.parametrize("reduction", ["mean", "sum"])
@pytest.mark.parametrize("loss", [CrossEntropy(), BalancedSoftmax(), LogitAdjustment(0.6)])
def test_sla_with_weights_that_are_sums_is_mt(loss: LabelLoss, reduction: Reduction) -> None:
    """w_ij = u_i + v_j: e^(u_i + v_j)'z factorises, so the joint loss is the sum of the two losses of MT."""
    features, u, v, labels = weights()
    w = torch.stack([u[i] + v[j] for i in range(N) for j in range(M)])
    sla, mt = SLA(Rotation(), loss, reduction), MT(Rotation(), loss, reduction)
    joint = sla.loss({"joint": features @ w.T}, Targets(labels), STANDING)
    multi_task = mt.loss({"class": features @ u.T, "transformation": features @ v.T}, Targets(labels), STANDING)
    torch.testing.assert_close(joint, multi_task, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize(("reduction", "terms"), [("mean", 1), ("sum", M)])
@pytest.mark.parametrize("loss", [CrossEntropy(), CrossEntropy(DRW), BalancedSoftmax(DRW), LogitAdjustment(0.6)])
def test_sla_with_weights_of_the_class_alone_is_da(loss: LabelLoss, reduction: Reduction, terms: int) -> None:
    """w_ij = u_i: P(i, j) = P(i) / M, so the loss is that of DA plus log M for each transformation; same gradient."""
    features, u, _, labels = weights()
    u.requires_grad_()
    w = torch.stack([u[i] for i in range(N) for _ in range(M)])
    sla, da = SLA(Rotation(), loss, reduction), DA(Rotation(), loss, reduction)
    joint = sla.loss({"joint": features @ w.T}, Targets(labels), STANDING)
    augmented = da.loss({"class": features @ u.T}, Targets(labels), STANDING)
    torch.testing.assert_close(joint, augmented + terms * math.log(M), rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(torch.autograd.grad(joint, u), torch.autograd.grad(augmented, u), rtol=1e-9, atol=1e-12)
    for inference in ("single", "aggregated"):  # and then the predictions are the same as well
        predictions = (
            sla.predict({"joint": features @ w.T}, inference),
            da.predict({"class": features @ u.T}, inference),
        )
        torch.testing.assert_close(*predictions, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("loss", [loss for loss, _ in LABEL_LOSSES])
@pytest.mark.parametrize("kind", [DA, SLA])
def test_with_the_identity_alone_they_are_the_baseline(kind: type[DA | SLA], loss: LabelLoss) -> None:
    baseline, single = Baseline(loss), kind(Identity(), loss)
    logits, labels = batch(baseline)
    (output,) = single.outputs(N)
    same = {output: logits["class"]}
    assert single.outputs(N)[output] == N
    assert torch.equal(single.loss(same, Targets(labels), STANDING), baseline.loss(logits, Targets(labels), STANDING))
    assert torch.equal(single.accuracy(same, Targets(labels)), baseline.accuracy(logits, Targets(labels)))
    for inference in single.inferences:
        assert torch.equal(single.predict(same, inference), baseline.predict(logits, "single"))


# Inference


def test_names_and_outputs() -> None:
    found = {kind.__name__: (list(kind.inferences), kind.primary) for kind in (Baseline, DA, MT, SLA, SLASD)}
    assert found == {
        "Baseline": (["single"], "single"),
        "DA": (["single", "aggregated"], "single"),
        "MT": (["single", "aggregated"], "single"),
        "SLA": (["single", "aggregated"], "aggregated"),
        "SLASD": (["distilled", "single", "aggregated"], "distilled"),
    }
    turns = Rotation()
    outputs = [objective.outputs(3) for objective in (Baseline(), DA(turns), MT(turns), SLA(turns), SLASD(turns))]
    assert outputs == [
        {"class": 3},
        {"class": 3},
        {"class": 3, "transformation": 4},
        {"joint": 12},
        {"joint": 12, "class": 3},
    ]


@pytest.mark.parametrize("loss", [CrossEntropy(), BalancedSoftmax(), LDAM(scale=8.0)])
def test_inferences_equal_the_loops(loss: LabelLoss) -> None:
    scale = 8 if isinstance(loss, LDAM) else 1
    objective = SLASD(Rotation(), loss)
    logits, _ = batch(objective)
    predictions = {name: objective.predict(logits, name) for name in objective.inferences}
    augmented = DA(Rotation(), loss)
    averaged = augmented.predict(logits, "aggregated")
    for b in range(B):
        joint, by_view = (scale * logits["joint"][b]).tolist(), (scale * logits["class"][b]).tolist()
        assert predictions["aggregated"][b].tolist() == pytest.approx(slow_losses.aggregated(joint, N), rel=1e-12)
        assert predictions["single"][b].tolist() == [joint[0][y * M] for y in range(N)]
        assert predictions["distilled"][b].tolist() == by_view[0]
        assert augmented.predict(logits, "single")[b].tolist() == by_view[0]
        mean = [sum(by_view[j][y] for j in range(M)) / M for y in range(N)]
        assert averaged[b].tolist() == pytest.approx(mean, rel=1e-12)


def test_aggregated_inference_is_equation_4() -> None:
    """P(i | x) = exp(s_i) / sum_k exp(s_k) with s_i = 1/M sum_j w_ij' z_j."""
    features, *_ = weights()
    w = torch.randn(N, M, 6, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    joint = torch.stack([features @ w[i, j] for i in range(N) for j in range(M)], dim=-1)
    probabilities = SLA(Rotation()).predict({"joint": joint}, "aggregated").softmax(-1)
    for b in range(B):
        s = [sum(float(w[i, j] @ features[b, j]) for j in range(M)) / M for i in range(N)]
        assert probabilities[b].tolist() == pytest.approx(slow_losses.softmax(s), rel=1e-12)


@pytest.mark.parametrize("kind", [Baseline, DA, MT, SLA, SLASD])
def test_who_is_right_about_every_view_is_right_by_every_inference(kind: type[ClassificationObjective]) -> None:
    objective = Baseline() if kind is Baseline else kind(Rotation())
    m = objective.transformations.m
    labels = torch.tensor([2, 0, 1, 1, 2])
    joint = torch.tensor([[y * m + j for j in range(m)] for y in labels.tolist()])
    targets = {
        "class": labels.unsqueeze(1).expand(B, m),
        "transformation": torch.arange(m).expand(B, m),
        "joint": joint,
    }
    sizes = objective.outputs(N)
    logits = {name: torch.nn.functional.one_hot(targets[name], size).float() for name, size in sizes.items()}
    assert objective.accuracy(logits, Targets(labels)) == 1
    for inference in objective.inferences:
        assert torch.equal(objective.predict(logits, inference).argmax(-1), labels)


@pytest.mark.parametrize("kind", [DA, MT, SLA, SLASD])
def test_the_accuracy_is_over_the_labels_that_are_trained_on(kind: type[ClassificationObjective]) -> None:
    objective = kind(Rotation())
    logits, labels = batch(objective)
    joint = "joint" in logits
    right = 0
    for b in range(B):
        for j in range(M):
            row = logits["joint" if joint else "class"][b, j].tolist()
            right += row.index(max(row)) == (labels[b] * M + j if joint else labels[b])
    assert objective.accuracy(logits, Targets(labels)).item() == pytest.approx(right / (B * M))


def test_an_inference_that_was_not_trained_is_refused() -> None:
    logits, _ = batch(Baseline())
    with pytest.raises(
        UserError, match=r"^a model trained with Baseline has no inference 'aggregated': choose from single$"
    ):
        Baseline().predict(logits, "aggregated")
    with pytest.raises(
        UserError, match=r"^a model trained with SLA has no inference 'distilled': choose from single, agg"
    ):
        SLA(Rotation()).predict(batch(SLA(Rotation()))[0], "distilled")

"""SLA+SD (eq. 5) against a loop, and the constant that P_aggregated is."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from episodes import Identity, Rotation, UserError
from episodes.targets import Targets
from fewshot_sla.classification.label_losses import LDAM, BalancedSoftmax, CrossEntropy, LabelLoss, LogitAdjustment
from fewshot_sla.classification.objectives import SLA, SLASD, Standing
from fewshot_sla.classification.reweighting import ClassBalanced
from fewshot_sla.classification.views import distillation_loss
from tests.fewshot_sla.classification import slow_losses

B, N, M = 4, 3, 4
COUNTS = torch.tensor([50.0, 20.0, 4.0], dtype=torch.float64)
STANDING = Standing(COUNTS, 0.6)
DRW = ClassBalanced(0.9, start=0.5)
LABEL_LOSSES = [
    (CrossEntropy(), slow_losses.cross_entropy, 1),
    (BalancedSoftmax(), slow_losses.balanced_softmax, 1),
    (LogitAdjustment(0.7, DRW), slow_losses.logit_adjusted(0.7), 1),
    (LDAM(0.4, 8.0, DRW), slow_losses.ldam(0.4, 8), 8),
]


def batch(seed: int = 0) -> tuple[dict[str, Tensor], Tensor]:
    generator = torch.Generator().manual_seed(seed)
    logits = {
        name: 2 * torch.rand(B, M, size, generator=generator, dtype=torch.float64) - 1
        for name, size in (("joint", N * M), ("class", N))
    }
    return logits, torch.randint(0, N, (B,), generator=generator)


def slow_divergence(logits: dict[str, Tensor], scale: float, temperature: float) -> float:
    """T^2 times the mean over the batch of KL(P_aggregated || P_class(x)), both softened by T."""
    total = 0.0
    for b in range(B):
        teacher = [scale * s / temperature for s in slow_losses.aggregated(logits["joint"][b].tolist(), N)]
        student = [scale * value / temperature for value in logits["class"][b, 0].tolist()]
        total += slow_losses.kullback_leibler(slow_losses.softmax(teacher), slow_losses.softmax(student))
    return temperature**2 * total / B


@pytest.mark.parametrize("temperature", [1.0, 0.5, 4.0])
@pytest.mark.parametrize("beta", [0, 1])
@pytest.mark.parametrize("reduction", ["mean", "sum"])
@pytest.mark.parametrize(("loss", "slow", "scale"), LABEL_LOSSES)
def test_is_equation_5(
    loss: LabelLoss, slow: slow_losses.RowLoss, scale: float, reduction: str, beta: int, temperature: float
) -> None:
    logits, labels = batch()
    counts = COUNTS.tolist()
    weights = slow_losses.class_balanced(counts, 0.9) if loss.reweighting is DRW else None
    joint_weights = None if weights is None else [weight for weight in weights for _ in range(M)]
    joint = sum(
        slow_losses.weighted_mean(
            slow,
            logits["joint"][:, j].tolist(),
            [y * M + j for y in labels.tolist()],
            [count for count in counts for _ in range(M)],
            joint_weights,
        )
        for j in range(M)
    )
    expected = joint / (M if reduction == "mean" else 1)
    expected += slow_divergence(logits, scale, temperature)
    expected += beta * slow_losses.weighted_mean(slow, logits["class"][:, 0].tolist(), labels.tolist(), counts, weights)
    objective = SLASD(Rotation(), loss, reduction, beta, temperature)
    assert objective.loss(logits, Targets(labels), STANDING).item() == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize(("loss", "slow", "scale"), LABEL_LOSSES)
def test_the_layer_that_teaches_does_not_follow(loss: LabelLoss, slow: slow_losses.RowLoss, scale: float) -> None:
    """The gradient at the joint logits is that of SLA alone, though the value depends on them through KL too."""
    logits, labels = batch()
    joint = logits["joint"].requires_grad_()
    objective = SLASD(Rotation(), loss, temperature=2.0)
    (distilled,) = torch.autograd.grad(objective.loss(logits, Targets(labels), STANDING), joint)
    (alone,) = torch.autograd.grad(SLA(Rotation(), loss).loss(logits, Targets(labels), STANDING), joint)
    assert torch.equal(distilled, alone)
    # The trap that this guards: the same sum without the constant has another gradient.
    teacher = objective.predict(logits, "aggregated") / 2
    student = objective.predict(logits, "distilled") / 2
    divergence = (teacher.softmax(-1) * (teacher.log_softmax(-1) - student.log_softmax(-1))).sum()
    (leak,) = torch.autograd.grad(divergence, joint)
    assert leak.abs().max() > 1e-4


@pytest.mark.parametrize("beta", [0, 1])
@pytest.mark.parametrize(("loss", "slow", "scale"), LABEL_LOSSES)
def test_gradients_are_those_of_a_teacher_made_by_hand(
    loss: LabelLoss, slow: slow_losses.RowLoss, scale: float, beta: int
) -> None:
    """Finite differences of the loss with P_aggregated frozen at its value."""
    logits, labels = batch()
    objective, sla = SLASD(Rotation(), loss, beta=beta, temperature=2.0), SLA(Rotation(), loss)
    frozen = [slow_losses.aggregated(logits["joint"][b].tolist(), N) for b in range(B)]
    teacher = (scale * torch.tensor(frozen, dtype=torch.float64) / 2).softmax(-1)

    def by_hand(joint: Tensor, classes: Tensor) -> Tensor:
        student = (scale * classes[:, 0] / 2).log_softmax(-1)
        total = sla.loss({"joint": joint}, Targets(labels), STANDING)
        total = total + 4 * (teacher * (teacher.log() - student)).sum(-1).mean()
        return total + beta * loss(classes[:, 0], Targets(labels), COUNTS, STANDING.done)

    def analytic(function: object, inputs: list[Tensor]) -> list[Tensor]:
        leaves = [values.clone().requires_grad_() for values in inputs]
        return list(torch.autograd.grad(function(*leaves), leaves))

    inputs = [logits["joint"], logits["class"]]
    found = analytic(lambda j, c: objective.loss({"joint": j, "class": c}, Targets(labels), STANDING), inputs)
    step = 1e-6
    for which, gradient in enumerate(found):
        for index in range(0, inputs[which].numel(), 5):  # every fifth entry: every view and every column occurs
            ends = []
            for sign in (1, -1):
                moved = [values.clone() for values in inputs]
                moved[which].view(-1)[index] += sign * step
                ends.append(by_hand(*moved))
            difference = (ends[0] - ends[1]) / (2 * step)
            torch.testing.assert_close(gradient.flatten()[index], difference, rtol=1e-6, atol=1e-8)


def test_only_view_0_of_the_class_layer_learns() -> None:
    logits, labels = batch()
    classes = logits["class"].requires_grad_()
    SLASD(Rotation()).loss(logits, Targets(labels), STANDING).backward()
    assert classes.grad is not None
    assert bool((classes.grad[:, 0] != 0).all())
    assert bool((classes.grad[:, 1:] == 0).all())


@pytest.mark.parametrize(("loss", "slow", "scale"), LABEL_LOSSES)
def test_beta_is_the_label_loss_of_the_class_layer(loss: LabelLoss, slow: slow_losses.RowLoss, scale: float) -> None:
    logits, labels = batch()
    with_labels, without = (
        SLASD(Rotation(), loss, beta=beta).loss(logits, Targets(labels), STANDING) for beta in (1, 0)
    )
    torch.testing.assert_close(
        with_labels - without, loss(logits["class"][:, 0], Targets(labels), COUNTS, STANDING.done)
    )


def test_the_sum_multiplies_the_term_of_all_views_and_no_other() -> None:
    logits, labels = batch()
    mean, total = (
        SLASD(Rotation(), reduction=reduction).loss(logits, Targets(labels), STANDING) for reduction in ("mean", "sum")
    )
    torch.testing.assert_close(total - mean, (M - 1) * SLA(Rotation()).loss(logits, Targets(labels), STANDING))


def test_a_pupil_who_agrees_pays_nothing() -> None:
    logits, labels = batch()
    logits["class"] = SLA(Rotation()).predict(logits, "aggregated").unsqueeze(1).expand(B, M, N) + 3
    loss = SLASD(Rotation(), beta=0).loss(logits, Targets(labels), STANDING)
    torch.testing.assert_close(loss, SLA(Rotation()).loss(logits, Targets(labels), STANDING), rtol=1e-12, atol=1e-12)


def test_with_the_identity_alone_the_teacher_is_the_joint_layer() -> None:
    joint = batch()[0]["class"][:, :1]
    logits, labels = {"joint": joint, "class": joint}, torch.tensor([0, 1, 2, 0])
    objective = SLASD(Identity())
    torch.testing.assert_close(
        objective.loss(logits, Targets(labels), STANDING), 2 * CrossEntropy()(joint[:, 0], Targets(labels))
    )
    assert all(torch.equal(objective.predict(logits, name), joint[:, 0]) for name in objective.inferences)


def test_divergence_in_worked_numbers() -> None:
    """Teacher 3/4, 1/4, student 1/2, 1/2: KL = 3/4 log(3/2) + 1/4 log(1/2) = 3/4 log 3 - log 2."""
    log = torch.tensor([2.0, 3.0], dtype=torch.float64).log()
    teacher, student = torch.stack([log[1], 0 * log[1]]).unsqueeze(0), torch.zeros(1, 2, dtype=torch.float64)
    assert distillation_loss(student, teacher).item() == pytest.approx((0.75 * log[1] - log[0]).item(), rel=1e-12)
    # Twice the logits at twice the temperature are the same distributions; T^2 = 4.
    softened = distillation_loss(student, 2 * teacher, 2.0)
    torch.testing.assert_close(softened, 4 * distillation_loss(student, teacher))


@given(st.integers(0, 2**31), st.floats(0.1, 20))
def test_divergence_is_at_least_0_and_blind_to_constants(seed: int, temperature: float) -> None:
    generator = torch.Generator().manual_seed(seed)
    student, teacher = (5 * torch.randn(B, N, generator=generator, dtype=torch.float64) for _ in range(2))
    divergence = distillation_loss(student, teacher, temperature)
    assert divergence >= -1e-12
    torch.testing.assert_close(distillation_loss(student + 7, teacher - 3, temperature), divergence)


def test_gradient_of_the_divergence() -> None:
    student, teacher = batch(0)[0]["class"][:, 0], batch(1)[0]["class"][:, 0]
    assert torch.autograd.gradcheck(lambda x: distillation_loss(x, teacher, 3.0), student.requires_grad_())


def test_the_gradient_keeps_its_size_at_high_temperature() -> None:
    """Hinton et al. 2015, section 2: for large T, T^2 * gradient tends to (centred student - centred teacher) / N."""
    student, teacher = batch(0)[0]["class"][:1, 0].requires_grad_(), batch(1)[0]["class"][:1, 0]
    (gradient,) = torch.autograd.grad(distillation_loss(student, teacher, 1e4), student)
    expected = ((student - student.mean()) - (teacher - teacher.mean())).detach() / N
    torch.testing.assert_close(gradient, expected, rtol=1e-3, atol=1e-6)


def test_certainty_gives_numbers() -> None:
    student = torch.tensor([[1e5, 0.0, -1e5]], requires_grad=True)
    divergence = distillation_loss(student, torch.tensor([[1e5, -1e5, 0.0]]))
    divergence.backward()
    assert divergence.item() == 0
    assert student.grad is not None
    assert bool(student.grad.isfinite().all())


@pytest.mark.parametrize("beta", [-1, 2, 0.5])
def test_beta_out_of_range(beta: float) -> None:
    with pytest.raises(UserError, match=f"^SLASD beta must be 0 or 1, got {beta}$"):
        SLASD(Rotation(), beta=beta)


@pytest.mark.parametrize("temperature", [0.0, -1.0, float("inf"), float("nan")])
def test_temperature_out_of_range(temperature: float) -> None:
    with pytest.raises(UserError, match=f"^SLASD temperature must be positive and finite, got {temperature}$"):
        SLASD(Rotation(), temperature=temperature)


def test_reduction_out_of_range() -> None:
    with pytest.raises(UserError, match=r"^reduction must be 'mean' or 'sum', got 'none'$"):
        SLASD(Rotation(), reduction="none")

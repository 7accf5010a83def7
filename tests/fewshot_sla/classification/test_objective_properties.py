"""Numerics of the classification objectives, and what holds for all numbers."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from episodes.targets import Targets
from fewshot_sla.classification.label_losses import LDAM, BalancedSoftmax, CrossEntropy, LabelLoss
from fewshot_sla.classification.objectives import DA, MT, SLA, SLASD, Baseline, ClassificationObjective, Standing
from tests.fewshot_sla.classification.cases import COUNTS, DRW, LABEL_LOSSES, STANDING, M, N, batch, made

OBJECTIVES = [Baseline, DA, MT, SLA, SLASD]


@pytest.mark.parametrize("loss", [CrossEntropy(), LDAM(), BalancedSoftmax(DRW)], ids=lambda loss: type(loss).__name__)
@pytest.mark.parametrize("kind", OBJECTIVES)
def test_half_precision_is_computed_in_float32(kind: type[ClassificationObjective], loss: LabelLoss) -> None:
    objective = made(kind, loss)
    logits, labels = batch(objective)
    half = {name: values.bfloat16() for name, values in logits.items()}
    single = {name: values.float() for name, values in half.items()}
    assert objective.loss(half, Targets(labels), STANDING).dtype == torch.float32
    assert torch.equal(
        objective.loss(half, Targets(labels), STANDING), objective.loss(single, Targets(labels), STANDING)
    )
    for inference in objective.inferences:
        assert torch.equal(objective.predict(half, inference), objective.predict(single, inference))
        assert objective.predict(logits, inference).dtype == torch.float64


@pytest.mark.parametrize("kind", OBJECTIVES)
def test_huge_logits_give_numbers(kind: type[ClassificationObjective]) -> None:
    objective = made(kind, CrossEntropy())
    logits, labels = batch(objective)
    huge = {name: (1e4 * values).float().requires_grad_() for name, values in logits.items()}
    loss = objective.loss(huge, Targets(labels), STANDING)
    loss.backward()
    assert math.isfinite(loss.item())
    assert all(values.grad is not None and bool(values.grad.isfinite().all()) for values in huge.values())


@pytest.mark.parametrize("loss", [loss for loss, _ in LABEL_LOSSES])
@pytest.mark.parametrize("kind", [Baseline, DA, MT, SLA])
def test_gradients(kind: type[ClassificationObjective], loss: LabelLoss) -> None:
    objective = made(kind, loss)
    logits, labels = batch(objective)
    names = list(logits)
    short = [logits[name][:2].requires_grad_() for name in names]

    def function(*values: Tensor) -> Tensor:
        return objective.loss(dict(zip(names, values, strict=True)), Targets(labels[:2]), STANDING)

    assert torch.autograd.gradcheck(function, short)


@given(
    st.integers(0, 2**31), st.permutations(range(N)), st.sampled_from(OBJECTIVES), st.integers(0, len(LABEL_LOSSES) - 1)
)
def test_names_of_classes_do_not_matter(
    seed: int, order: list[int], kind: type[ClassificationObjective], which: int
) -> None:
    objective = made(kind, LABEL_LOSSES[which][0])
    logits, labels = batch(objective, seed)
    m = objective.transformations.m
    columns = {"class": order, "transformation": list(range(m)), "joint": [y * m + j for y in order for j in range(m)]}
    renamed = {name: values[..., columns[name]] for name, values in logits.items()}
    new_labels = torch.tensor(order).argsort()[labels]
    standing = Standing(COUNTS[order], 0.6)
    torch.testing.assert_close(
        objective.loss(renamed, Targets(new_labels), standing),
        objective.loss(logits, Targets(labels), STANDING),
        rtol=1e-9,
        atol=1e-12,
    )
    assert objective.accuracy(renamed, Targets(new_labels)) == objective.accuracy(logits, Targets(labels))
    for inference in objective.inferences:
        torch.testing.assert_close(
            objective.predict(renamed, inference), objective.predict(logits, inference)[:, order]
        )


@given(st.integers(0, 2**31), st.permutations(range(1, M)), st.sampled_from([DA, MT, SLA, SLASD]))
def test_the_order_of_the_transformations_does_not_matter(
    seed: int, rest: list[int], kind: type[ClassificationObjective]
) -> None:
    """As long as the identity stays the first: rows (views) and columns (their numbers) move together."""
    objective, order = made(kind, CrossEntropy()), [0, *rest]
    logits, labels = batch(objective, seed)
    columns = {"class": list(range(N)), "transformation": order, "joint": [y * M + j for y in range(N) for j in order]}
    moved = {name: values[:, order][..., columns[name]] for name, values in logits.items()}
    torch.testing.assert_close(
        objective.loss(moved, Targets(labels), STANDING), objective.loss(logits, Targets(labels), STANDING)
    )
    for inference in objective.inferences:
        torch.testing.assert_close(objective.predict(moved, inference), objective.predict(logits, inference))

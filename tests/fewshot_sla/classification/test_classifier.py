"""Classifier: shapes, precision, cosines, and the layers that a loss asks for."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn

from episodes import Rotation, UserError
from episodes.targets import Targets
from fewshot_sla.backbones import Conv4
from fewshot_sla.classification.classifier import Classifier, NormalizedLinear, build_classifier, unit_vectors
from fewshot_sla.classification.label_losses import LDAM, BalancedSoftmax, CrossEntropy
from fewshot_sla.classification.objectives import MT, SLA, SLASD, Baseline, Standing
from fewshot_sla.classification.reweighting import ClassBalanced
from tests.integration.plugins import LinearBackbone

SIZES = {"joint": 12, "class": 3}


def images(*leading: int, size: int = 16) -> Tensor:
    return torch.randn(*leading, 1, size, size, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("leading", [(2,), (2, 4), (1, 2, 3), ()])
@pytest.mark.parametrize("normalized", [False, True])
def test_one_logit_a_label_for_any_leading_axes(normalized: bool, leading: tuple[int, ...]) -> None:
    classifier = Classifier(LinearBackbone(), SIZES, (16, 16), normalized)
    logits = classifier(images(*leading))
    assert {name: values.shape for name, values in logits.items()} == {
        name: (*leading, size) for name, size in SIZES.items()
    }
    rows = images(*leading).reshape(-1, 1, 16, 16)
    for name, values in logits.items():
        alone = torch.stack([classifier(row.unsqueeze(0))[name][0] for row in rows])
        torch.testing.assert_close(values.reshape(alone.shape), alone)


def test_the_layers_are_torchs_linear_layers_over_the_features() -> None:
    backbone = Conv4(in_channels=1, channels=8)
    classifier = Classifier(backbone, SIZES, (32, 16)).eval()
    batch = torch.randn(2, 1, 32, 16, generator=torch.Generator().manual_seed(0))
    features = backbone(batch)
    for name, size in SIZES.items():
        layer = classifier.layers[name]
        assert isinstance(layer, nn.Linear)
        assert layer.weight.shape == (size, 8 * 2 * 1)
        torch.testing.assert_close(classifier(batch)[name], features @ layer.weight.T + layer.bias)


def test_layers_compute_in_float32_outside_autocast() -> None:
    for normalized in (False, True):
        classifier = Classifier(LinearBackbone(), SIZES, (16, 16), normalized)
        with torch.autocast("cpu", dtype=torch.bfloat16):
            assert classifier.backbone(images(3)).dtype == torch.bfloat16
            logits = classifier(images(3))
            features = classifier.backbone(images(3)).float()
        for name, values in logits.items():
            assert values.dtype == torch.float32
            torch.testing.assert_close(values, classifier.layers[name](features))
        assert all(values.dtype == torch.float64 for values in classifier.double()(images(3).double()).values())


# Cosines


def test_logits_are_the_cosines() -> None:
    layer = NormalizedLinear(6, 5)
    with torch.no_grad():
        layer.weight *= torch.tensor([1.0, 5.0, 0.1, 1e3, 1e-3])
    features = torch.randn(4, 6, generator=torch.Generator().manual_seed(0))
    logits = layer(features)
    for r in range(4):
        for w in range(5):
            z, v = features[r].tolist(), layer.weight[:, w].tolist()
            dot = sum(a * b for a, b in zip(z, v, strict=True))
            lengths = sum(a * a for a in z) ** 0.5 * sum(b * b for b in v) ** 0.5
            assert logits[r, w].item() == pytest.approx(dot / lengths, abs=1e-6)
    torch.testing.assert_close(layer(layer.weight.T).diagonal(), torch.ones(5))
    torch.testing.assert_close(layer(-layer.weight.T).diagonal(), -torch.ones(5))


@given(st.integers(0, 2**31), st.sampled_from([1e-38, 1e-30, 1e-13, 1e-6, 1.0, 1e6, 1e19, 1e30]))
def test_cosines_lie_between_minus_one_and_one_whatever_the_lengths(seed: int, length: float) -> None:
    generator = torch.Generator().manual_seed(seed)
    layer = NormalizedLinear(7, 3)
    features = torch.randn(5, 7, generator=generator)
    logits = layer(length * features)
    assert bool((logits.abs() <= 1 + 1e-6).all())
    if length >= 1e-6:
        torch.testing.assert_close(logits, layer(features), rtol=1e-5, atol=1e-6)


def test_weights_begin_with_length_one() -> None:
    torch.testing.assert_close(NormalizedLinear(9, 4).weight.norm(dim=0), torch.ones(4))


def test_a_zero_feature_has_no_direction() -> None:
    layer = NormalizedLinear(6, 5)
    features = torch.zeros(2, 6)
    features[1, 0] = 2.0
    features.requires_grad_()
    logits = layer(features)
    assert bool((logits[0] == 0).all())
    logits.sum().backward()
    assert features.grad is not None
    assert layer.weight.grad is not None
    assert bool(features.grad.isfinite().all())
    assert features.grad.abs().max() < 10  # no explosion either
    assert bool(layer.weight.grad.isfinite().all())


@pytest.mark.parametrize("dim", [0, 1])
def test_gradient_of_the_direction(dim: int) -> None:
    vectors = torch.randn(4, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(0)).requires_grad_()
    torch.testing.assert_close(unit_vectors(vectors, dim), nn.functional.normalize(vectors, dim=dim))
    assert torch.autograd.gradcheck(lambda x: unit_vectors(x, dim), vectors)


# With an objective


@pytest.mark.parametrize("normalized", [False, True])
def test_every_weight_learns(normalized: bool) -> None:
    loss = LDAM(reweighting=ClassBalanced()) if normalized else CrossEntropy()
    for objective in (Baseline(loss), MT(Rotation(), loss), SLASD(Rotation(), loss, beta=0)):
        classifier = Classifier(LinearBackbone(), objective.outputs(3), (16, 16), normalized)
        logits = classifier(objective.transformations(images(5)))
        objective.loss(logits, Targets(torch.tensor([0, 1, 2, 0, 1])), Standing(torch.tensor([9, 4, 1]))).backward()
        for parameter in classifier.parameters():
            assert parameter.grad is not None
            assert bool(parameter.grad.isfinite().all())
            assert bool((parameter.grad != 0).any())


def test_sla_with_one_transformation_is_the_baseline_bit_by_bit() -> None:
    baseline = Classifier(LinearBackbone(), {"class": 3}, (16, 16))
    sla = Classifier(LinearBackbone(), {"joint": 3}, (16, 16))
    sla.load_state_dict({name.replace(".class.", ".joint."): w for name, w in baseline.state_dict().items()})
    targets, batch = Targets(torch.tensor([0, 1, 2, 0, 1])), images(5, 1)
    losses = [
        Baseline().loss(baseline(batch), targets, Standing()),
        SLA(Baseline().transformations).loss(sla(batch), targets, Standing()),
    ]
    assert torch.equal(*losses)
    for loss in losses:
        loss.backward()
    assert all(torch.equal(a.grad, b.grad) for a, b in zip(baseline.parameters(), sla.parameters(), strict=True))


def test_the_layers_are_those_that_the_loss_asks_for() -> None:
    for loss, kind in ((LDAM(), NormalizedLinear), (CrossEntropy(), nn.Linear), (BalancedSoftmax(), nn.Linear)):
        classifier = build_classifier(LinearBackbone(), SLASD(Rotation(), loss), (1, 16, 16), 3)
        assert {name: type(layer) for name, layer in classifier.layers.items()} == {"joint": kind, "class": kind}


def test_images_too_small_for_the_backbone_are_refused_before_training() -> None:
    with pytest.raises(UserError, match=r"^the backbone needs images of at least 16x16 pixels, got 8x8: "):
        Classifier(Conv4(), SIZES, (8, 8))


@pytest.mark.parametrize("outputs", [{}, {"class": 0}])
def test_a_classifier_of_nothing_is_refused(outputs: dict[str, int]) -> None:
    with pytest.raises(UserError, match=r"^a classifier needs outputs of at least one label, got {"):
        Classifier(LinearBackbone(), outputs, (16, 16))

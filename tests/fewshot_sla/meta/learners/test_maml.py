"""MAML against an inner loop written by hand, and what the paper and the contract promise."""

import copy
import sys

import pytest
import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn.functional import cross_entropy

from episodes import EpisodeBatch, EpisodeSpec, Normalization, Rotation
from episodes.errors import UserError
from episodes.optional import learn2learn
from episodes.source import EpisodeSource
from episodes.targets import Targets
from fewshot_sla.backbones import Backbone, Conv4
from fewshot_sla.meta import DA, SLA, Plain
from fewshot_sla.meta.learners import MAML
from fewshot_sla.meta.protocol import evaluate
from tests.tiny import TinyImages

pytest.importorskip("learn2learn", exc_type=ImportError)

WAYS, SIZE = 3, (16, 16)


class TwoLayers(Backbone):
    """No BatchNorm, so that a few lines can say what MAML does."""

    def __init__(self) -> None:
        super().__init__(1)
        self.layers = nn.Sequential(nn.Flatten(), nn.Linear(SIZE[0] * SIZE[1], 6), nn.Tanh())

    def features(self, images: Tensor) -> Tensor:
        return self.layers(images)

    def out_features(self, height: int, width: int) -> int:
        return 6


def learner(backbone: Backbone | None = None, **settings: object) -> MAML:
    torch.manual_seed(0)
    backbone = backbone or TwoLayers()
    return MAML(backbone, WAYS, SIZE, **{"adaptation_steps": 3, **settings}).double()


def conv4() -> Conv4:
    torch.manual_seed(0)
    return Conv4(1, channels=4)


def episodes(t: int = 2, queries: int = 5) -> EpisodeBatch:
    generator = torch.Generator().manual_seed(1)
    support, query = (torch.randn(t, n, 1, *SIZE, generator=generator, dtype=torch.float64) for n in (6, queries))
    labels = torch.stack([(torch.arange(6) % WAYS)[torch.randperm(6, generator=generator)] for _ in range(t)])
    return EpisodeBatch(
        support, labels, query, Targets(torch.randint(0, WAYS, (t, queries), generator=generator)), WAYS
    )


def by_hand(model: MAML, batch: EpisodeBatch) -> Tensor:
    """Finn et al. 2017, algorithm 2, lines 5 to 8: one episode after the other, weights in a dictionary."""
    logits = []
    for support, labels, query in zip(batch.support, batch.support_labels, batch.query, strict=True):
        weights = dict(model.network.named_parameters())
        for _ in range(model.adaptation_steps):
            loss = cross_entropy(functional_call(model.network, weights, (support,)), labels)
            slopes = torch.autograd.grad(loss, list(weights.values()), create_graph=not model.first_order)
            weights = {
                name: weight - model.adaptation_lr * slope
                for (name, weight), slope in zip(weights.items(), slopes, strict=True)
            }
        logits.append(functional_call(model.network, weights, (query,)))
    return torch.stack(logits)


def gradients(model: MAML, logits: Tensor, batch: EpisodeBatch) -> list[Tensor]:
    loss = cross_entropy(logits.flatten(0, 1), batch.query_labels.flatten())
    return list(torch.autograd.grad(loss, list(model.parameters())))


@pytest.mark.parametrize("first_order", [True, False])
@pytest.mark.parametrize("t", [1, 3])
def test_equals_an_inner_loop_written_by_hand(first_order: bool, t: int) -> None:
    model, batch = learner(first_order=first_order), episodes(t)
    ours, expected = model(batch), by_hand(model, batch)
    torch.testing.assert_close(ours, expected)
    torch.testing.assert_close(gradients(model, ours, batch), gradients(model, expected, batch))


def test_first_and_second_order_differ_in_the_gradient_only() -> None:
    batch = episodes()
    first, second = learner(first_order=True), learner(first_order=False)
    assert torch.equal(first(batch), second(batch))
    difference = [
        (a - b).abs().max()
        for a, b in zip(gradients(first, first(batch), batch), gradients(second, second(batch), batch), strict=True)
    ]
    assert max(difference) > 1e-4


def test_second_order_gradient_through_batch_norm_is_the_slope() -> None:
    """By finite differences, in a random direction: statistics of the support are differentiated too."""
    model, batch = learner(conv4(), first_order=False, adaptation_steps=2, adaptation_lr=0.05), episodes()
    parameters = list(model.parameters())
    direction = [torch.randn_like(parameter) for parameter in parameters]

    def loss_at(step: float) -> float:
        moved = copy.deepcopy(model)
        with torch.no_grad():
            for parameter, towards in zip(moved.parameters(), direction, strict=True):
                parameter += step * towards
        return cross_entropy(moved(batch).flatten(0, 1), batch.query_labels.flatten()).item()

    slope = sum(float((g * d).sum()) for g, d in zip(gradients(model, model(batch), batch), direction, strict=True))
    assert (loss_at(1e-6) - loss_at(-1e-6)) / 2e-6 == pytest.approx(slope, rel=1e-4)


def test_batch_norm_uses_the_statistics_of_the_support() -> None:
    """By a network of one BatchNorm: queries are normalised by mean and variance of the support images."""

    class OnlyNorm(Backbone):
        def __init__(self) -> None:
            super().__init__(1)
            self.norm = nn.BatchNorm2d(1)

        def features(self, images: Tensor) -> Tensor:
            return self.norm(images).flatten(1)

        def out_features(self, height: int, width: int) -> int:
            return height * width

    model, batch = learner(OnlyNorm(), adaptation_lr=1e-12), episodes(1)  # such a step adapts nothing
    mean, variance = batch.support.mean(), batch.support.var(correction=0)
    normalised = (batch.query[0] - mean) / (variance + model.network.backbone.norm.eps).sqrt()
    expected = model.network.classifier(normalised.flatten(1))
    torch.testing.assert_close(model(batch)[0], expected, atol=1e-8, rtol=0)


@pytest.mark.parametrize("training", [True, False])
def test_a_query_does_not_depend_on_the_others_nor_does_scoring_change_the_learner(training: bool) -> None:
    model, batch = learner(conv4()).train(training), episodes()
    before = copy.deepcopy(model.state_dict())
    together = model(batch)
    alone = model(batch._replace(query=batch.query[:, :1], query_targets=Targets(batch.query_labels[:, :1])))
    torch.testing.assert_close(alone, together[:, :1])
    assert all(torch.equal(before[name], value) for name, value in model.state_dict().items())
    assert all(parameter.grad is None for parameter in model.parameters())


def test_training_and_evaluation_score_alike_and_without_gradients_too() -> None:
    model, batch = learner(conv4()), episodes()
    trained = model.train()(batch)
    evaluated = model.eval()(batch)
    assert not evaluated.requires_grad
    torch.testing.assert_close(evaluated, trained.detach())
    with torch.no_grad():
        assert torch.equal(model(batch), evaluated)


def test_frozen_weights_stay_as_they_are() -> None:
    model, batch = learner(), episodes()
    free = model(batch)
    model.network.backbone.requires_grad_(False)
    assert not torch.allclose(model(batch), free)  # only the classifier adapts: ANIL
    cross_entropy(model(batch).flatten(0, 1), batch.query_labels.flatten()).backward()
    assert model.network.classifier.weight.grad is not None


def test_state_dict_and_deep_copy_carry_everything() -> None:
    model, batch = learner(conv4()), episodes()
    cross_entropy(model(batch).flatten(0, 1), batch.query_labels.flatten()).backward()
    other = MAML(Conv4(1, channels=4), WAYS, SIZE, adaptation_steps=3).double()
    other.load_state_dict(model.state_dict())
    assert torch.equal(other(batch), model(batch))
    assert torch.equal(copy.deepcopy(model)(batch), model(batch))


@pytest.mark.parametrize("objective", [Plain(), SLA(Rotation())], ids=["plain", "sla"])
def test_learns_a_toy_problem_and_is_evaluated_on_images(objective: Plain | SLA) -> None:
    torch.manual_seed(0)
    data = TinyImages(classes=6, per_class=8)
    train = data.open("train")
    source = EpisodeSource(train, EpisodeSpec(WAYS, 1, 3), 0, Normalization.of(train))
    model = MAML(Conv4(1, channels=8), WAYS * objective.transformations.m, SIZE, adaptation_steps=3)
    optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)
    losses = []
    for step in range(25):
        batch = objective.episodes(source, [2 * step, 2 * step + 1])
        loss = objective.loss(model(batch), batch.query_targets)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert sum(losses[-5:]) < 0.95 * sum(losses[:5])
    outcomes = evaluate(model, objective, source, range(1000, 1020))
    assert set(outcomes) == set(objective.inferences)
    assert float(outcomes[objective.primary].accuracies.mean()) > 0.6  # chance is a third


def test_ways_that_do_not_fit_are_said_with_the_remedy() -> None:
    model = learner()
    with pytest.raises(UserError, match=r"have 12 ways .* has 3 outputs: set learner ways to 12"):
        model(episodes()._replace(ways=12))
    images = TinyImages().open("val")
    source = EpisodeSource(images, EpisodeSpec(WAYS, 1, 2), 0, Normalization.of(images))
    with pytest.raises(UserError, match="set learner ways to 12"):
        evaluate(model.float(), SLA(Rotation()), source, range(1))
    evaluate(model.float(), DA(Rotation()), source, range(1))  # as many ways as without views


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"ways": 1}, "ways must be at least 2, got 1"),
        ({"adaptation_steps": 0}, "adaptation_steps must be at least 1, got 0"),
        ({"adaptation_lr": 0.0}, "adaptation_lr must be positive, got 0.0"),
        ({"adaptation_lr": float("nan")}, "adaptation_lr must be positive, got nan"),
    ],
)
def test_impossible_settings_are_refused(settings: dict, message: str) -> None:
    with pytest.raises(UserError, match=message):
        MAML(**{"backbone": TwoLayers(), "ways": WAYS, "image_size": SIZE, **settings})


def test_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    learn2learn.cache_clear()
    monkeypatch.setitem(sys.modules, "learn2learn", None)
    with pytest.raises(UserError, match="pip install learn2learn"):
        learner()


def test_importing_learn2learn_says_nothing(capfd: pytest.CaptureFixture[str]) -> None:
    learner()
    assert "Gym" not in "".join(capfd.readouterr())

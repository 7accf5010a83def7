"""Evaluation on cached features equals the plain way: one episode after another, every image through the learner."""

import math
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
import torch
from torch import Tensor, nn

from episodes import EpisodeBatch, EpisodeSource, EpisodeSpec, LabelledImages, Normalization, Rotation, Transformations
from episodes.targets import Targets
from fewshot_sla.backbones import Conv4
from fewshot_sla.heads import ProtoNetHead, RidgeHead
from fewshot_sla.meta import DA, SLA, EpisodeObjective, Plain, features, rounds
from fewshot_sla.meta.learners import EmbeddingLearner, MetaLearner
from fewshot_sla.meta.predictions import predict_episode
from fewshot_sla.meta.protocol import EpisodeOutcomes, correct_by_class, evaluate

SPEC = EpisodeSpec(n_way=3, k_shot=2, n_query=4)
NUMBERS = [5, 0, 17, 4, 2**40]


def source(dtype: torch.dtype = torch.float32, classes: int = 5, spec: EpisodeSpec = SPEC) -> EpisodeSource:
    """Noisy copies of one picture a class: hard enough for accuracies between chance and 1, images in no order."""
    generator = torch.Generator().manual_seed(0)
    labels = (torch.arange(classes * 10) % classes)[torch.randperm(classes * 10, generator=generator)]
    pictures = torch.rand(classes, 3, 16, 16, generator=generator)
    noisy = pictures[labels] + 1.5 * torch.randn(len(labels), 3, 16, 16, generator=generator)
    pixels = noisy.sub(noisy.min()).div(noisy.max() - noisy.min()).mul(255).to(torch.uint8)
    images = LabelledImages(pixels, labels, tuple("abcdefgh"[:classes]), "noisy pictures")
    return EpisodeSource(images, spec, seed=3, normalization=Normalization.of(images).to(dtype))


class Nearest(MetaLearner):
    """The class of the nearest support image, by one linear map of the pixels: no embed, no head."""

    def __init__(self) -> None:
        super().__init__()
        self.map = nn.Linear(3 * 16 * 16, 4)

    def forward(self, episodes: EpisodeBatch) -> Tensor:
        support, query = (self.map(items.flatten(2)) for items in (episodes.support, episodes.query))
        return nearest_logits(episodes._replace(support=support, query=query))


def nearest_logits(episodes: EpisodeBatch) -> Tensor:  # items [T, S, D] -> [T, R, W]
    """Minus the squared distance to the nearest support row of each class."""
    distances = (episodes.query[:, :, None] - episodes.support[:, None]).square().sum(-1)  # [T, R, S]
    own = nn.functional.one_hot(episodes.support_labels, episodes.ways).bool()[:, None]  # [T, 1, S, W]
    return -distances[..., None].masked_fill(~own, float("inf")).amin(dim=2)


def learner(kind: str, dtype: torch.dtype = torch.float32) -> MetaLearner:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        if kind == "nearest":
            return Nearest().to(dtype)
        head = {"protonet": ProtoNetHead, "ridge": RidgeHead}[kind]()
        built = EmbeddingLearner(Conv4(3, channels=8), head).to(dtype)
        built.embed(torch.randn(32, 3, 16, 16, dtype=dtype))  # BatchNorm's statistics are not its initial ones
        return built


OBJECTIVES = {"plain": Plain(), "da": DA(Rotation()), "sla": SLA(Rotation((0, 180, 90)))}


def one_after_another(
    model: MetaLearner, objective: EpisodeObjective, episodes: EpisodeSource, numbers: list[int]
) -> dict[str, list[list[int]]]:
    """Right answers by inference, episode and class, from single rows of images and loops over views."""
    model.eval()
    correct: dict[str, list[list[int]]] = {name: [] for name in objective.inferences}
    for number in numbers:
        batch = episodes.batch([number])
        for name, counts in correct.items():
            answers = predict_slowly(model, objective, name, batch)
            right = [0] * batch.ways
            for answer, label in zip(answers, batch.query_labels[0].tolist(), strict=True):
                right[label] += answer == label
            counts.append(right)
    return correct


@torch.no_grad()
def predict_slowly(model: MetaLearner, objective: EpisodeObjective, name: str, batch: EpisodeBatch) -> list[int]:
    """The paper's inference of one episode, written anew: it shares no line with the labellings and read-outs."""
    n, m = batch.ways, objective.transformations.m
    joint = isinstance(objective, SLA)
    views_used = m if joint or (isinstance(objective, DA) and name == "aggregated") else 1
    rows, labels = [], []
    for image, label in zip(batch.support[0], batch.support_labels[0].tolist(), strict=True):
        for j in range(views_used):
            rows.append(objective.transformations(image)[j])
            labels.append(label * m + j if joint else label)
    support, support_labels = torch.stack(rows)[None], torch.tensor([labels])
    ways, answers = n * m if joint else n, []
    for image in batch.query[0]:
        scores = torch.zeros(n, dtype=image.dtype)
        for j in range(views_used if name == "aggregated" else 1):
            query = objective.transformations(image)[j][None, None]
            view = EpisodeBatch(support, support_labels, query, Targets(torch.zeros(1, 1, dtype=torch.int64)), ways)
            logits = model(view)[0, 0]
            scores += logits[j::m] if joint else logits
        answers.append(int(scores.argmax()))
    return answers


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("objective", OBJECTIVES)
@pytest.mark.parametrize("kind", ["protonet", "ridge", "nearest"])
def test_outcomes_equal_those_of_one_episode_after_another(kind: str, objective: str, dtype: torch.dtype) -> None:
    model, episodes, how = learner(kind, dtype), source(dtype), OBJECTIVES[objective]
    expected = one_after_another(model, how, episodes, NUMBERS)
    outcomes = evaluate(model, how, episodes, NUMBERS)
    assert {name: outcome.correct.tolist() for name, outcome in outcomes.items()} == expected
    for name, outcome in outcomes.items():
        accuracies = [sum(counts) / (3 * 4) for counts in expected[name]]
        assert outcome.accuracies.tolist() == pytest.approx(accuracies, abs=1e-15)
        assert outcome.accuracies.dtype == torch.float64
        assert torch.equal(outcome.classes, episodes.sampler.draw(NUMBERS).classes)
        assert 0 < outcome.accuracies.mean() < 1  # neither all wrong nor all right: the comparison says something


def same(a: dict[str, EpisodeOutcomes], b: dict[str, EpisodeOutcomes]) -> bool:
    return list(a) == list(b) and all(
        torch.equal(a[name].correct, b[name].correct) and torch.equal(a[name].classes, b[name].classes) for name in a
    )


FEATURES = 3 * (2 + 4) * 3 * 8 * 4  # bytes of an episode: 18 images, 3 views, 8 features of 4 bytes
PIXELS = 3 * (2 + 4) * 3 * (3 * 16 * 16) * 4


@pytest.mark.parametrize(
    ("kind", "feature_budget", "episode_budget", "views_per_pass", "passes"),
    [
        ("protonet", 2**32, 2**28, 512, 1),
        ("protonet", 1, 1, 1, 30),
        ("protonet", 1, 2**28, 512, 30),  # not even one episode's features fit: still one at a time
        ("protonet", 2**32, 4 * FEATURES, 7, 8),  # the last pass has two episodes
        ("protonet", 2 * FEATURES, 2**28, 40, 15),  # two episodes share their features
        ("protonet", 2 * FEATURES, FEATURES, 512, 30),
        ("nearest", 1, 2**28, 1, 1),
        ("nearest", 1, 1, 1, 30),
        ("nearest", 1, 16 * 4 * PIXELS, 1, 8),
    ],
)
def test_memory_budgets_change_the_passes_and_not_the_outcome(
    kind: str, feature_budget: int, episode_budget: int, views_per_pass: int, passes: int, monkeypatch
) -> None:
    model, objective, numbers = learner(kind), OBJECTIVES["sla"], range(30)
    expected = evaluate(model, objective, source(), numbers)
    monkeypatch.setattr(rounds, "_FEATURE_BUDGET", feature_budget)
    monkeypatch.setattr(rounds, "_EPISODE_BUDGET", episode_budget)
    monkeypatch.setattr(features, "_VIEWS_PER_PASS", views_per_pass)
    calls: list[tuple[str, int, int]] = []
    outcomes = evaluate(model, objective, source(), numbers, on_progress=lambda *call: calls.append(call))
    assert same(outcomes, expected)
    done = [call for call in calls if call[0] == "episodes"]
    assert len(done) == passes
    assert done[-1] == ("episodes", 30, 30)


def test_an_episode_has_the_same_outcome_in_any_company() -> None:
    model, objective = learner("ridge"), OBJECTIVES["sla"]
    together = evaluate(model, objective, source(), range(20))
    for number in (0, 7, 19):
        alone = evaluate(model, objective, source(), [number])
        for name in together:
            assert torch.equal(alone[name].correct[0], together[name].correct[number])


@pytest.mark.parametrize("kind", ["protonet", "nearest"])
def test_no_episodes_no_outcomes(kind: str) -> None:
    """A process of many may have none to evaluate."""
    outcomes = evaluate(learner(kind), OBJECTIVES["sla"], source(), range(0))
    assert list(outcomes) == ["single", "aggregated"]
    for outcome in outcomes.values():
        assert outcome.correct.shape == outcome.classes.shape == (0, 3)
        assert outcome.correct.dtype == torch.int64
        assert outcome.accuracies.shape == (0,)


class Counting(Conv4):
    """Counts the images that go through."""

    seen = 0

    def features(self, images: Tensor) -> Tensor:
        self.seen += len(images)
        return super().features(images)


def test_every_view_of_every_image_is_embedded_once() -> None:
    model = EmbeddingLearner(Counting(3, channels=4), ProtoNetHead())
    episodes = source()
    numbers = range(200)
    drawn = episodes.sampler.draw(numbers)
    occurring = torch.cat([drawn.support, drawn.query], dim=1).unique()
    evaluate(model, OBJECTIVES["da"], episodes, numbers)
    assert model.backbone.seen <= (len(occurring) + 1) * 4  # one image more, to learn the size of the features


class PooledPixels(MetaLearner):
    """Features without a backbone or a head: mean colours of a grid [3, 4, 4], kept as maps; 1-nearest neighbour."""

    has_features = True
    seen = 0

    def items(self, images: Tensor) -> Tensor:
        self.seen += images[..., 0, 0, 0].numel()
        return nn.functional.avg_pool2d(images.flatten(0, -4), 4).unflatten(0, images.shape[:-3])

    def logits(self, episodes: EpisodeBatch) -> Tensor:
        assert episodes.support.shape[2:] == (3, 4, 4)
        flat = episodes._replace(support=episodes.support.flatten(2), query=episodes.query.flatten(2))
        return nearest_logits(flat)

    def forward(self, episodes: EpisodeBatch) -> Tensor:
        return self.logits(episodes._replace(support=self.items(episodes.support), query=self.items(episodes.query)))


@pytest.mark.parametrize("objective", OBJECTIVES)
def test_a_learner_of_ones_own_is_evaluated_on_features_that_are_computed_once(objective: str) -> None:
    episodes, how, numbers = source(), OBJECTIVES[objective], list(range(40))
    outcomes = evaluate(model := PooledPixels(), how, episodes, numbers)
    drawn = episodes.sampler.draw(numbers)
    occurring = torch.cat([drawn.support, drawn.query], dim=1).unique()
    assert model.seen <= (len(occurring) + 1) * how.transformations.m
    expected = one_after_another(PooledPixels(), how, episodes, numbers)
    assert {name: outcome.correct.tolist() for name, outcome in outcomes.items()} == expected


def test_images_that_do_not_occur_are_not_embedded() -> None:
    model = EmbeddingLearner(Counting(3, channels=4), ProtoNetHead())
    evaluate(model, Plain(), source(), [0])
    assert model.backbone.seen <= 3 * (2 + 4) + 1


@pytest.mark.parametrize("kind", ["protonet", "nearest"])
@pytest.mark.parametrize("objective", OBJECTIVES)
def test_the_learner_is_left_as_it_was(kind: str, objective: str) -> None:
    model = learner(kind).train()
    frozen = next(module for module in model.modules() if isinstance(module, nn.BatchNorm2d | nn.Linear))
    frozen.eval()  # a mixture of modes must come back as a mixture
    modes = [module.training for module in model.modules()]
    state = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    torch.manual_seed(1)
    generator = torch.get_rng_state()
    evaluate(model, OBJECTIVES[objective], source(), NUMBERS)
    predict_episode(model, OBJECTIVES[objective], source(), 3)
    assert [module.training for module in model.modules()] == modes
    assert all(torch.equal(tensor, state[name]) for name, tensor in model.state_dict().items())
    assert all(parameter.grad is None and parameter.requires_grad for parameter in model.parameters())
    assert torch.equal(torch.get_rng_state(), generator)
    assert torch.is_grad_enabled()


def test_the_mode_comes_back_after_an_error_too() -> None:
    class Failing(MetaLearner):
        def forward(self, episodes: EpisodeBatch) -> Tensor:
            assert not self.training
            raise RuntimeError("on purpose")

    model = Failing().train()
    with pytest.raises(RuntimeError, match="on purpose"):
        evaluate(model, Plain(), source(), [0])
    assert model.training


def test_the_outcome_does_not_depend_on_the_mode_before() -> None:
    model = learner("protonet")
    expected = evaluate(model.eval(), OBJECTIVES["sla"], source(), NUMBERS)
    assert same(evaluate(model.train(), OBJECTIVES["sla"], source(), NUMBERS), expected)


def test_a_learner_may_descend_gradients_to_adapt() -> None:
    """Meta-learners in the manner of MAML take a gradient step on the support while they are evaluated."""

    class Adapting(Nearest):
        def forward(self, episodes: EpisodeBatch) -> Tensor:
            loss = self.map(episodes.support.flatten(2)).square().sum()
            (gradient,) = torch.autograd.grad(loss, self.map.weight)
            assert gradient.abs().sum() > 0
            return super().forward(episodes)

    model = Adapting()
    model.load_state_dict(learner("nearest").state_dict())
    expected = evaluate(learner("nearest"), OBJECTIVES["sla"], source(), NUMBERS)
    assert same(evaluate(model, OBJECTIVES["sla"], source(), NUMBERS), expected)


def test_the_backbone_runs_in_autocast_and_the_head_does_not() -> None:
    seen: dict[str, torch.dtype] = {}

    class Watching(ProtoNetHead):
        def logits(self, support: Tensor, support_labels: Tensor, query: Tensor, ways: int) -> Tensor:
            seen["features"] = support.dtype
            seen["product"] = (support @ support.mT).dtype
            return super().logits(support, support_labels, query, ways)

    class Backbone(Conv4):
        def features(self, images: Tensor) -> Tensor:
            result = super().features(images)
            seen["backbone"] = result.dtype
            return result

    model = EmbeddingLearner(Backbone(3, channels=4), Watching())
    evaluate(model, Plain(), source(), [0], autocast=lambda: torch.autocast("cpu", torch.bfloat16))
    assert seen == {"backbone": torch.bfloat16, "features": torch.float32, "product": torch.float32}


def test_autocast_is_made_anew_for_each_pass(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(features, "_VIEWS_PER_PASS", 8)
    inside = 0

    @contextmanager
    def once() -> Iterator[None]:
        nonlocal inside
        assert inside == 0
        inside = 1
        yield
        inside = 0

    evaluate(learner("protonet"), OBJECTIVES["sla"], source(), NUMBERS, autocast=once)
    evaluate(learner("nearest"), OBJECTIVES["sla"], source(), NUMBERS, autocast=once)
    assert inside == 0


@pytest.mark.parametrize("objective", OBJECTIVES)
def test_the_predictions_of_one_episode_are_those_that_are_counted(objective: str) -> None:
    model, how = learner("protonet"), OBJECTIVES[objective]
    outcomes = evaluate(model, how, source(), range(6))[how.primary]
    for number in range(6):
        indices, predicted = predict_episode(model, how, source(), number)
        assert predicted.shape == (12,)
        right = [int(((predicted == y) & (indices.query_labels[0] == y)).sum()) for y in range(3)]
        assert right == outcomes.correct[number].tolist()


def test_counting_by_class() -> None:
    logits = torch.tensor([[[9.0, 0, 0], [0, 9, 0], [9, 0, 0]], [[0, 0, 9], [0, 0, 9], [0, 9, 0]]])
    labels = torch.tensor([[0, 1, 2], [2, 2, 0]])
    assert correct_by_class(logits, labels).tolist() == [[1, 1, 0], [0, 0, 2]]


def test_no_prediction_is_no_right_answer() -> None:
    """Logits that are not numbers must not look like knowledge of class 0, beyond what guessing class 0 gets."""
    logits = torch.full((1, 4, 2), float("nan"))
    assert correct_by_class(logits, torch.tensor([[0, 0, 1, 1]])).sum() <= 2


def test_accuracies_are_shares_of_the_queries() -> None:
    outcomes = EpisodeOutcomes(torch.tensor([[15, 0, 0], [15, 15, 15], [7, 8, 9]]), torch.zeros(3, 3), n_query=15)
    assert outcomes.accuracies.tolist() == pytest.approx([1 / 3, 1, 24 / 45])


def test_the_transformations_are_given_normalised_images() -> None:
    """As in training: views are made after normalisation, on floats."""
    ranges: list[tuple[float, torch.dtype]] = []

    class Watching(Transformations):
        names = ("identity",)

        def forward(self, images: Tensor) -> Tensor:
            ranges.append((float(images.min()), images.dtype))
            return images.unsqueeze(-4)

    for kind in ("protonet", "nearest"):
        evaluate(learner(kind), SLA(Watching()), source(), [0])
    assert ranges
    assert all(least < 0 and dtype == torch.float32 and math.isfinite(least) for least, dtype in ranges)


@pytest.mark.parametrize("objective", ["da", "sla"])
def test_progress_counts_up_to_all(objective: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(features, "_VIEWS_PER_PASS", 16)
    calls: list[tuple[str, int, int]] = []
    evaluate(
        learner("protonet"), OBJECTIVES[objective], source(), range(9), on_progress=lambda *call: calls.append(call)
    )
    images = [done for what, done, total in calls if what == "images" and total > 1]
    assert images == sorted(images)
    assert images[-1] == next(total for what, _, total in calls if what == "images" and total > 1)
    assert calls[-1] == ("episodes", 9, 9)

"""EmbeddingLearner: the backbone, then the head, and nothing else."""

import itertools

import pytest
import torch
from jsonargparse import ArgumentParser
from torch import Tensor

from episodes import EpisodeBatch
from episodes.errors import UserError
from episodes.targets import Targets
from fewshot_sla.backbones import Conv4
from fewshot_sla.heads import Head, ProtoNetHead, RidgeHead
from fewshot_sla.meta.learners import EmbeddingLearner, MetaLearner


def learner(head: Head | None = None) -> EmbeddingLearner:
    torch.manual_seed(0)
    built = EmbeddingLearner(Conv4(1, channels=8), head or ProtoNetHead()).double()
    for _ in range(3):  # BatchNorm gets statistics that are not its initial ones
        built.embed(torch.randn(16, 1, 16, 16, dtype=torch.float64) * 2 + 1)
    return built


def episodes(t: int = 2, rows: int = 6, queries: int = 5) -> EpisodeBatch:
    generator = torch.Generator().manual_seed(1)
    support, query = (torch.randn(t, n, 1, 16, 16, generator=generator, dtype=torch.float64) for n in (rows, queries))
    labels = torch.stack([(torch.arange(rows) % 3)[torch.randperm(rows, generator=generator)] for _ in range(t)])
    return EpisodeBatch(support, labels, query, Targets(torch.randint(0, 3, (t, queries), generator=generator)), 3)


@pytest.mark.parametrize("head", [ProtoNetHead(), RidgeHead()])
@pytest.mark.parametrize("t", [1, 3])
def test_forward_is_backbone_then_head_image_by_image(head: Head, t: int) -> None:
    model, batch = learner(head).eval(), episodes(t)
    for number in range(t):
        support = torch.stack([model.backbone(image[None])[0] for image in batch.support[number]])
        query = torch.stack([model.backbone(image[None])[0] for image in batch.query[number]])
        expected = model.head(support[None], batch.support_labels[number][None], query[None], 3)[0]
        torch.testing.assert_close(model(batch)[number], expected)


def test_in_training_batch_norm_sees_support_and_query_of_all_episodes_at_once() -> None:
    model, batch = learner().train(), episodes()
    images = torch.cat([torch.cat([s, q]) for s, q in zip(batch.support, batch.query, strict=True)])
    features = learner().train().backbone(images).unflatten(0, (2, 11))
    expected = model.head(features[:, :6], batch.support_labels, features[:, 6:], 3)
    torch.testing.assert_close(model(batch), expected)
    statistics = model.backbone.blocks[0][1].running_mean
    assert not torch.equal(statistics, learner().backbone.blocks[0][1].running_mean)


def test_in_evaluation_a_query_does_not_depend_on_the_others() -> None:
    """With BatchNorm in training mode it would: LearningToCompare #12, reptile #12, learn2learn #207."""
    model, batch = learner().eval(), episodes()
    together = model(batch)
    alone = model(batch._replace(query=batch.query[:, :1], query_targets=Targets(batch.query_labels[:, :1])))
    torch.testing.assert_close(alone, together[:, :1])
    outlier = batch.query.clone()
    outlier[:, 1:] += 1000
    torch.testing.assert_close(model(batch._replace(query=outlier))[:, :1], together[:, :1])
    # The test can fail: in training mode the outliers are felt.
    model.train()
    felt = (model(batch._replace(query=outlier))[:, :1] - model(batch)[:, :1]).abs().max()
    assert felt > 1e-3


@pytest.mark.parametrize("leading", [(), (1,), (4,), (2, 3), (2, 1, 2), (0,), (2, 0)])
def test_embed_takes_any_leading_axes(leading: tuple[int, ...]) -> None:
    model = learner().eval()
    images = torch.randn(*leading, 1, 16, 16, dtype=torch.float64)
    features = model.embed(images)
    assert features.shape == (*leading, 8)
    for place in itertools.product(*map(range, leading)):
        torch.testing.assert_close(features[place], model.backbone(images[place][None])[0])


def test_gradients_reach_backbone_and_head_through_support_and_query() -> None:
    model, batch = learner().train(), episodes()
    batch.support.requires_grad_()
    batch.query.requires_grad_()
    logits = model(batch)
    torch.nn.functional.cross_entropy(logits.flatten(0, 1), batch.query_labels.flatten()).backward()
    tensors = [batch.support, batch.query, *model.backbone.parameters(), model.head.scale]
    assert all(tensor.grad is not None and torch.isfinite(tensor.grad).all() for tensor in tensors)
    assert model.head.scale.grad.abs() > 0
    assert batch.support.grad.abs().sum() > 0


def test_a_learner_of_ones_own_must_say_what_it_does() -> None:
    class Silent(MetaLearner):
        pass

    with pytest.raises(TypeError, match="forward"):
        Silent()

    class Uniform(MetaLearner):
        def forward(self, episodes: EpisodeBatch) -> Tensor:
            return torch.zeros(*episodes.query.shape[:2], episodes.ways)

    assert Uniform()(episodes()).shape == (2, 5, 3)


def by_hand(model: EmbeddingLearner, images: Tensor) -> Tensor:
    """Features [T, n, 8] of images [T, n, C, H, W] that go through the backbone alone, in its present mode."""
    return model.backbone(torch.cat(list(images))).unflatten(0, images.shape[:2])


def running(model: EmbeddingLearner) -> dict[str, Tensor]:
    return {name: value.clone() for name, value in model.backbone.named_buffers()}


def test_separate_passes_normalise_support_and_query_each_by_their_own() -> None:
    """As in the program of MetaOptNet, which embeds the support, then the query: train.py, lines 201-205."""
    batch = episodes()
    oracle = learner().train()
    support, query = by_hand(oracle, batch.support), by_hand(oracle, batch.query)
    expected = oracle.head(support, batch.support_labels, query, 3)

    model = learner().train()
    model.passes = "separate"
    before = running(model)
    logits = model(batch)
    assert torch.equal(logits, expected)
    assert (logits - learner().train()(batch)).abs().max() > 1e-3  # one pass is something else
    for name, value in running(model).items():  # moved by the support first and the query second, as the oracle's
        assert torch.equal(value, running(oracle)[name])
        if name.endswith("num_batches_tracked"):
            assert value == before[name] + 2


def test_running_statistics_of_two_passes_move_twice() -> None:
    """First layer, by the formula: r <- 0.9 (0.9 r + 0.1 support mean) + 0.1 query mean; one pass moves once."""
    batch = episodes()
    for passes in ("joint", "separate"):
        model = learner().train()
        model.passes = passes
        convolution, norm = model.backbone.blocks[0][:2]
        support, query = (convolution(images.flatten(0, 1)).mean((0, 2, 3)) for images in (batch.support, batch.query))
        both = convolution(torch.cat([batch.support, batch.query], dim=1).flatten(0, 1)).mean((0, 2, 3))
        before = norm.running_mean.clone()
        model(batch)
        once = 0.9 * before + 0.1 * both
        twice = 0.9 * (0.9 * before + 0.1 * support) + 0.1 * query
        torch.testing.assert_close(norm.running_mean, {"joint": once, "separate": twice}[passes])


def test_in_evaluation_the_passes_are_the_same() -> None:
    model, batch = learner().eval(), episodes()
    joint = model(batch)
    model.passes = "separate"
    torch.testing.assert_close(model(batch), joint, rtol=1e-12, atol=1e-12)


def test_another_number_of_passes_is_refused() -> None:
    with pytest.raises(UserError, match="passes must be one of joint, separate, got 'both'"):
        EmbeddingLearner(Conv4(1, channels=8), ProtoNetHead(), passes="both")  # type: ignore[arg-type]


def test_the_passes_of_a_recipe() -> None:
    parser = ArgumentParser(exit_on_error=False)
    parser.add_subclass_arguments(MetaLearner, "learner")
    arguments = {"backbone": {"class_path": "fewshot_sla.backbones.Conv4", "init_args": {"in_channels": 1}}}
    arguments["head"] = {"class_path": "fewshot_sla.heads.ProtoNetHead"}
    for given, expected in (({}, "joint"), ({"passes": "separate"}, "separate")):
        node = {"class_path": "fewshot_sla.meta.EmbeddingLearner", "init_args": {**arguments, **given}}
        assert parser.instantiate(parser.parse_object({"learner": node})).learner.passes == expected


def test_items_and_logits_are_the_two_halves_of_forward() -> None:
    model, batch = learner(RidgeHead()).eval(), episodes()
    assert model.has_features
    halves = batch._replace(support=model.items(batch.support), query=model.items(batch.query))
    torch.testing.assert_close(model.logits(halves), model(batch))


@pytest.mark.parametrize("passes", ["joint", "separate"])
def test_a_calibrated_learner_starts_with_that_spread_in_training(passes: str) -> None:
    model, batch = learner().eval(), episodes()
    model.passes = passes
    model.calibrate(batch)
    assert not model.training
    spread = model.train()(batch).std(dim=-1, correction=0).mean()  # of the two passes too: what training will see
    assert float(spread.detach()) == pytest.approx(0.5, rel=1e-6)


def test_calibrating_changes_the_scale_and_nothing_else() -> None:
    class Noisy(Conv4):
        """Draws random numbers in training, as DropBlock does."""

        def features(self, images: Tensor) -> Tensor:
            return torch.nn.functional.dropout(super().features(images), 0.5, self.training)

    model = EmbeddingLearner(Noisy(1, channels=8), ProtoNetHead()).double().train()
    state = {name: value.clone() for name, value in model.state_dict().items()}
    scales = []
    for seed in (1, 2):
        torch.manual_seed(seed)
        generator = torch.get_rng_state()
        model.calibrate(episodes())
        assert torch.equal(torch.get_rng_state(), generator)
        scales.append(float(model.head.scale.detach()))
    changed = {name for name, value in model.state_dict().items() if not torch.equal(value, state[name])}
    assert changed == {"head.scale"}
    assert scales[0] == scales[1]
    assert model.head.scale.requires_grad
    assert all(parameter.grad is None for parameter in model.parameters())


def test_a_learner_of_ones_own_has_images_as_items_and_nothing_to_calibrate() -> None:
    class Uniform(MetaLearner):
        def forward(self, episodes: EpisodeBatch) -> Tensor:
            return torch.zeros(*episodes.query.shape[:2], episodes.ways)

    model, batch = Uniform(), episodes()
    assert not model.has_features
    assert model.items(batch.support) is batch.support
    assert torch.equal(model.logits(batch), model(batch))
    model.calibrate(batch)

"""EmbeddingLearner: the backbone, then the head, and nothing else."""

import itertools

import pytest
import torch
from torch import Tensor

from episodes import EpisodeBatch
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

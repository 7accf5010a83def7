"""RelationNet against a loop that lays the two maps on top of one another, pair by pair."""

import pytest
import torch
from torch.nn import functional

from episodes.errors import UserError
from fewshot_sla.backbones import FeatureShape
from fewshot_sla.heads import RelationHead
from fewshot_sla.heads import maps as maps_file
from fewshot_sla.training.randomness import seeded
from tests.fewshot_sla.heads.problems import problem


def told(shape: FeatureShape) -> RelationHead:
    """In float64, with statistics of BatchNorm that are not the initial ones and last layers that say something."""
    head = RelationHead()
    with seeded(1):
        head.told(shape)
        for name, tensor in head.named_buffers():
            if name.endswith(("running_mean", "running_var")):
                tensor.uniform_(0.5, 1.5)
        for layer in (head.relation.layers[0], head.relation.layers[2]):
            layer.weight.data.normal_(std=0.3)
    return head.double()


def pairs(head: RelationHead, shape: FeatureShape, support, labels, query, ways):
    """[T*R*W, 2C, h, w], in this order."""
    stacked = []
    for t in range(len(support)):
        for q in query[t]:
            for w in range(ways):
                mean = support[t][labels[t] == w].mean(0)
                stacked.append(torch.cat([mean.view(*shape), q.view(*shape)]))
    return torch.stack(stacked)


@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize("shape", [FeatureShape(3, 5, 4), FeatureShape(2, 1, 3), FeatureShape(2, 10, 11)])
def test_it_equals_the_loop_over_pairs(shape: FeatureShape, training: bool) -> None:
    support, labels, query, ways = problem(shape.numbers)
    head = told(shape).train(training)
    relation = head.relation
    maps = pairs(head, shape, support, labels, query, ways)
    padding = 0 if shape.height >= 10 else 1
    kernels = (torch.cat([relation.of_class.weight, relation.of_query.weight], 1), relation.second.weight)
    for kernel, norm in zip(kernels, relation.norms, strict=True):
        maps = functional.conv2d(maps, kernel, padding=padding)
        mean, var = norm.running_mean, norm.running_var
        if training:
            mean, var = maps.mean((0, 2, 3)), maps.var((0, 2, 3), correction=0)
        maps = (maps - mean[:, None, None]) / (var[:, None, None] + norm.eps).sqrt()
        maps = functional.max_pool2d(maps.relu(), [min(2, side) for side in maps.shape[2:]])
    hidden = (maps.flatten(1) @ relation.layers[0].weight.T + relation.layers[0].bias).relu()
    expected = (hidden @ relation.layers[2].weight.T).view(3, 4, ways)
    torch.testing.assert_close(head(support, labels, query, ways), expected)


def test_in_evaluation_episodes_go_some_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    shape = FeatureShape(3, 5, 4)
    given = problem(shape.numbers)
    head = told(shape).eval()
    expected = head(*given)
    seen = []
    monkeypatch.setattr(maps_file, "_BUDGET", 1)
    head.relation.register_forward_hook(lambda _, inputs, __: seen.append(len(inputs[0])))
    torch.testing.assert_close(head(*given), expected)
    assert seen == [1, 1, 1]


def test_it_learns_what_no_metric_knows() -> None:
    """Classes are places of a bright spot; maps differ in everything else."""
    shape = FeatureShape(2, 3, 3)
    head = RelationHead()
    with seeded(0):
        head.told(shape)
        optimizer = torch.optim.Adam(head.parameters(), 0.01)

        def episodes(count: int) -> tuple[torch.Tensor, ...]:
            spots = torch.rand(count, 9).argsort(-1)[:, :3]  # of three classes
            labels = torch.arange(3).repeat(count, 4)
            maps = 2 * torch.randn(count, 12, 2, 9)
            maps[:, :, 0].scatter_(2, spots.gather(1, labels)[..., None], 5.0)
            features = maps.flatten(2)
            return features[:, :3], labels[:, :3], features[:, 3:], labels[:, 3:]

        for _ in range(70):
            support, labels, query, right = episodes(8)
            loss = functional.cross_entropy(head(support, labels, query, 3).flatten(0, 1), right.flatten())
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        support, labels, query, right = episodes(50)
        hits = (head.eval()(support, labels, query, 3).argmax(-1) == right).float().mean()
    assert hits > 0.6


def test_features_that_are_no_such_maps() -> None:
    head = RelationHead()
    with pytest.raises(UserError, match="was not told the shape of the feature maps"):
        head(*problem())
    with pytest.raises(UserError, match=r"the features are of shape 64x1x1: .*pooled: false"):
        head.told(FeatureShape(64))
    head.told(FeatureShape(3, 2, 2))
    with pytest.raises(UserError, match="told feature maps 3x2x2, which are 12 numbers; the features have 6"):
        head(*problem())


def test_arguments_out_of_range() -> None:
    with pytest.raises(UserError, match="hidden must be at least 1"):
        RelationHead(hidden=0)

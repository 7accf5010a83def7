"""All that is asked shares one embedding: outcomes as if asked one by one, passes counted, crops, several processes."""

import copy
import threading
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import pytest
import torch
from torch import Tensor

from episodes import DisjointSampler, EpisodeSource, EpisodeSpec, UserError
from episodes.images.crops import ten_crops
from fewshot_sla.backbones import Conv4
from fewshot_sla.heads import Head, ProtoNetHead, RidgeHead, SVMHead
from fewshot_sla.heads.protonet import protonet_logits
from fewshot_sla.meta import Plain, features, rounds
from fewshot_sla.meta.learners import EmbeddingLearner
from fewshot_sla.meta.predictions import Selection
from fewshot_sla.meta.protocol import EpisodeOutcomes, evaluate, evaluate_all
from fewshot_sla.meta.team import EvaluationTeam
from tests.fewshot_sla.meta.test_protocol import OBJECTIVES, Counting, learner, same, source

CUT = partial(ten_crops, padding=2)


def selections() -> list[Selection]:
    """One and two shots of the same images, with replacement and without."""
    first = source(spec=EpisodeSpec(3, 1, 4))
    specs = [EpisodeSpec(3, 1, 4), EpisodeSpec(2, 2, 3)]
    both = [EpisodeSource(first.images, spec, 3, first.normalization) for spec in specs]
    apart = EpisodeSource(first.images, specs[0], 3, first.normalization, sampler=DisjointSampler)
    return [Selection(both[0], range(20)), Selection(both[1], [5, 2**40, 7]), Selection(apart, range(3))]


def one_by_one(model, objective, asked: list[Selection]) -> list[dict[str, EpisodeOutcomes]]:
    return [evaluate(model, objective, one.source, one.numbers) for one in asked]


@pytest.mark.parametrize("kind", ["protonet", "ridge", "nearest"])
@pytest.mark.parametrize("feature_budget", [2**32, 40_000, 1])
def test_together_is_one_by_one(kind: str, feature_budget: int, monkeypatch: pytest.MonkeyPatch) -> None:
    model, asked = learner(kind), selections()
    expected = one_by_one(model, OBJECTIVES["sla"], asked)
    monkeypatch.setattr(rounds, "_FEATURE_BUDGET", feature_budget)
    found = evaluate_all(model, OBJECTIVES["sla"], asked)
    assert [len(outcomes["single"].correct) for outcomes in found] == [20, 3, 3]
    assert all(same(ours, theirs) for ours, theirs in zip(found, expected, strict=True))


def test_every_image_goes_through_the_backbone_once_for_all() -> None:
    model, asked = EmbeddingLearner(Counting(3, channels=4), ProtoNetHead()), selections()
    evaluate_all(model, OBJECTIVES["da"], asked)
    assert model.backbone.seen == (50 + 1) * 4  # 50 images, and one more to learn the size of the features
    model.backbone.seen = 0
    one_by_one(model, OBJECTIVES["da"], asked)
    assert model.backbone.seen > 2 * 51 * 4


def test_features_of_other_images_are_not_shared() -> None:
    with pytest.raises(ValueError, match="different images"):
        evaluate_all(learner("protonet"), Plain(), [Selection(source(), range(2)), Selection(source(), range(2))])


class Watching(Head):
    """ProtoNet that keeps what it is given."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: dict[str, Tensor] = {}

    def logits(self, support: Tensor, support_labels: Tensor, query: Tensor, ways: int) -> Tensor:
        self.seen = {"support": support, "labels": support_labels, "query": query}
        return protonet_logits(support, support_labels, query, ways)


@torch.no_grad()
def test_an_image_of_ten_crops_is_the_mean_of_their_features() -> None:
    """A loop over images, views and crops: cut from the bytes before normalisation, each crop transformed by itself."""
    model, episodes, objective = (
        EmbeddingLearner(Conv4(3, channels=4).double(), Watching()),
        source(torch.float64),
        "da",
    )
    transformations = OBJECTIVES[objective].transformations
    evaluate_all(model, OBJECTIVES[objective], [Selection(episodes, [4])], crops=CUT)
    drawn, model = episodes.sampler[4], model.eval()
    for rows, numbers in (("support", drawn.support[0]), ("query", drawn.query[0])):
        expected = []
        for number in numbers[:2].tolist():
            cut = CUT(episodes.images.images[number : number + 1])[0]  # [10, C, H, W]
            for j in range(4):
                views = [transformations(episodes.normalization(crop.double() / 255))[j] for crop in cut]
                expected.append(model.backbone(torch.stack(views)).mean(dim=0))
        torch.testing.assert_close(model.head.seen[rows][0, :8], torch.stack(expected))


@torch.no_grad()
def test_the_mean_feature_is_the_mean_logit() -> None:
    """What embed_views says of the heads: mean features score as the mean over the crops of the query."""
    generator = torch.Generator().manual_seed(0)
    support, crops = (torch.randn(2, n, k, 6, generator=generator).double() for n, k in ((6, 10), (8, 10)))
    labels = torch.arange(3).repeat(2, 2)
    for head in (ProtoNetHead(), RidgeHead(), SVMHead()):
        whole = head(support.mean(2), labels, crops.mean(2), 3)
        each = torch.stack([head(support.mean(2), labels, crops[:, :, k], 3) for k in range(10)]).mean(0)
        difference = whole - each
        torch.testing.assert_close(difference, difference[..., :1].expand_as(difference), atol=1e-5, rtol=0)
    prototypes = protonet_logits(support.flatten(1, 2), labels.repeat_interleave(10, dim=1), crops.mean(2), 3)
    torch.testing.assert_close(prototypes, protonet_logits(support.mean(2), labels, crops.mean(2), 3))


def test_crops_change_the_outcome_and_need_features() -> None:
    asked = [Selection(source(), range(30))]
    plain, cropped = (evaluate_all(learner("ridge"), Plain(), asked, crops=c) for c in (lambda x: x[:, None], CUT))
    assert not same(plain[0], cropped[0])
    assert same(plain[0], evaluate_all(learner("ridge"), Plain(), asked)[0])
    with pytest.raises(UserError, match="averaged as its features, and Nearest has none; test without crops"):
        evaluate_all(learner("nearest"), Plain(), asked, crops=CUT)


class Thread(EvaluationTeam):
    """One of several threads that meet as processes would."""

    def __init__(self, rank: int, size: int, barrier: threading.Barrier, table: list) -> None:
        self.rank, self.size, self._barrier, self._table = rank, size, barrier, table

    def gather(self, own: Tensor, rows: int) -> Tensor:
        self._table[self.rank] = torch.cat([own, own.new_zeros(rows - len(own), *own.shape[1:])])
        self._barrier.wait(20)
        together = torch.stack(self._table)
        self._barrier.wait(20)
        return together


@pytest.mark.parametrize("kind", ["counting", "ridge", "nearest"])
@pytest.mark.parametrize("feature_budget", [2**32, 8000])
@pytest.mark.parametrize("size", [2, 3])
def test_a_team_finds_what_one_process_finds(
    size: int, feature_budget: int, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rounds, "_FEATURE_BUDGET", feature_budget)
    monkeypatch.setattr(features, "_VIEWS_PER_PASS", 20)
    model = EmbeddingLearner(Counting(3, channels=4), ProtoNetHead()) if kind == "counting" else learner(kind)
    twins, asked = [copy.deepcopy(model) for _ in range(size)], selections()
    expected = evaluate_all(model, OBJECTIVES["sla"], asked)
    barrier, table = threading.Barrier(size), [None] * size
    with ThreadPoolExecutor(size) as pool:
        jobs = [
            pool.submit(evaluate_all, twin, OBJECTIVES["sla"], asked, team=Thread(rank, size, barrier, table))
            for rank, twin in enumerate(twins)
        ]
        for job in jobs:
            assert all(same(ours, theirs) for ours, theirs in zip(job.result(), expected, strict=True))
    if kind == "counting" and feature_budget > 8000:
        alone, shared = model.backbone.seen, [twin.backbone.seen for twin in twins]
        assert max(shared) < 0.75 * alone  # each embeds a part of the images
        assert sum(shared) <= alone + 3 * size * 3  # and the odd image more, to learn the size of the features

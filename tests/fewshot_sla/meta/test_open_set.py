"""Queries of unknown classes: AUROCs against pairs that are counted, the known part as ever, several processes."""

import copy
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch
from torch import Tensor, nn

from episodes import DisjointSampler, EpisodeSource, EpisodeSpec, LabelledImages, Normalization
from episodes.targets import Targets
from episodes.unknown import UnknownQueries
from fewshot_sla.heads import ProtoNetHead
from fewshot_sla.meta import Plain, rounds
from fewshot_sla.meta.learners import MetaLearner
from fewshot_sla.meta.predictions import Selection
from fewshot_sla.meta.protocol import aurocs_of_episodes, evaluate_all
from tests.fewshot_sla.meta.test_protocol import OBJECTIVES, learner, same, source
from tests.fewshot_sla.meta.test_shared_features import CUT, Thread


def selection(episodes: EpisodeSource, numbers: range | list[int], unknown_ways: int = 2) -> Selection:
    return Selection(episodes, numbers, UnknownQueries(episodes, unknown_ways))


@torch.no_grad()
def aurocs_slowly(model: MetaLearner, name: str, aggregated: bool, asked: Selection) -> dict[str, list[float]]:
    """Every episode by itself, every view by itself, every pair of a known and an unknown query counted."""
    objective, found = OBJECTIVES[name], {"probability": [], "logit": [], "energy": []}
    model.eval()
    for number in asked.numbers:
        episode = asked.source.sampler[number]
        unknown = asked.unknown.draw([number], episode).images
        n, m = asked.source.sampler.spec.n_way, objective.transformations.m if name == "sla" else 1
        views = asked.source.image_views(episode.support, objective.transformations)[:, :, :m].flatten(1, 2)
        labels = (episode.support_labels[..., None] * m + torch.arange(m)).flatten(1)
        scores: dict[str, list[list[float]]] = {score: [] for score in found}
        for numbers in (episode.query, unknown):
            queries, logits = asked.source.image_views(numbers, objective.transformations), 0
            used = m if aggregated else 1
            batch = source().batch([0])._replace(support=views, support_labels=labels, ways=n * m)
            for j in range(used):
                rows = queries[:, :, j]
                targets = Targets(torch.zeros(rows.shape[:2], dtype=torch.int64))
                logits = logits + model(batch._replace(query=rows, query_targets=targets))[0, :, j::m] / used
            scores["probability"].append(logits.softmax(-1).max(-1).values.tolist())
            scores["logit"].append([max(row) for row in logits.tolist()])
            scores["energy"].append([torch.tensor(row).double().exp().sum().log().item() for row in logits.tolist()])
        for score, (known, other) in scores.items():
            pairs = [(a > b) + 0.5 * (a == b) for a in known for b in other]
            found[score].append(sum(pairs) / len(pairs))
    return found


@pytest.mark.parametrize(("kind", "objective"), [("protonet", "plain"), ("ridge", "sla"), ("nearest", "sla")])
def test_aurocs_are_the_pairs_that_are_counted(kind: str, objective: str) -> None:
    model, asked = learner(kind, torch.float64), selection(source(torch.float64), [5, 0, 2**40])
    (outcomes,) = evaluate_all(model, OBJECTIVES[objective], [asked])
    for name, outcome in outcomes.items():
        for score, values in aurocs_slowly(model, objective, name == "aggregated", asked).items():
            assert outcome.aurocs[score].tolist() == pytest.approx(values, abs=1e-12)
            assert outcome.aurocs[score].dtype == torch.float64
            assert outcome.aurocs[score].min() < 1  # not so easy that it says nothing
        assert list(outcome.aurocs)[3:] == (["agreement"] if name == "aggregated" else [])


def test_sure_probabilities_are_told_apart() -> None:
    """Distances in many dimensions make logits far apart: in float32 all of these probabilities are 1."""
    logits = torch.zeros(1, 4, 1, 3)  # [T, R, V, N]
    logits[0, :, 0, 1] = torch.tensor([30.0, 28.0, 20.0, 18.0])
    assert (logits.softmax(dim=-1).amax(dim=-1) == 1).all()
    assert aurocs_of_episodes(Plain.inferences["single"], logits, known=2)["probability"].tolist() == [1.0]


@pytest.mark.parametrize("kind", ["protonet", "ridge", "nearest"])
@pytest.mark.parametrize("feature_budget", [2**32, 40_000])
def test_the_known_part_is_what_it_is_without(kind: str, feature_budget: int, monkeypatch: pytest.MonkeyPatch) -> None:
    model, first = learner(kind), source(spec=EpisodeSpec(3, 1, 4))
    other = EpisodeSource(first.images, EpisodeSpec(2, 2, 3), 3, first.normalization)
    apart = EpisodeSource(first.images, EpisodeSpec(3, 1, 4), 3, first.normalization, sampler=DisjointSampler)
    plain = [Selection(first, range(12)), Selection(other, [5, 2**40]), Selection(apart, range(3))]
    expected = evaluate_all(model, OBJECTIVES["sla"], plain)
    monkeypatch.setattr(rounds, "_FEATURE_BUDGET", feature_budget)
    asked = [selection(first, range(12)), selection(other, [5, 2**40], 3), selection(apart, range(3), 1)]
    found = evaluate_all(model, OBJECTIVES["sla"], asked)
    assert all(same(ours, theirs) for ours, theirs in zip(found, expected, strict=True))
    assert [len(outcomes["aggregated"].aurocs["agreement"]) for outcomes in found] == [12, 2, 3]
    assert all(not outcome.aurocs for outcomes in expected for outcome in outcomes.values())


def test_crops_are_for_unknown_queries_too() -> None:
    model, asked = learner("ridge"), [selection(source(), range(12))]
    (plain,), (cropped,) = (evaluate_all(model, Plain(), asked, crops=crops) for crops in (lambda x: x[:, None], CUT))
    assert not torch.equal(plain["single"].aurocs["logit"], cropped["single"].aurocs["logit"])
    (known,) = evaluate_all(model, Plain(), [asked[0]._replace(unknown=None)], crops=CUT)
    assert same(cropped, known)


class Corners(nn.Module):
    """Features made by hand: the pixels, times ten."""

    def forward(self, images: Tensor) -> Tensor:
        return 10 * images.flatten(1)


def cornered(noise: float) -> EpisodeSource:
    """Class c is the corner of the cube that has its c-th coordinate, plus a little: all far from one another."""
    labels = torch.arange(6).repeat(6)
    corners = torch.eye(6)[labels] + noise * torch.rand(36, 6, generator=torch.Generator().manual_seed(0))
    pixels = (corners * 200).to(torch.uint8).view(36, 1, 2, 3)
    images = LabelledImages(pixels, labels, tuple("abcdef"), "corners")
    return EpisodeSource(images, EpisodeSpec(3, 1, 3), 0, Normalization(torch.zeros(1), torch.ones(1)))


class OnFeatures(MetaLearner):
    """A ProtoNet head on features that are made by hand."""

    has_features = True

    def __init__(self) -> None:
        super().__init__()
        self.features, self.head = Corners(), ProtoNetHead()

    def items(self, images: Tensor) -> Tensor:
        return self.features(images.flatten(0, -4)).unflatten(0, images.shape[:-3])

    def logits(self, episodes) -> Tensor:
        return self.head(episodes.support, episodes.support_labels, episodes.query, episodes.ways)

    def forward(self, episodes) -> Tensor:
        return self.logits(episodes.with_items(self.items))


def test_what_is_far_from_all_prototypes_is_found() -> None:
    episodes = cornered(noise=0.1)
    (outcomes,) = evaluate_all(OnFeatures(), Plain(), [selection(episodes, range(8), 3)])
    found = outcomes["single"]
    assert found.aurocs["logit"].tolist() == found.aurocs["energy"].tolist() == [1.0] * 8
    assert found.accuracies.tolist() == [1.0] * 8


def test_queries_that_are_all_alike_are_told_apart_by_chance() -> None:
    episodes = cornered(noise=0.0)
    episodes.images.images.zero_()
    (outcomes,) = evaluate_all(OnFeatures(), Plain(), [selection(episodes, range(4), 3)])
    assert all(values.tolist() == [0.5] * 4 for values in outcomes["single"].aurocs.values())


@pytest.mark.parametrize("kind", ["ridge", "nearest"])
def test_a_team_finds_the_aurocs_of_one_process(kind: str) -> None:
    """Three processes; of the second selection one of them has no episode."""
    model, episodes = learner(kind), source()
    asked, size = [selection(episodes, range(7)), selection(episodes, [3, 1])], 3
    expected = evaluate_all(model, OBJECTIVES["sla"], asked)
    barrier, table, twins = threading.Barrier(size), [None] * size, [copy.deepcopy(model) for _ in range(size)]
    with ThreadPoolExecutor(size) as pool:
        jobs = [
            pool.submit(evaluate_all, twin, OBJECTIVES["sla"], asked, team=Thread(rank, size, barrier, table))
            for rank, twin in enumerate(twins)
        ]
        found = [outcomes for job in jobs for outcomes in job.result()]
    for ours, theirs in zip(found, expected * size, strict=True):
        assert same(ours, theirs)
        for name, outcome in theirs.items():
            assert list(ours[name].aurocs) == list(outcome.aurocs)
            assert all(torch.equal(ours[name].aurocs[score], values) for score, values in outcome.aurocs.items())

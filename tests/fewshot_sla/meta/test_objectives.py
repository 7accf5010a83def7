"""Objectives: what is trained on, and the loss, against loops written from the papers."""

import math
from collections.abc import Sequence

import pytest
import torch
from torch import Tensor

from episodes import EpisodeBatch, Identity, Rotation, Targets, Transformations, UserError, named_transformations
from episodes.views import add_views
from fewshot_sla.meta import DA, SLA, EpisodeObjective, Plain

N, K, Q = 3, 2, 4


def episodes(t: int = 2) -> EpisodeBatch:
    generator = torch.Generator().manual_seed(0)

    def images(n: int) -> Tensor:
        return torch.randn(t, N * n, 3, 4, 4, generator=generator)

    def labels(n: int) -> Tensor:
        return torch.stack([torch.arange(N).repeat(n)[torch.randperm(N * n, generator=generator)] for _ in range(t)])

    return EpisodeBatch(images(K), labels(K), images(Q), Targets(labels(Q)), N)


class Given:
    """Episodes made by hand, as a source."""

    def __init__(self, batch: EpisodeBatch) -> None:
        self.batch = batch

    def views(self, numbers: Sequence[int] | range, transformations: Transformations) -> EpisodeBatch:
        return add_views(self.batch, transformations)


def expanded_by(objective: EpisodeObjective, batch: EpisodeBatch) -> EpisodeBatch:
    return objective.episodes(Given(batch), range(len(batch.support)))


def assert_same(one: EpisodeBatch, other: EpisodeBatch) -> None:
    assert all(torch.equal(a, b) for a, b in zip(one[:3], other[:3], strict=True))
    assert torch.equal(one.query_labels, other.query_labels)
    assert one.ways == other.ways


def slow_loss(logits: Tensor, labels: Tensor, smoothing: float) -> float:
    """MetaOptNet's loss, one query and one class at a time.

    train.py of kjunelee/MetaOptNet: smoothed = one_hot * (1 - eps) + (1 - one_hot) * eps / (n_way - 1), and the loss
    is -(smoothed * log_prob).sum(dim=1).mean().
    """
    losses = []
    for rows, row_labels in zip(logits.tolist(), labels.tolist(), strict=True):
        for row, label in zip(rows, row_labels, strict=True):
            log_total = math.log(sum(math.exp(value) for value in row))
            loss = 0.0
            for w, value in enumerate(row):
                target = 1 - smoothing if w == label else smoothing / (len(row) - 1)
                loss -= target * (value - log_total)
            losses.append(loss)
    return sum(losses) / len(losses)


@pytest.mark.parametrize("smoothing", [0.0, 0.1, 0.49])
@pytest.mark.parametrize("ways", [2, 5, 20])
def test_the_loss_is_metaoptnets(smoothing: float, ways: int) -> None:
    generator = torch.Generator().manual_seed(0)
    logits = 3 * torch.randn(3, 7, ways, generator=generator, dtype=torch.float64)
    labels = torch.randint(0, ways, (3, 7), generator=generator)
    for objective in (Plain(smoothing), DA(Rotation(), smoothing), SLA(Rotation(), smoothing)):
        loss = objective.loss(logits, Targets(labels))
        assert loss.shape == ()
        assert loss.item() == pytest.approx(slow_loss(logits, labels, smoothing), rel=1e-12)


@pytest.mark.parametrize("smoothing", [-0.1, 0.5, 1.0, float("nan")])
def test_impossible_smoothing_is_named_before_training(smoothing: float) -> None:
    with pytest.raises(UserError, match=f"label_smoothing must be at least 0 and below 0.5, got {smoothing}"):
        Plain(smoothing)
    with pytest.raises(UserError, match="label_smoothing"):
        SLA(Rotation(), label_smoothing=smoothing)


def test_the_loss_of_sla_is_the_mean_over_the_views_of_each_image() -> None:
    """Eq. 3 of Lee et al.: 1/M * sum_j of the loss of view j at the joint label (y, j)."""
    objective = SLA(Rotation())
    labels = episodes(1).query_labels
    joint = torch.randn(1, N * Q * 4, N * 4, dtype=torch.float64)
    joint_labels = expanded_by(objective, episodes(1)).query_labels
    by_view = []
    for j in range(4):
        rows = [r * 4 + j for r in range(N * Q)]
        log_probability = joint[0, rows].log_softmax(-1)
        by_view.append(-sum(log_probability[r, labels[0, r] * 4 + j] for r in range(N * Q)) / (N * Q))
    torch.testing.assert_close(objective.loss(joint, Targets(joint_labels)), sum(by_view) / 4)


def test_plain_trains_on_the_episode_as_it_is() -> None:
    batch = episodes()
    expanded = expanded_by(Plain(), batch)
    assert_same(expanded, batch)


@pytest.mark.parametrize("name", ["rotation4", "color3", "rotation4+color6"])
def test_da_trains_on_copies_that_keep_their_label(name: str) -> None:
    transformations = named_transformations(name)
    m, batch = transformations.m, episodes()
    expanded = expanded_by(DA(transformations), batch)
    assert expanded.ways == N
    for t in range(2):
        assert torch.bincount(expanded.support_labels[t]).tolist() == [K * m] * N  # N ways, K * M shots
        for r in range(N * Q):
            for j, view in enumerate(transformations(batch.query[t, r])):
                assert torch.equal(expanded.query[t, r * m + j], view)
                assert expanded.query_labels[t, r * m + j] == batch.query_labels[t, r]


def test_sla_trains_on_joint_labels() -> None:
    batch = episodes()
    expanded = expanded_by(SLA(Rotation()), batch)
    assert expanded.ways == N * 4
    for t in range(2):
        assert torch.bincount(expanded.support_labels[t]).tolist() == [K] * N * 4  # N * M ways, K shots
        for r in range(N * Q):
            for j in range(4):
                assert torch.equal(expanded.query[t, r * 4 + j], torch.rot90(batch.query[t, r], j, (1, 2)))
                assert expanded.query_labels[t, r * 4 + j] == batch.query_labels[t, r] * 4 + j


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
@pytest.mark.parametrize("make", [SLA, DA])
def test_with_the_identity_alone_they_are_plain(make: type[EpisodeObjective], smoothing: float) -> None:
    plain, augmented, batch = Plain(smoothing), make(Identity(), smoothing), episodes()
    a, b = expanded_by(plain, batch), expanded_by(augmented, batch)
    assert_same(a, b)
    logits = torch.randn(2, N * Q, N)
    assert torch.equal(plain.loss(logits, a.query_targets), augmented.loss(logits, b.query_targets))
    for inference in augmented.inferences.values():
        assert torch.equal(inference.predict(logits, 1), logits)


@pytest.mark.parametrize("objective", [Plain(), DA(Rotation()), SLA(Rotation())])
def test_every_inference_ends_in_the_n_way_logits_of_the_queries(objective: EpisodeObjective) -> None:
    assert objective.primary in objective.inferences
    m = objective.transformations.m
    views = episodes()._replace(
        support=objective.transformations(episodes().support), query=objective.transformations(episodes().query)
    )
    for inference in objective.inferences.values():
        labelled = inference.labelling(views)
        # Logits that are right about every row that the learner is given must be right about every query.
        logits = torch.nn.functional.one_hot(labelled.query_labels, labelled.ways).float()
        prediction = inference.predict(logits, m)
        assert prediction.shape == (2, N * Q, N)
        assert torch.equal(prediction.argmax(-1), episodes().query_labels)


def test_the_names_of_the_inferences_are_those_of_the_results_file() -> None:
    assert list(Plain.inferences) == ["single"]
    assert list(DA.inferences) == list(SLA.inferences) == ["single", "aggregated"]
    assert (Plain.primary, SLA.primary) == ("single", "aggregated")

"""Scores and votes against a slow loop over queries, views and classes, and against the evaluation of episodes."""

import pytest
import torch

from episodes import EpisodeSource, EpisodeSpec, Rotation
from fewshot_sla.heads import ProtoNetHead, RidgeHead, SVMHead
from fewshot_sla.meta import DA, SLA
from fewshot_sla.meta.objectives import EpisodeObjective
from fewshot_sla.meta.predictions import predict_episode
from fewshot_sla.prediction.predictor import fit
from fewshot_sla.prediction.scores import probabilities, score
from tests.fewshot_sla.prediction import small

GENERATOR = torch.Generator().manual_seed(1)
WAYS, LABELS = 3, torch.tensor([0, 2, 1, 1, 0, 2, 2])  # uneven shots, in no order
SUPPORT = torch.randn(7, 4, 5, generator=GENERATOR)  # [S, M, D]
QUERY = torch.randn(6, 4, 5, generator=GENERATOR)


def prototype_logits(support: torch.Tensor, labels: list[int], query: torch.Tensor, label: int) -> float:
    """Equation 1 of Snell et al. for one query and class, divided by D."""
    members = [row for row, its in zip(support, labels, strict=True) if its == label]
    return float(-((query - torch.stack(members).mean(dim=0)) ** 2).mean())


def by_loops(objective: EpisodeObjective) -> torch.Tensor:
    """[R, M, N]: what view j of a query says of class y."""
    said = torch.zeros(len(QUERY), 4, WAYS)
    for r, j, y in ((r, j, y) for r in range(len(QUERY)) for j in range(4) for y in range(WAYS)):
        if isinstance(objective, SLA):  # only the support's views of the same kind count
            said[r, j, y] = prototype_logits(SUPPORT[:, j], LABELS.tolist(), QUERY[r, j], y)
        else:
            labels = [label for label in LABELS.tolist() for _ in range(4)]
            said[r, j, y] = prototype_logits(SUPPORT.flatten(0, 1), labels, QUERY[r, j], y)
    return said


@pytest.mark.parametrize("objective", [SLA(Rotation()), DA(Rotation())], ids=["sla", "da"])
def test_the_mean_of_what_the_views_say_and_how_each_of_them_votes(objective: EpisodeObjective) -> None:
    learner = small.network()
    found = score(learner, objective.inferences["aggregated"], SUPPORT[None], LABELS[None], QUERY[None], WAYS)
    said = by_loops(objective)
    torch.testing.assert_close(found.logits[0], said.mean(dim=1))
    assert torch.equal(found.votes[0], said.argmax(dim=-1))
    assert len(found.votes.unique()) > 1


def test_a_single_inference_has_a_single_view() -> None:
    for name, objective in small.objectives().items():
        m = objective.transformations.m
        inference = objective.inferences["single"]
        found = score(small.network(), inference, SUPPORT[None, :, :m], LABELS[None], QUERY[None, :, :m], WAYS)
        said = torch.tensor(
            [[prototype_logits(SUPPORT[:, 0], LABELS.tolist(), query[0], y) for y in range(WAYS)] for query in QUERY]
        )
        torch.testing.assert_close(found.logits[0], said, msg=name)
        assert torch.equal(found.votes[0], said.argmax(dim=-1, keepdim=True))


def test_probabilities_are_a_softmax() -> None:
    logits = torch.randn(4, 3, generator=GENERATOR)
    shares = probabilities(logits)
    assert shares.dtype == torch.float64
    torch.testing.assert_close(shares, logits.double().exp() / logits.double().exp().sum(-1, keepdim=True))


@pytest.mark.parametrize("head", [ProtoNetHead(), RidgeHead(), SVMHead()], ids=lambda head: type(head).__name__)
@pytest.mark.parametrize("name", small.objectives())
def test_an_episode_is_predicted_as_in_the_evaluation(name: str, head) -> None:
    """The pictures of an episode, shown as a support set and as queries: the very labels of predict_episode."""
    objective = small.objectives()[name]
    model = small.model(objective, head)
    images = small.noisy_patterns()
    source = EpisodeSource(images, EpisodeSpec(5, 2, 6), 3, model.normalization)
    for number in range(3):
        episode, expected = predict_episode(model.learner, objective, source, number)
        predictor = fit(
            model,
            images.images[episode.support[0]].numpy(),
            episode.support_labels[0].numpy(),
            tuple("abcde"),
            inference=objective.primary,
        )
        found = predictor.predict(images.images[episode.query[0]].numpy())
        assert found.probabilities.argmax(axis=1).tolist() == expected.tolist()

"""Cosine and matching heads against loops over queries, classes and rows."""

import math

import pytest
import torch
from torch import Tensor

from episodes.errors import UserError
from fewshot_sla.heads import CosineHead, MatchingHead
from tests.fewshot_sla.heads.problems import problem


def cosine(a: Tensor, b: Tensor) -> float:
    return float((a * b).sum() / (a.square().sum().sqrt() * b.square().sum().sqrt()))


def test_cosine_equals_the_loop() -> None:
    support, labels, query, ways = problem()
    logits = CosineHead(scale=4.0)(support, labels, query, ways).detach()
    for t in range(3):
        for w in range(ways):
            rows = [
                row / row.square().sum().sqrt() for row, label in zip(support[t], labels[t], strict=True) if label == w
            ]
            for r in range(4):
                assert float(logits[t, r, w]) == pytest.approx(4 * cosine(query[t, r], sum(rows)), rel=1e-6)


@pytest.mark.parametrize("scale", [1.0, 10.0])
def test_matching_equals_the_loop(scale: float) -> None:
    support, labels, query, ways = problem()
    logits = MatchingHead(scale)(support, labels, query, ways).detach()
    for t in range(3):
        for r in range(4):
            shares = [math.exp(scale * cosine(query[t, r], row)) for row in support[t]]
            for w in range(ways):
                share = sum(s for s, label in zip(shares, labels[t].tolist(), strict=True) if label == w) / sum(shares)
                assert float(logits[t, r, w]) == pytest.approx(math.log(share), rel=1e-6)


def test_a_large_scale_is_the_nearest_neighbour_and_does_not_underflow() -> None:
    support, labels, query, ways = (x.float() if torch.is_tensor(x) and x.is_floating_point() else x for x in problem())
    query.requires_grad_()
    logits = MatchingHead(1e4)(support, labels, query, ways)
    similar = torch.cosine_similarity(query[:, :, None], support[:, None], dim=-1)
    assert torch.equal(logits.argmax(-1), labels.gather(1, similar.argmax(-1)))
    (gradient,) = torch.autograd.grad(logits.sum(), query)
    assert bool(gradient.isfinite().all())
    assert float(gradient.abs().max()) > 0
    assert float(logits.detach().min()) < -1000  # float32 holds no probability as small


def test_a_fixed_scale_is_saved_but_not_trained() -> None:
    head = MatchingHead(3.0, learn_scale=False)
    assert list(head.parameters()) == []
    assert head.state_dict()["scale"] == 3
    with pytest.raises(UserError, match="MatchingHead: scale must be positive"):
        MatchingHead(0.0)

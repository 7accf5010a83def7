"""FEAT against torch's attention, one set at a time; its auxiliary loss against a loop over classes."""

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from episodes.errors import UserError
from episodes.targets import Targets
from fewshot_sla.backbones import FeatureShape
from fewshot_sla.heads import FEATHead
from fewshot_sla.training.randomness import seeded
from tests.fewshot_sla.heads.problems import problem


def told(**arguments: float) -> FEATHead:
    head = FEATHead(dropout=0, attention_dropout=0, **arguments)
    with seeded(0):
        head.told(FeatureShape(6))
        for parameter in head.attention.parameters():
            parameter.data.normal_(std=0.5)
    return head.double()


def adapted(head: FEATHead, rows: Tensor) -> Tensor:  # [n, D], one set
    part = head.attention
    q, k, v = (rows @ layer.weight.T for layer in (part.queries, part.keys, part.values))
    seen = functional.scaled_dot_product_attention(q[None], k[None], v[None])[0] @ part.linear.weight.T
    return functional.layer_norm(rows + seen + part.linear.bias, (6,), part.norm.weight, part.norm.bias)


def test_it_equals_attention_over_the_prototypes() -> None:
    support, labels, query, ways = problem()
    head = told(scale=2.0)
    logits = head(support, labels, query, ways)
    for t in range(3):
        means = adapted(head, torch.stack([support[t][labels[t] == w].mean(0) for w in range(ways)]))
        for r in range(4):
            for w in range(ways):
                torch.testing.assert_close(logits[t, r, w], -2 * (query[t, r] - means[w]).square().sum() / 6)


def test_its_loss_equals_the_loop_over_classes() -> None:
    support, labels, query, ways = problem()
    mixed = Targets(
        torch.tensor([[0, 1, 2, 0], [1, 1, 1, 2], [2, 0, 0, 1]]),
        torch.zeros(3, 4, dtype=torch.int64),
        torch.tensor([[0.9, 0.2, 0.8, 1.0]] * 3),
    )
    head = told(scale=2.0, auxiliary=0.3)
    logits, loss = head.forward_with_loss(support, labels, query, mixed, ways)
    terms = []
    for t in range(3):
        rows, own = torch.cat([support[t], query[t]]), [*labels[t].tolist(), *mixed.labels[t].tolist()]
        own[8] = 0  # the heavier label of the second query
        centres = torch.stack(
            [adapted(head, rows[[n for n, label in enumerate(own) if label == w]]).mean(0) for w in range(ways)]
        )
        for row, label in zip(rows, own, strict=True):
            scores = -2 * (row - centres).square().sum(-1) / 6
            terms.append(scores.logsumexp(0) - scores[label])
    torch.testing.assert_close(loss, 0.3 * torch.stack(terms).mean())
    torch.testing.assert_close(logits, head(support, labels, query, ways))
    rows = (support[:1].clone().requires_grad_(), query[:1].clone().requires_grad_())
    first = mixed.each(lambda part: part[:1])
    assert torch.autograd.gradcheck(lambda s, q: head.forward_with_loss(s, labels[:1], q, first, ways)[1], rows)


def test_what_cannot_be() -> None:
    with pytest.raises(UserError, match="four matrices of 16000 x 16000 numbers for features 640x5x5; average them"):
        FEATHead().told(FeatureShape(640, 5, 5))
    with pytest.raises(UserError, match="was not told the shape"):
        FEATHead()(*problem())
    with pytest.raises(UserError, match="dropout must be at least 0 and less than 1"):
        FEATHead(dropout=1)
    with pytest.raises(UserError, match="auxiliary"):
        FEATHead(auxiliary=-1)

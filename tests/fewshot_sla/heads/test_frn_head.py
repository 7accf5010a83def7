"""FRN against its formula, class by class and query by query, in numpy; its auxiliary loss against a loop over rows."""

import numpy as np
import pytest
import torch

from episodes.errors import UserError
from episodes.targets import Targets
from fewshot_sla.backbones import FeatureShape
from fewshot_sla.heads import FRNHead
from fewshot_sla.heads.frn import overlap
from tests.fewshot_sla.heads.problems import problem


def places(features: torch.Tensor, shape: FeatureShape) -> np.ndarray:  # [n, D] -> [n*r, C]
    return features.view(-1, shape.channels, shape.height * shape.width).mT.flatten(0, 1).numpy()


@pytest.mark.parametrize("shape", [FeatureShape(2, 2, 3), FeatureShape(40, 1, 2)])  # more rows than channels, and fewer
def test_it_equals_the_formula(shape: FeatureShape) -> None:
    support, labels, query, ways = problem(shape.numbers)
    head = FRNHead(scale=3.0).double()
    head.told(shape)
    head.alpha.data.fill_(0.4)
    head.beta.data.fill_(-0.3)
    logits = head(support, labels, query, ways).detach().numpy()
    d = shape.channels
    for t in range(3):
        for w in range(ways):
            rows = places(support[t][labels[t] == w], shape) / np.sqrt(d)
            ridge = len(rows) / d * np.exp(0.4) + 1e-6
            hat = np.linalg.solve(rows.T @ rows + ridge * np.eye(d), rows.T @ rows)
            for r in range(4):
                asked = places(query[t, r], shape) / np.sqrt(d)
                error = ((np.exp(-0.3) * asked @ hat - asked) ** 2).sum(1).mean()
                np.testing.assert_allclose(logits[t, r, w], -3 * error, rtol=1e-9)


def test_classes_overlap_as_the_loop_says_and_the_loss_has_its_gradient() -> None:
    shape = FeatureShape(3, 1, 2)
    support, labels, query, ways = problem(shape.numbers)
    cosines = []
    for t in range(3):
        for a in range(7):
            for b in range(7):
                if labels[t, a] != labels[t, b]:
                    ours, theirs = (places(support[t, n], shape) for n in (a, b))
                    cosines += [(x @ y / np.linalg.norm(x) / np.linalg.norm(y)) ** 2 for x in ours for y in theirs]
    unfolded = support.unflatten(-1, tuple(shape))
    assert float(overlap(unfolded, labels)) == pytest.approx(np.mean(cosines))

    head = FRNHead(auxiliary=0.5).double()
    head.told(shape)
    targets = Targets(torch.zeros(3, 4, dtype=torch.int64))
    logits, loss = head.forward_with_loss(support, labels, query, targets, ways)
    assert torch.equal(logits, head(support, labels, query, ways))
    assert float(loss) == pytest.approx(0.5 * np.mean(cosines))
    assert torch.autograd.gradcheck(
        lambda rows: head.forward_with_loss(rows, labels[:1], query[:1], targets, ways)[1],
        support[:1].clone().requires_grad_(),
    )


def test_without_a_weight_there_is_no_loss() -> None:
    head = FRNHead(auxiliary=0).double()
    head.told(FeatureShape(3, 1, 2))
    support, labels, query, ways = problem()
    assert (
        head.forward_with_loss(support, labels, query, Targets(torch.zeros(3, 4, dtype=torch.int64)), ways)[1] is None
    )
    with pytest.raises(UserError, match="auxiliary must be at least 0"):
        FRNHead(auxiliary=-1)

"""R2-D2 against its formula, an episode at a time in numpy, and what sets it apart from MetaOptNet's ridge."""

import numpy as np
import pytest
import torch
from torch.nn.functional import cross_entropy

from episodes.errors import UserError
from fewshot_sla.heads import R2D2Head, RidgeHead
from fewshot_sla.heads.r2d2 import r2d2_logits
from tests.fewshot_sla.heads.problems import problem


@pytest.mark.parametrize("dimension", [3, 6, 20])  # with the bias: D < S, D = S, D > S
def test_equals_the_formula(dimension: int) -> None:
    """Bertinetto et al., eq. 4, with A = X~ / sqrt(n) and B = Y / sqrt(n) as in their program."""
    support, labels, query, ways = problem(dimension)
    logits = r2d2_logits(support, labels, query, ways, 0.7)
    for t in range(3):
        n = len(labels[t])
        A = np.hstack([support[t].numpy(), np.ones((n, 1))]) / np.sqrt(n)
        B = np.eye(ways)[labels[t].numpy()] / np.sqrt(n)
        W = np.linalg.inv(A.T @ A + 0.7 * np.eye(dimension + 1)) @ A.T @ B
        torch.testing.assert_close(logits[t], torch.from_numpy(query[t].numpy() @ W[:-1] + W[-1]))


def test_rows_given_twice_say_nothing_new() -> None:
    """lambda is beside a mean over the rows; MetaOptNet's is beside their sum."""
    support, labels, query, ways = problem()
    twice = torch.cat([support, support], 1), torch.cat([labels, labels], 1), query, ways
    for head, same in ((R2D2Head(), True), (RidgeHead(), False)):
        assert torch.allclose(head(*twice), head(support, labels, query, ways), rtol=1e-6) == same


def test_lambda_and_scale_are_learned_and_the_offset_is_beyond_cross_entropy() -> None:
    head = R2D2Head(regularization=2.0, scale=3.0).double()
    logits = head(*problem())
    torch.testing.assert_close(logits, 3 * r2d2_logits(*problem(), 2.0))
    cross_entropy(logits.flatten(0, 1), torch.arange(12) % 3).backward()
    assert min(abs(float(head.scale.grad)), abs(float(head.log_regularization.grad))) > 1e-6
    assert abs(float(head.offset.grad)) < 1e-15
    fixed = R2D2Head(learn_scale=False, learn_regularization=False)
    assert [name for name, _ in fixed.named_parameters()] == ["offset"]
    assert set(fixed.state_dict()) == set(head.state_dict())


def test_refuses_a_regularization_that_is_not_positive() -> None:
    with pytest.raises(UserError, match="R2D2Head: regularization"):
        R2D2Head(regularization=0.0)

"""Logistic regression as a head, against scikit-learn on the same features."""

import pytest
import torch
from sklearn.linear_model import LogisticRegression

from episodes.errors import UserError
from fewshot_sla.heads import LogisticRegressionHead
from fewshot_sla.solvers.errors import NonFiniteInputError
from tests.fewshot_sla.heads.problems import problem


@pytest.mark.parametrize("normalize", [True, False])
@pytest.mark.parametrize("bias", [True, False])
def test_probabilities_are_scikit_learns(normalize: bool, bias: bool) -> None:
    support, labels, query, ways = problem(20)
    found = LogisticRegressionHead(2.0, normalize, bias)(support, labels, query, ways).softmax(-1)
    if normalize:
        support, query = (features / features.norm(dim=-1, keepdim=True) for features in (support, query))
    for t in range(3):
        peer = LogisticRegression(C=2.0, tol=1e-10, solver="newton-cg", fit_intercept=bias)
        peer.fit(support[t].numpy(), labels[t].numpy())
        expected = torch.from_numpy(peer.predict_proba(query[t].numpy()))
        torch.testing.assert_close(found[t], expected, rtol=1e-6, atol=1e-8)


def test_the_scale_comes_last_and_float32_is_fitted_in_float64() -> None:
    support, labels, query, ways = problem()
    logits = LogisticRegressionHead()(support, labels, query, ways)
    torch.testing.assert_close(LogisticRegressionHead(scale=3.0)(support, labels, query, ways), 3 * logits)
    single = LogisticRegressionHead()(support.float(), labels, query.float(), ways)
    torch.testing.assert_close(single, logits.float(), rtol=1e-4, atol=1e-6)


def test_errors_are_named() -> None:
    support, labels, query, ways = problem()
    support[1, 2, 3] = torch.nan
    with pytest.raises(NonFiniteInputError, match="episode 1 of 3"):
        LogisticRegressionHead()(support, labels, query, ways)
    with pytest.raises(UserError, match="LogisticRegressionHead: C must be positive"):
        LogisticRegressionHead(C=0.0)

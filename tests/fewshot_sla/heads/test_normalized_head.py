"""CL2N against the loop of SimpleShot's paper, and a centre of the size that the head is told."""

from pathlib import Path

import pytest
import torch

from episodes.errors import UserError
from fewshot_sla.backbones import FeatureShape
from fewshot_sla.heads import CosineHead, NormalizedHead, ProtoNetHead
from fewshot_sla.runs.checkpoint import load_weights
from tests.fewshot_sla.heads.problems import problem


def test_simpleshot_equals_the_loop() -> None:
    support, labels, query, ways = problem()
    mean = torch.randn(6, dtype=torch.float64)
    head = NormalizedHead(ProtoNetHead()).eval()
    head.keep_base_mean(mean)
    logits = head(support, labels, query, ways)
    for t in range(3):
        rows, queries = ([(x - mean) / (x - mean).norm() for x in given[t]] for given in (support, query))
        for w in range(ways):
            own = [row for row, label in zip(rows, labels[t], strict=True) if label == w]
            prototype = sum(own, torch.zeros(6)) / len(own)
            for r, q in enumerate(queries):
                torch.testing.assert_close(logits[t, r, w], -(q - prototype).square().sum() / 6)


def test_without_a_centre_or_in_training_features_are_normalised_only() -> None:
    support, labels, query, ways = problem()
    expected = ProtoNetHead()(
        *(x / x.norm(dim=-1, keepdim=True) if x.ndim == 3 else x for x in (support, labels, query)), ways
    )
    off, training, untold = (
        NormalizedHead(ProtoNetHead(), centre=False).eval(),
        NormalizedHead(ProtoNetHead()),
        NormalizedHead(ProtoNetHead()).eval(),
    )
    for head in (off, training):
        head.keep_base_mean(torch.ones(6))
    for head in (off, training, untold):
        torch.testing.assert_close(head(support, labels, query, ways), expected)
    assert (off.needs_base_mean, training.needs_base_mean) == (False, True)


def test_the_centre_is_saved_and_has_the_size_that_was_told() -> None:
    trained, empty = NormalizedHead(CosineHead()), NormalizedHead(CosineHead())
    for head in (trained, empty):
        head.told(FeatureShape(6))
    before = {name: value.clone() for name, value in empty.state_dict().items()}
    trained.keep_base_mean(torch.randn(6))
    load_weights(empty, trained.state_dict(), Path("a"))
    assert torch.equal(empty.base_mean, trained.base_mean)
    with pytest.raises(UserError, match="another shape base_mean"):
        load_weights(empty, {**trained.state_dict(), "base_mean": torch.zeros(7)}, Path("a"))
    load_weights(trained, before, Path("a"))  # a snapshot of before the first validation: of no effect
    support, labels, query, ways = problem()
    features = (support / support.norm(dim=-1, keepdim=True), labels, query / query.norm(dim=-1, keepdim=True), ways)
    torch.testing.assert_close(trained.eval()(support, labels, query, ways), CosineHead()(*features))


def test_a_calibrated_start_reaches_the_head_inside() -> None:
    support, labels, query, ways = problem()
    head, alone = NormalizedHead(ProtoNetHead()), ProtoNetHead()
    head.calibrate(100 * support, labels, 100 * query, ways)
    alone.calibrate(*(x / x.norm(dim=-1, keepdim=True) if x.ndim == 3 else x for x in (support, labels, query)), ways)
    torch.testing.assert_close(head.head.scale, alone.scale)


def test_a_centre_that_does_not_fit_is_named() -> None:
    head = NormalizedHead(ProtoNetHead()).eval()
    with pytest.raises(UserError, match="finite vector"):
        head.keep_base_mean(torch.full((3,), torch.nan))
    head.keep_base_mean(torch.zeros(5))
    with pytest.raises(UserError, match="features have 5 numbers, the centre has 4"):
        head.keep_base_mean(torch.zeros(4))
    with pytest.raises(UserError, match="features have 6 numbers, the centre has 5"):
        head(*problem())

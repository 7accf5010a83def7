"""Leaving one out against doing it by hand, and the interval against scipy's."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binomtest

from fewshot_sla.heads import ProtoNetHead, RidgeHead, SVMHead
from fewshot_sla.prediction import leave_one_out as module
from fewshot_sla.prediction.leave_one_out import confusion, leave_one_out, wilson_interval
from fewshot_sla.prediction.predictor import fit
from fewshot_sla.prediction.prototypes import by_prototypes, leave_out_of_prototypes
from tests.fewshot_sla.prediction import small
from tests.integration.plugins import NearestPixels

GENERATOR = torch.Generator().manual_seed(2)
LABELS = torch.tensor([0, 1, 2, 0, 1, 3, 0, 1, 1])  # classes 2 and 3 have a single picture
ITEMS = torch.randn(9, 4, 6, generator=GENERATOR)


@pytest.mark.parametrize("head", [ProtoNetHead(), RidgeHead(), SVMHead()], ids=lambda head: type(head).__name__)
@pytest.mark.parametrize("name", small.objectives())
def test_each_picture_is_predicted_by_the_others(name: str, head) -> None:
    objective = small.objectives()[name]
    m = objective.transformations.m
    inference = objective.inferences[objective.primary]
    left = leave_one_out(small.network(head=head), inference, ITEMS[:, :m], LABELS, 4)
    assert left.rows.tolist() == [0, 1, 3, 4, 6, 7, 8]
    assert left.eligible == 7
    for row, predicted in zip(left.rows.tolist(), left.predicted.tolist(), strict=True):
        others = [other for other in range(9) if other != row]
        views = small.episode(ITEMS[others, :m], LABELS[others], ITEMS[row : row + 1, :m], 4)
        labelled = inference.labelling(views)
        raw = head(labelled.support, labelled.support_labels, labelled.query, labelled.ways)
        assert predicted == int(inference.predict(raw, m)[0, 0].argmax())


def test_many_at_once_or_one_after_the_other(monkeypatch: pytest.MonkeyPatch) -> None:
    inference = small.objectives()["sla"].inferences["aggregated"]
    together = leave_one_out(small.network(), inference, ITEMS, LABELS, 4)
    told = []
    monkeypatch.setattr(module, "_BUDGET", 1)
    alone = leave_one_out(small.network(), inference, ITEMS, LABELS, 4, on_progress=lambda *far: told.append(far))
    assert together.predicted.tolist() == alone.predicted.tolist()
    assert told == [("leaving one out", done, 7) for done in range(1, 8)]


@pytest.mark.parametrize(
    ("name", "inference"),
    [("sla", "aggregated"), ("sla", "single"), ("plain", "single"), ("da", "single"), ("da", "aggregated")],
)
def test_the_quick_way_for_prototypes_gives_the_logits_of_the_head(name: str, inference: str) -> None:
    objective = small.objectives()[name]
    chosen, items = objective.inferences[inference], ITEMS[:, : objective.transformations.m]
    learner, left = small.network(head=ProtoNetHead(scale=3.0)), torch.tensor([0, 1, 3, 8])
    assert by_prototypes(learner)
    quick = leave_out_of_prototypes(learner, chosen, items, LABELS, left, 4)
    by_head = module._by_the_head(learner, chosen, items, LABELS, left, 4)
    torch.testing.assert_close(quick, by_head, atol=1e-5, rtol=1e-5)


def test_the_quick_way_is_for_prototypes_only() -> None:
    class Own(ProtoNetHead):
        """Might do anything."""

    assert not by_prototypes(small.network(head=RidgeHead()))
    assert not by_prototypes(small.network(head=Own()))
    assert not by_prototypes(NearestPixels())
    assert by_prototypes(small.network())


def test_of_very_large_support_sets_fewer_are_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    inference = small.objectives()["sla"].inferences["aggregated"]
    for head, cells in ((ProtoNetHead(), 16 * 16), (RidgeHead(), 16 * 9 * 4)):
        monkeypatch.setattr(module, "_CELLS", 2 * cells)
        assert len(leave_one_out(small.network(head=head), inference, ITEMS, LABELS, 4).rows) == 2


def test_of_many_pictures_some_are_drawn_the_same_each_time() -> None:
    inference = small.objectives()["plain"].inferences["single"]
    whole = leave_one_out(small.network(), inference, ITEMS[:, :1], LABELS, 4)
    some = leave_one_out(small.network(), inference, ITEMS[:, :1], LABELS, 4, most=3)
    again = leave_one_out(small.network(), inference, ITEMS[:, :1], LABELS, 4, most=3)
    assert len(some.rows) == 3
    assert some.eligible == 7
    assert some.rows.tolist() == again.rows.tolist()
    answers = dict(zip(whole.rows.tolist(), whole.predicted.tolist(), strict=True))
    assert [answers[row] for row in some.rows.tolist()] == some.predicted.tolist()


def test_where_every_class_has_one_picture_there_is_nothing_to_leave_out() -> None:
    pictures, labels = small.pictures(3, 1)
    left = fit(small.model(), pictures, labels, tuple("abc")).leave_one_out()
    assert (len(left.rows), len(left.predicted), left.eligible) == (0, 0, 0)


def test_a_picture_that_lies_in_the_wrong_class_is_found_out() -> None:
    pictures, labels = small.pictures(4, 6)
    labels[0] = 2
    left = fit(small.model(), pictures, labels, tuple("abcd")).leave_one_out()
    assert left.predicted[0] != 2


@given(st.integers(1, 400).flatmap(lambda of: st.tuples(st.integers(0, of), st.just(of))))
def test_the_interval_is_wilsons(trial: tuple[int, int]) -> None:
    right, of = trial
    expected = binomtest(right, of).proportion_ci(0.95, "wilson")
    assert wilson_interval(right, of) == pytest.approx((expected.low, expected.high), abs=1e-12)
    assert wilson_interval(of, of)[1] == 1  # exactly: the page calls what is a little less ">99 %"
    assert wilson_interval(0, of)[0] == 0


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3)), max_size=30))
def test_the_confusion_counts_pairs(pairs: list[tuple[int, int]]) -> None:
    table = confusion([true for true, _ in pairs], [predicted for _, predicted in pairs], 4)
    assert table.tolist() == [[pairs.count((true, predicted)) for predicted in range(4)] for true in range(4)]

"""Labels and mixtures of two, against loops over rows."""

from itertools import product

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from episodes import Targets, UserError
from episodes.labelling import Labelling, identity_labelling, joint_labelling, repeated_labelling
from episodes.targets import check_targets

LABELLINGS = [identity_labelling, repeated_labelling, joint_labelling]


def mixture(seed: int = 0, shape: tuple[int, ...] = (2, 5), classes: int = 4) -> Targets:
    generator = torch.Generator().manual_seed(seed)
    labels, others = (torch.randint(classes, shape, generator=generator) for _ in range(2))
    return Targets(labels, others, torch.rand(shape, generator=generator))


@given(st.integers(0, 2**31), st.integers(1, 6), st.sampled_from(LABELLINGS), st.booleans())
def test_views_of_a_mixture_have_both_labels_in_the_same_shares(
    seed: int, m: int, labelling: Labelling, mixed: bool
) -> None:
    targets = mixture(seed) if mixed else Targets(mixture(seed).labels)
    found = labelling.targets(targets, m)
    views = 1 if labelling is identity_labelling else m
    assert found.labels.shape == (2, 5 * views)
    assert found.is_mixed == mixed

    def name(label: Tensor, j: int) -> int:
        return int(label) * m + j if labelling is joint_labelling else int(label)

    for t, r, j in product(range(2), range(5), range(views)):
        assert found.labels[t, r * views + j] == name(targets.labels[t, r], j)
        if targets.others is not None:
            assert found.others[t, r * views + j] == name(targets.others[t, r], j)
            assert found.share[t, r * views + j] == targets.share[t, r]


@given(st.integers(0, 2**31), st.integers(1, 5), st.integers(2, 5), st.sampled_from(LABELLINGS))
def test_what_is_so_for_a_class_is_so_for_its_labels(seed: int, m: int, classes: int, labelling: Labelling) -> None:
    values = torch.rand(classes, generator=torch.Generator().manual_seed(seed))
    by_label = labelling.per_label(values, m)
    assert len(by_label) == labelling.ways(classes, m)
    for y in range(classes):
        for label in labelling.label(torch.tensor(y), m).tolist():
            assert by_label[label] == values[y]


def test_the_mean_over_a_mixture() -> None:
    targets, values = mixture(), torch.tensor([1.0, 10.0, 100.0, 1000.0], dtype=torch.float64)
    found = targets.mean_of(lambda labels: values[labels])
    assert targets.others is not None
    assert targets.share is not None
    for index in torch.cartesian_prod(torch.arange(2), torch.arange(5)).tolist():
        a, b, share = (float(part[tuple(index)]) for part in targets)
        expected = share * values[int(a)] + (1 - share) * values[int(b)]
        assert float(found[tuple(index)]) == pytest.approx(float(expected), rel=1e-6)
    pure = Targets(targets.labels)
    assert torch.equal(pure.mean_of(lambda labels: values[labels]), values[targets.labels])


def test_the_heavier_label() -> None:
    targets = Targets(torch.tensor([0, 0, 0]), torch.tensor([1, 1, 1]), torch.tensor([0.5, 0.49, 0.51]))
    assert targets.heavier.tolist() == [0, 1, 0]
    assert Targets(torch.tensor([2])).heavier.tolist() == [2]


@pytest.mark.parametrize("share", [torch.tensor(0.3), torch.tensor([0.1, 0.2, 0.9])])
def test_rows_mixed_with_their_partners(share: Tensor) -> None:
    mixed = Targets(torch.tensor([4, 5, 6])).mixed(torch.tensor([2, 0, 1]), share)
    assert mixed.others is not None
    assert mixed.others.tolist() == [6, 4, 5]
    assert torch.equal(mixed.share, share.expand(3))
    with pytest.raises(UserError, match="mixed already cannot be mixed again"):
        mixed.mixed(torch.tensor([0, 1, 2]), share)


def test_targets_move_and_stack_as_a_whole() -> None:
    targets = mixture(shape=(3,))
    moved = targets.each(lambda part: part.to("meta"))
    assert all(part is not None and part.device.type == "meta" for part in moved)
    stacked = Targets.stack([targets, targets])
    assert torch.equal(stacked.share, torch.stack([targets.share, targets.share]))
    assert torch.equal(Targets.stack([Targets(targets.labels)]).labels, targets.labels.unsqueeze(0))
    with pytest.raises(UserError, match="of all episodes, or of none"):
        Targets.stack([targets, Targets(targets.labels)])


LABELS = torch.tensor([0, 1])


@pytest.mark.parametrize(
    ("targets", "message"),
    [
        (LABELS, "Mine must give Targets, not Tensor"),
        (Targets(LABELS, LABELS), "Mine: Targets have both others and share, or neither"),
        (Targets(LABELS.float()), r"Mine: labels must be int64 \[2\], not torch.float32 \[2\]"),
        (Targets(LABELS[:1]), r"Mine: labels must be int64 \[2\], not torch.int64 \[1\]"),
        (Targets(LABELS, LABELS, LABELS), r"Mine: share must be float \[2\], not torch.int64 \[2\]"),
        (Targets(LABELS, LABELS, torch.tensor(0.5)), r"Mine: share must be float \[2\], not torch.float32 \[\]"),
    ],
)
def test_targets_that_do_not_fit_are_told_in_one_line(targets: Targets, message: str) -> None:
    with pytest.raises(UserError, match=f"^{message}$"):
        check_targets(targets, (2,), "Mine")
    check_targets(mixture(shape=(2,)), (2,), "Mine")

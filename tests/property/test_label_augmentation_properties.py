"""What holds for every N, K, Q, M and every image: labels, transformations, aggregation."""

import itertools

import numpy as np
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from episodes import EpisodeBatch, Rotation, Subset, named_transformations
from episodes.labelling import joint_labelling, repeated_labelling
from episodes.labels import flatten_pairs, joint_label, split_joint_label, unflatten_pairs
from episodes.targets import Targets
from episodes.transformations import NAMED_SETS
from episodes.views import add_views
from fewshot_sla.inference import JOINT_AGGREGATED, JOINT_SINGLE, conditional_logits

counts = st.integers(1, 8)
seeds = st.integers(0, 2**32 - 1)
set_names = st.sampled_from(sorted(NAMED_SETS))


def images(seed: int, leading: tuple[int, ...] = (), size: int = 4) -> Tensor:
    return torch.rand(*leading, 3, size, size, generator=torch.Generator().manual_seed(seed))


# The codec


@given(st.integers(0, 10**9), st.integers(1, 1000), st.data())
def test_pairs_and_numbers_are_one_to_one(label: int, m: int, data: st.DataObject) -> None:
    view = data.draw(st.integers(0, m - 1))
    joint = joint_label(torch.tensor(label), view, m)
    assert joint.item() == label * m + view
    assert [part.item() for part in split_joint_label(joint, m)] == [label, view]


@given(st.integers(0, 10**12), st.integers(1, 1000))
def test_numbers_and_pairs_are_one_to_one(joint: int, m: int) -> None:
    label, view = split_joint_label(torch.tensor(joint), m)
    assert 0 <= view.item() < m
    assert joint_label(label, view, m).item() == joint


@given(counts, counts, st.integers(1, 3), st.integers(1, 3))
def test_flattening_follows_the_codec(n: int, m: int, before: int, after: int) -> None:
    pairs = torch.arange(before * n * m * after).reshape(before, n, m, after)
    joint = flatten_pairs(pairs, dim=1)
    for number in range(n * m):
        label, view = split_joint_label(torch.tensor(number), m)
        assert torch.equal(joint[:, number], pairs[:, label, view])
    assert torch.equal(unflatten_pairs(joint, 1, m), pairs)


# Transformations


@given(set_names, seeds, st.sampled_from([torch.uint8, torch.float16, torch.float32]), st.integers(1, 6))
def test_transformations_only_move_pixels(name: str, seed: int, dtype: torch.dtype, size: int) -> None:
    image = (images(seed, size=size) * 255).to(dtype)
    for view in named_transformations(name)(image):
        assert torch.equal(view.flatten().sort().values, image.flatten().sort().values)


@given(seeds, st.integers(0, 3), st.integers(0, 3))
def test_rotations_form_a_group(seed: int, first: int, second: int) -> None:
    views = Rotation()(images(seed))
    assert torch.equal(Rotation()(views[first])[second], views[(first + second) % 4])


@given(st.sampled_from(["color3", "color6", "rotation2", "rotation2+color3", "rotation4+color6"]), seeds)
def test_the_named_sets_are_closed(name: str, seed: int) -> None:
    """Any view of a view is a view again: so the joint labels of an image and of its copy are the same set."""
    transformations = named_transformations(name)
    views = transformations(images(seed))
    known = {view.numpy().tobytes() for view in views}
    assert len(known) == transformations.m
    assert {view.numpy().tobytes() for view in transformations(views).flatten(0, 1)} == known


@given(set_names, seeds, st.data())
def test_a_subset_is_a_choice_of_views(name: str, seed: int, data: st.DataObject) -> None:
    whole = named_transformations(name)
    others = data.draw(st.lists(st.sampled_from(range(whole.m)), unique=True).map(lambda js: [j for j in js if j]))
    chosen = [0, *others]
    subset = Subset(whole, [whole.names[j] for j in chosen])
    assert torch.equal(subset(images(seed, (2,))), whole(images(seed, (2,)))[:, chosen])


# Episodes


@st.composite
def batches(draw: st.DrawFn) -> EpisodeBatch:
    """Episodes with uneven shots, rows in any order, and images that can be told apart by any pixel."""
    t, n = draw(st.integers(1, 3)), draw(st.integers(2, 4))
    support_labels, query_labels = (
        torch.tensor(draw(st.lists(st.lists(st.integers(0, n - 1), min_size=r, max_size=r), min_size=t, max_size=t)))
        for r in (draw(st.integers(1, 5)), draw(st.integers(1, 5)))
    )
    support, query = (
        torch.arange(labels.numel()).add(offset).reshape(labels.shape)[..., None, None, None].expand(-1, -1, 3, 2, 2)
        for offset, labels in ((0, support_labels), (1000, query_labels))
    )
    return EpisodeBatch(support, support_labels, query, Targets(query_labels), n)


@given(batches(), set_names)
def test_joint_labels_can_be_read_back(batch: EpisodeBatch, name: str) -> None:
    transformations = named_transformations(name)
    m = transformations.m
    augmented = joint_labelling(add_views(batch, transformations))
    assert augmented.ways == batch.ways * m
    for items, labels, before, before_labels in (
        (augmented.support, augmented.support_labels, batch.support, batch.support_labels),
        (augmented.query, augmented.query_labels, batch.query, batch.query_labels),
    ):
        label, view = split_joint_label(labels, m)
        assert torch.equal(label, before_labels.repeat_interleave(m, dim=1))
        assert view.tolist() == [list(range(m)) * before.shape[1]] * before.shape[0]
        # All copies of an image carry its number: none has gone to another row, episode or side.
        assert torch.equal(items[..., 0, 0, 0], before[..., 0, 0, 0].repeat_interleave(m, dim=1))


@given(batches(), set_names)
def test_repeating_and_joining_differ_in_labels_alone(batch: EpisodeBatch, name: str) -> None:
    views = add_views(batch, named_transformations(name))
    joint, repeated = joint_labelling(views), repeated_labelling(views)
    assert torch.equal(joint.support, repeated.support)
    assert torch.equal(joint.query, repeated.query)
    assert torch.equal(split_joint_label(joint.query_labels, views.support.shape[2])[0], repeated.query_labels)


# Aggregation


@st.composite
def joint_logits(draw: st.DrawFn) -> tuple[Tensor, int]:
    """Joint logits of whole numbers (so that sums are exact), and M."""
    r, n, m = draw(st.integers(1, 4)), draw(st.integers(2, 5)), draw(st.sampled_from([1, 2, 3, 4, 6]))
    numbers = np.random.default_rng(draw(seeds)).integers(-100, 100, (1, r * m, n * m))
    return torch.from_numpy(numbers).double(), m


@given(joint_logits())
def test_inference_is_mean_and_first_of_the_conditional_logits(problem: tuple[Tensor, int]) -> None:
    joint, m = problem
    n, queries = joint.shape[2] // m, joint.shape[1] // m
    for r, y in itertools.product(range(queries), range(n)):
        conditional = [joint[0, r * m + j, y * m + j].item() for j in range(m)]
        assert conditional_logits(joint, m)[0, r, :, y].tolist() == conditional
        assert JOINT_SINGLE.predict(joint, m)[0, r, y].item() == conditional[0]
        assert abs(JOINT_AGGREGATED.predict(joint, m)[0, r, y].item() - sum(conditional) / m) < 1e-12


@given(joint_logits(), seeds)
def test_a_constant_for_each_view_changes_no_decision(problem: tuple[Tensor, int], seed: int) -> None:
    """How sure the model is of the transformation says nothing about the class."""
    joint, m = problem
    constants = torch.from_numpy(np.random.default_rng(seed).integers(-1000, 1000, joint.shape[1])).double()
    shifted = joint + constants[:, None]  # one for each row, that is for each view of each query
    assert torch.equal(JOINT_SINGLE.predict(shifted, m).argmax(-1), JOINT_SINGLE.predict(joint, m).argmax(-1))
    # Ties are broken by rounding: where the best two means are equal, either may win.
    means, after = JOINT_AGGREGATED.predict(joint, m), JOINT_AGGREGATED.predict(shifted, m)
    chosen = means.gather(-1, after.argmax(-1, keepdim=True))
    torch.testing.assert_close(chosen, means.amax(-1, keepdim=True), rtol=0, atol=1e-9)


@given(joint_logits(), seeds)
def test_the_order_of_the_views_is_a_matter_of_names(problem: tuple[Tensor, int], seed: int) -> None:
    """Numbering the transformations otherwise moves rows and columns, and leaves the aggregated prediction."""
    joint, m = problem
    order = torch.randperm(m, generator=torch.Generator().manual_seed(seed))
    pairs = joint.unflatten(1, (-1, m)).unflatten(3, (-1, m))  # [1, R, M, N, M]
    renamed = pairs[:, :, order][..., order].flatten(3).flatten(1, 2)
    torch.testing.assert_close(JOINT_AGGREGATED.predict(renamed, m), JOINT_AGGREGATED.predict(joint, m))

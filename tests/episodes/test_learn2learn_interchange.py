"""Our images through learn2learn's own transforms, and its tasks back as our episodes."""

import importlib.util
import random
import sys
from collections.abc import Iterator
from typing import Any

import pytest
import torch
from torch import Tensor

from episodes.episode import EpisodeSpec
from episodes.errors import UserError
from episodes.images.augmentation import CropFlipJitter
from episodes.images.labelled import LabelledImages
from episodes.images.normalization import Normalization
from episodes.learn2learn_interchange import episodes_from_learn2learn, to_learn2learn
from episodes.optional import learn2learn
from episodes.transformations import Rotation
from fewshot_sla.backbones import Conv4
from fewshot_sla.heads import ProtoNetHead
from fewshot_sla.meta import SLA
from fewshot_sla.meta.learners import EmbeddingLearner
from tests.tiny import TinyImages

SPEC = EpisodeSpec(n_way=5, k_shot=2, n_query=3)

needs_learn2learn = pytest.mark.skipif(
    not importlib.util.find_spec("learn2learn"), reason="learn2learn is not installed: pip install learn2learn"
)


@pytest.fixture(autouse=True)
def repeatable_tasks() -> Iterator[None]:
    """learn2learn draws with Python's global generator."""
    state = random.getstate()
    random.seed(0)
    yield
    random.setstate(state)


def numbered_images() -> LabelledImages:
    """8 classes of 10 images, 16x16; image i is recognised by its pixels, which are all i; classes are mixed."""
    pixels = torch.arange(80, dtype=torch.uint8)[:, None, None, None].expand(80, 1, 16, 16).clone()
    return LabelledImages(pixels, torch.arange(80) * 3 % 8, tuple("abcdefgh"), "numbered")


def task_set(dataset: Any, *, num_tasks: int = 20, relabel: bool = True) -> Any:
    l2l = learn2learn()
    transforms = l2l.data.transforms
    chosen = [transforms.NWays(dataset, SPEC.n_way), transforms.KShots(dataset, SPEC.images_per_class)]
    chosen.append(transforms.LoadData(dataset))
    if relabel:
        chosen += [transforms.RemapLabels(dataset), transforms.ConsecutiveLabels(dataset)]
    return l2l.data.TaskDataset(dataset, task_transforms=chosen, num_tasks=num_tasks)


def numbers_of(images: Tensor) -> Tensor:
    """Which images of :func:`numbered_images` these are."""
    return (images[..., 0, 0, 0] * 255).round().long()


@needs_learn2learn
def test_a_meta_dataset_is_what_learn2learn_would_have_built() -> None:
    images = numbered_images()
    ours = to_learn2learn(images)
    theirs = learn2learn().data.MetaDataset(ours.dataset)  # reads every item
    assert len(ours) == 80
    assert {label: sorted(rows) for label, rows in theirs.labels_to_indices.items()} == ours.labels_to_indices
    assert dict(theirs.indices_to_labels) == ours.indices_to_labels
    assert ours.labels == list(range(8))
    image, label = ours[13]
    assert (image.dtype, image.shape, int(numbers_of(image)), label) == (torch.float32, (1, 16, 16), 13, 39 % 8)


@needs_learn2learn
def test_items_can_be_normalised() -> None:
    images = numbered_images()
    normalization = Normalization.of(images)
    image, _ = to_learn2learn(images, normalization)[13]
    torch.testing.assert_close(image, normalization(images.gather(torch.tensor(13))))


@needs_learn2learn
@pytest.mark.parametrize("relabel", [True, False])
def test_round_trip_gives_episodes(relabel: bool) -> None:
    images = numbered_images()
    source = episodes_from_learn2learn(task_set(to_learn2learn(images), relabel=relabel), SPEC)
    episodes = source.batch(range(6))
    assert episodes.support.shape == (6, 10, 1, 16, 16)
    assert episodes.query.shape == (6, 15, 1, 16, 16)
    assert episodes.ways == 5
    assert len({tuple(row.tolist()) for row in numbers_of(episodes.support)}) == 6
    for t in range(6):
        support, query = numbers_of(episodes.support[t]), numbers_of(episodes.query[t])
        assert not set(support.tolist()) & set(query.tolist())
        # One label of the episode is one class of the data set, in support and query alike.
        pairs = {
            (int(label), int(images.labels[number]))
            for rows, labels in ((support, episodes.support_labels[t]), (query, episodes.query_labels[t]))
            for number, label in zip(rows, labels, strict=True)
        }
        assert sorted(label for label, _ in pairs) == list(range(5))
        assert len({own for _, own in pairs}) == 5


@needs_learn2learn
def test_episodes_have_numbers() -> None:
    source = episodes_from_learn2learn(task_set(to_learn2learn(numbered_images()), num_tasks=3), SPEC)
    first, again, after_the_last = source.batch([1]), source.batch([0, 1]), source.batch([4])
    assert torch.equal(first.support[0], again.support[1])
    assert torch.equal(first.query[0], after_the_last.query[0])
    assert not torch.equal(again.support[0], again.support[1])


@needs_learn2learn
def test_endless_task_sets_draw_anew() -> None:
    source = episodes_from_learn2learn(task_set(to_learn2learn(numbered_images()), num_tasks=-1), SPEC)
    assert not torch.equal(source.batch([0]).support, source.batch([0]).support)
    assert source.batch(range(4)).support.shape[0] == 4


@needs_learn2learn
def test_label_augmentation_and_a_training_step() -> None:
    images = TinyImages(channels=3).open("train")
    source = episodes_from_learn2learn(
        task_set(to_learn2learn(images)), SPEC, Normalization.of(images), CropFlipJitter(padding=2)
    )
    torch.manual_seed(0)
    learner = EmbeddingLearner(Conv4(in_channels=3, channels=8), ProtoNetHead())
    objective = SLA(Rotation())
    optimizer = torch.optim.Adam(learner.parameters(), lr=0.01)
    losses = []
    for step in range(8):
        episodes = objective.episodes(source, range(2 * step, 2 * step + 2))
        assert (episodes.ways, episodes.support.shape[:2]) == (20, (2, 10 * 4))
        loss = objective.loss(learner(episodes), episodes.query_targets)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert all(parameter.grad is not None for parameter in learner.backbone.parameters())
    assert sum(losses[-2:]) < sum(losses[:2])


def task(labels: list[int], *, side: int = 4) -> tuple[Tensor, Tensor]:
    """A task whose image in row i is all i."""
    rows = torch.arange(len(labels), dtype=torch.float32)[:, None, None, None]
    return rows.expand(-1, 1, side, side).clone(), torch.tensor(labels)


def test_the_split_is_the_order_of_the_task() -> None:
    spec = EpisodeSpec(n_way=2, k_shot=1, n_query=2)
    episodes = episodes_from_learn2learn([task([9, 4, 4, 9, 4, 9])], spec).batch([0])
    assert episodes.support[0, :, 0, 0, 0].tolist() == [1, 0]  # class 4 before class 9, the first row of each
    assert episodes.query[0, :, 0, 0, 0].tolist() == [2, 4, 3, 5]
    assert episodes.support_labels.tolist() == [[0, 1]]
    assert episodes.query_labels.tolist() == [[0, 0, 1, 1]]


@pytest.mark.parametrize(
    ("tasks", "says"),
    [
        ([], "no tasks"),
        ([task([0, 0, 0])], "task 0 has 1 classes, .* needs 2: NWays"),
        ([task([0, 0, 0, 1, 1])], "class 1 has 2 images, others more; .* needs 3 of every class: KShots"),
        ([task([0] * 4 + [1] * 3)], "class 0 has 4 images, others fewer"),
        ([task([0] * 2 + [1] * 2)], "class 0 has 2 images; .* needs 3"),
        ([task([0] * 5 + [1] * 5)], "class 0 has 5 images; .* needs 3"),  # none is dropped in silence
        ([task([0, 0, 0, 1, 1, 1]), task([0, 0, 0, 1, 1, 1], side=5)], r"differ in shape: \[1, 4, 4\] and \[1, 5, 5\]"),
        ([{0: 1}], "is LoadData in its transforms"),
        ([(torch.zeros(6, 3), torch.zeros(6).long())], r"float \[rows, C, H, W\], not torch.float32 \[6, 3\]"),
        ([(torch.zeros(6, 1, 4, 4).byte(), torch.zeros(6).long())], "torch.uint8 .* ToTensor"),
        ([(torch.zeros(6, 1, 4, 4), torch.zeros(5).long())], r"integers \[6\], not torch.int64 \[5\]"),
        ([(torch.zeros(6, 1, 4, 4), torch.zeros(6))], "labels must be integers"),
    ],
)
def test_tasks_that_do_not_fit_are_one_clear_line(tasks: list, says: str) -> None:
    with pytest.raises(UserError, match=says) as error:
        episodes_from_learn2learn(tasks, EpisodeSpec(n_way=2, k_shot=1, n_query=2)).batch([0, 1])
    assert "\n" not in str(error.value)


def test_without_learn2learn_the_error_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "learn2learn", None)
    learn2learn.cache_clear()
    try:
        with pytest.raises(UserError, match="pip install learn2learn"):
            to_learn2learn(numbered_images())
    finally:
        learn2learn.cache_clear()

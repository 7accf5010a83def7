"""``python -m benchmarks.sampling``: episodes a second, against learn2learn's TaskDataset and easyfsl's TaskSampler.

12,000 images of 60 classes, 5-way 5-shot episodes with 15 queries a class: 100 images an episode. Three stages:

* index only: which images;
* gathered: support and query images with their labels 0..4, as the bytes they are stored in;
* normalised: the same as float32, normalised by channel.

Every contestant draws from memory, nothing is decoded, and whatever can be built beforehand is. easyfsl 1.5's
TaskSampler does not start under torch 2.15; it is given a constructor that does (``benchmarks.peers.EASYFSL_SHIM``).
"""

import argparse
import random
import sys
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from itertools import islice
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.utils.data import DataLoader

from benchmarks.peers import EASYFSL_SHIM, TensorImages, easyfsl_sampler_class, learn2learn, learn2learn_dataset
from benchmarks.provenance import Timing, print_table, provenance, ratio, time_in_turn, write_json
from episodes.episode import EpisodeBatch, EpisodeSpec
from episodes.images import LabelledImages
from episodes.normalization import Normalization
from episodes.sampler import EpisodeSampler
from episodes.source import EpisodeSource

SPEC = EpisodeSpec(n_way=5, k_shot=5, n_query=15)
CLASSES, PER_CLASS = 60, 200


class Contestant(NamedTuple):
    """Somebody who draws episodes: ``run()`` draws ``episodes`` of them, and returns the last."""

    episodes: int
    run: Callable[[], object]


def labelled_images(side: int, per_class: int) -> LabelledImages:
    """Random colour images, uint8 [n, 3, side, side]; the classes are not in order, as in a shuffled file."""
    generator = torch.Generator().manual_seed(0)
    shape = (CLASSES * per_class, 3, side, side)
    labels = torch.arange(CLASSES).repeat(per_class)
    pixels = torch.randint(0, 256, shape, dtype=torch.uint8, generator=generator)
    return LabelledImages(pixels, labels, tuple(map(str, range(CLASSES))), f"random {side}x{side}")


def drawn(draw: Callable[[range], object], episodes_at_once: int, episodes: int) -> object:
    """Draw episodes 0, 1, 2, ..., so many at once; the last batch."""
    last = None
    for start in range(0, episodes, episodes_at_once):
        last = draw(range(start, start + episodes_at_once))
    return last


def exhausted(episodes: Iterator, count: int) -> object:
    """Take ``count`` episodes; the last one."""
    last = None
    for last in islice(episodes, count):
        pass
    return last


# ---------------------------------------------------------------- the peers


def learn2learn_tasks(images: TensorImages, *, fused: bool, load: bool) -> Any:
    """learn2learn's TaskDataset with the transforms of its examples, or with their fused version.

    Without ``load`` its items are descriptions: which images, and no more.
    """
    l2l = learn2learn()
    dataset = learn2learn_dataset(images)
    transforms = l2l.data.transforms
    ways, shots = SPEC.n_way, SPEC.images_per_class
    if fused:
        chosen = [transforms.FusedNWaysKShots(dataset, n=ways, k=shots)]
    else:
        chosen = [transforms.NWays(dataset, ways), transforms.KShots(dataset, shots)]
    if load:
        chosen += [transforms.LoadData(dataset), transforms.RemapLabels(dataset), transforms.ConsecutiveLabels(dataset)]
    return l2l.data.TaskDataset(dataset, task_transforms=chosen, num_tasks=-1)


def learn2learn_batch(tasks: Any, finish: Callable[[Tensor], Tensor]) -> EpisodeBatch:
    """One sampled task, its rows parted as learn2learn's examples do: shots first, class by class."""
    images, labels = tasks.sample()
    is_support = torch.zeros(len(labels), dtype=torch.bool)
    for shot in range(SPEC.k_shot):
        is_support[torch.arange(SPEC.n_way) * SPEC.images_per_class + shot] = True
    images = finish(images)
    return EpisodeBatch(images[is_support], labels[is_support], images[~is_support], labels[~is_support], SPEC.n_way)


def easyfsl_sampler(images: TensorImages, episodes: int) -> Any:
    """easyfsl's TaskSampler; iterating over it gives lists of 100 numbers of images."""
    sampler_class, _ = easyfsl_sampler_class()
    return sampler_class(images, SPEC.n_way, SPEC.k_shot, SPEC.n_query, episodes)


def easyfsl_batches(images: TensorImages, episodes: int, finish: Callable[[Tensor], Tensor]) -> Iterator[EpisodeBatch]:
    """Episodes through a DataLoader with easyfsl's own collate function, in this process."""
    sampler = easyfsl_sampler(images, episodes)
    for support, support_labels, query, query_labels, _ in DataLoader(
        images, batch_sampler=sampler, collate_fn=sampler.episodic_collate_fn
    ):
        yield EpisodeBatch(finish(support), support_labels, finish(query), query_labels, SPEC.n_way)


# ---------------------------------------------------------------- the stages


def index_only(images: LabelledImages, scale: float) -> dict[str, Contestant]:
    """Who draws which images."""
    sampler = EpisodeSampler(images.labels, SPEC, seed=0)
    peers = TensorImages(images.images, images.labels)
    fast, slow = int(8192 * scale), int(1024 * scale)
    return {
        "ours, one at a time": Contestant(fast, lambda: exhausted(iter(sampler), fast)),
        **{
            f"ours, T = {t}": Contestant(n, partial(drawn, sampler.draw, t, n))
            for t, n in ((1, slow), (8, fast), (64, fast))
        },
        "easyfsl": Contestant(slow, lambda: exhausted(iter(easyfsl_sampler(peers, slow)), slow)),
        **{
            name: Contestant(slow, partial(_repeat, tasks.sample_task_description, slow))
            for name, tasks in (
                ("learn2learn", learn2learn_tasks(peers, fused=False, load=False)),
                ("learn2learn, fused", learn2learn_tasks(peers, fused=True, load=False)),
            )
        },
    }


def with_images(images: LabelledImages, scale: float, *, normalised: bool) -> dict[str, Contestant]:
    """Who gathers the images too."""
    normalization = Normalization.of(images)
    source = EpisodeSource(images, SPEC, seed=0, normalization=normalization)
    peers = TensorImages(images.images, images.labels)
    finish = (lambda pixels: normalization(pixels.float().div_(255.0))) if normalised else (lambda pixels: pixels)
    stored = images.images.__getitem__

    def ours(numbers: range) -> EpisodeBatch:
        return source.batch(numbers) if normalised else source.gather(source.sampler.draw(numbers), stored)

    many, few = int(512 * scale), int(128 * scale)
    return {
        **{f"ours, T = {t}": Contestant(many, partial(drawn, ours, t, many)) for t in (1, 8)},
        "easyfsl": Contestant(few, lambda: exhausted(easyfsl_batches(peers, few, finish), few)),
        **{
            name: Contestant(few, partial(_repeat, partial(learn2learn_batch, tasks, finish), few))
            for name, tasks in (
                ("learn2learn", learn2learn_tasks(peers, fused=False, load=True)),
                ("learn2learn, fused", learn2learn_tasks(peers, fused=True, load=True)),
            )
        },
    }


def is_episode(batch: object, *, normalised: bool) -> bool:
    """Whether what came out is an episode: shapes, types, and every class K times in support and Q times in query."""
    assert isinstance(batch, EpisodeBatch)
    support, support_labels, query, query_labels = (field.reshape(-1, *field.shape[-3:]) for field in batch[:4:2]), *(
        (),
    )
    return True


def _repeat(sample: Callable[[], object], count: int) -> object:
    last = None
    for _ in range(count):
        last = sample()
    return last

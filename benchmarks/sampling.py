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
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from itertools import islice
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.utils.data import DataLoader

from benchmarks.peers import EASYFSL_SHIM, TensorImages, easyfsl_sampler_class, learn2learn, learn2learn_dataset
from benchmarks.provenance import print_table, provenance, ratio, time_in_turn, write_json
from episodes.episode import EpisodeBatch, EpisodeSpec
from episodes.images.labelled import LabelledImages
from episodes.images.normalization import Normalization
from episodes.sampler import EpisodeIndices, EpisodeSampler
from episodes.source import EpisodeSource
from episodes.targets import Targets

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
    return deque(islice(episodes, count), maxlen=1)[0]


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
    """One sampled task; its rows stand class by class, so slices part it, which is the cheapest way there is."""
    images, labels = (field.unflatten(0, (SPEC.n_way, SPEC.images_per_class)) for field in tasks.sample())
    shots = SPEC.k_shot
    return EpisodeBatch(
        finish(images[:, :shots].flatten(0, 1)),
        labels[:, :shots].flatten(),
        finish(images[:, shots:].flatten(0, 1)),
        Targets(labels[:, shots:].flatten()),
        SPEC.n_way,
    )


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
        yield EpisodeBatch(finish(support), support_labels, finish(query), Targets(query_labels), SPEC.n_way)


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

    def stored(numbers: Tensor) -> Tensor:
        return images.images.index_select(0, numbers.flatten()).unflatten(0, numbers.shape)

    def gather(indices: EpisodeIndices) -> EpisodeBatch:
        return source.gather(indices, (lambda numbers: normalization(stored(numbers))) if normalised else stored)

    many, few = int(512 * scale), int(128 * scale)
    return {
        "ours, one at a time": Contestant(many, lambda: exhausted(map(gather, source.sampler), many)),
        **{
            f"ours, T = {t}": Contestant(
                many, partial(drawn, lambda numbers: gather(source.sampler.draw(numbers)), t, many)
            )
            for t in (1, 8)
        },
        "easyfsl": Contestant(few, lambda: exhausted(easyfsl_batches(peers, few, finish), few)),
        **{
            name: Contestant(few, partial(_repeat, partial(learn2learn_batch, tasks, finish), few))
            for name, tasks in (
                ("learn2learn", learn2learn_tasks(peers, fused=False, load=True)),
                ("learn2learn, fused", learn2learn_tasks(peers, fused=True, load=True)),
            )
        },
    }


def check_episode(name: str, batch: object) -> None:
    """Raise unless what a contestant gathers is an episode: K images of each of 5 classes, and Q to be classified."""
    assert isinstance(batch, EpisodeBatch)
    parts = ((batch.support, batch.support_labels, SPEC.k_shot), (batch.query, batch.query_labels, SPEC.n_query))
    for images, labels, per_class in parts:
        counts = torch.bincount(labels.reshape(-1, SPEC.n_way * per_class)[-1], minlength=SPEC.n_way)
        if images.shape[:-3] != labels.shape or not torch.equal(counts, torch.full((SPEC.n_way,), per_class)):
            raise SystemExit(f"{name} does not give {SPEC}: {list(images.shape)}, labels {counts.tolist()}")


def measure(stage: str, images: LabelledImages, contestants: dict[str, Contestant], rounds: int) -> dict[str, Any]:
    """Time everybody in turn; figures of each, and how many times faster each of ours is than each peer."""
    if stage != "index only":
        for name, contestant in contestants.items():
            check_episode(name, contestant.run())
    timings = time_in_turn({name: contestant.run for name, contestant in contestants.items()}, rounds)
    ours = [name for name in contestants if name.startswith("ours")]

    def compared(peer: str, own: str) -> dict[str, float]:
        return ratio(timings[peer], timings[own], (contestants[peer].episodes, contestants[own].episodes))

    return {
        "stage": stage,
        "images": {"count": len(images), "shape": list(images.image_shape), "classes": len(images.class_names)},
        "contestants": {name: timings[name].facts(contestants[name].episodes) for name in contestants},
        "ratios": {f"{own} / {peer}": compared(peer, own) for own in ours for peer in contestants if peer not in ours},
    }


def run(*, quick: bool, rounds: int) -> dict[str, Any]:
    """All stages."""
    per_class, scale = (30, 1 / 32) if quick else (PER_CLASS, 1.0)
    stages = []
    for side in (32,) if quick else (32, 84):
        images = labelled_images(side, per_class)
        if side == 32:  # what is drawn does not depend on the size of the images
            stages.append(measure("index only", images, index_only(images, scale), rounds))
        for normalised in (False, True):
            contestants = with_images(images, scale, normalised=normalised)
            stages.append(measure("normalised" if normalised else "gathered", images, contestants, rounds))
    return {
        "benchmark": "sampling",
        "quick": quick,
        "provenance": provenance(),
        "episodes": {"n_way": SPEC.n_way, "k_shot": SPEC.k_shot, "n_query": SPEC.n_query},
        "notes": [EASYFSL_SHIM] if easyfsl_sampler_class()[1] else [],
        "stages": stages,
    }


def show(results: dict[str, Any]) -> None:
    """The results as a table: episodes a second, and how many times faster than each peer."""
    for stage in results["stages"]:
        shape = "x".join(map(str, stage["images"]["shape"]))
        peers = [name for name in stage["contestants"] if not name.startswith("ours")]
        rows = []
        for name, facts in stage["contestants"].items():
            ratios = (stage["ratios"].get(f"{name} / {peer}") for peer in peers)
            rows.append([name, f"{facts['items_per_s']:,.0f}", *(f"{r['median']:.1f}" if r else "" for r in ratios)])
        print(f"\n{stage['stage']}, {stage['images']['count']} images of {shape}")
        print_table([" ", "episodes/s", *(f"x {peer}" for peer in peers)], rows)


def main(arguments: Sequence[str] | None = None) -> None:
    """Parse, measure, print, write."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.sampling", description=(__doc__ or "").split("\n\n")[1])
    parser.add_argument("--json", metavar="FILE", help="write the figures to this file")
    parser.add_argument("--rounds", type=int, default=7, help="how many times each is timed, in turn (default: 7)")
    parser.add_argument(
        "--threads",
        type=int,
        default=1,
        help="threads of torch (default: 1, as in the worker of a data loader; with more, episodes of this size spend "
        "their time on waking threads up, the more so on a busy machine)",
    )
    parser.add_argument("--quick", action="store_true", help="few images and episodes: does it run, not how fast")
    options = parser.parse_args(arguments)
    torch.set_num_threads(options.threads)
    random.seed(0)  # the peers draw from the global generator
    results = run(quick=options.quick, rounds=options.rounds)
    show(results)
    if options.json:
        write_json(options.json, results)


def _repeat(sample: Callable[[], object], count: int) -> object:
    last = None
    for _ in range(count):
        last = sample()
    return last


if __name__ == "__main__":
    main()

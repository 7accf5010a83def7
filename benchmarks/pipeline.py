"""``python -m benchmarks.pipeline``: from numbers of episodes to augmented NM-way batches, alone and feeding ResNet-12.

Random 32x32 colour images in memory; 5-way 5-shot episodes with 6 queries a class, 8 to a batch; random crop after
padding by 4, colour jitter 0.4, horizontal flip, normalisation; then label augmentation by rotation, M = 4, so that a
batch is 8 episodes of 20 ways, 1,760 views of 440 images. Contestants:

* ours: EpisodeSource with CropFlipJitter, in this process and on the device;
* learn2learn: its TaskDataset in a DataLoader with worker processes, torchvision's transforms image by image;
* easyfsl: its TaskSampler and collate function in such a DataLoader, with the same transforms.

No peer has label augmentation: ours is applied to the batches of all. Then the parts of a training step one by one:
how much of it is not the backbone.
"""

import argparse
import os
import random
import statistics
import time
import warnings
from collections import defaultdict
from collections.abc import Callable, Sequence
from typing import Any

import torch

from benchmarks.peers import EASYFSL_SHIM, easyfsl_sampler_class
from benchmarks.pipeline_feeds import OBJECTIVE, SPEC, Feed, Setting, all_feeds, check_batches, setting, source_of
from benchmarks.provenance import print_table, provenance, ratio, time_in_turn, write_json
from episodes.episode import EpisodeBatch
from episodes.views import add_views
from fewshot_sla.backbones import ResNet12
from fewshot_sla.heads import Head, ProtoNetHead, RidgeHead, SVMHead
from fewshot_sla.meta.learners import EmbeddingLearner

HEADS: dict[str, Callable[[], Head]] = {"ProtoNet": ProtoNetHead, "ridge": RidgeHead, "SVM": SVMHead}
BACKBONE = ("backbone forward", "backbone backward")


class Trainer:
    """A step of training as meta_train makes it, with a mark between its parts.

    Args:
        head: of the learner.
        widths: of ResNet-12.
        device: where it is trained, on a GPU in bfloat16 with float32 weights.
    """

    def __init__(self, head: Head, widths: tuple[int, int, int, int], device: torch.device) -> None:
        torch.manual_seed(0)
        self.learner = EmbeddingLearner(ResNet12(widths=widths, block_size=2), head).to(device)
        self.learner.to(memory_format=torch.channels_last)
        self.optimizer = torch.optim.SGD(
            self.learner.parameters(), lr=0.01, momentum=0.9, nesterov=True, weight_decay=5e-4
        )
        self.device = device

    def step(self, batch: EpisodeBatch, mark: Callable[[str], None] = lambda part: None) -> None:
        """One step; ``mark(part)`` is called after each part. The graph is cut at the features, to part it there."""
        rows = batch.support.shape[1]
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.device.type == "cuda"):
            features = self.learner.embed(torch.cat([batch.support, batch.query], dim=1))
        mark(BACKBONE[0])
        cut = features.detach().requires_grad_()
        logits = self.learner.head(cut[:, :rows], batch.support_labels, cut[:, rows:], batch.ways)
        OBJECTIVE.loss(logits, batch.query_targets).backward()
        mark("head and loss")
        features.backward(cut.grad)
        mark(BACKBONE[1])
        self.optimizer.step()
        self.optimizer.zero_grad()
        mark("optimiser")


def parts_of_a_step(given: Setting, trainer: Trainer, episodes: int, rounds: int) -> dict[str, Any]:
    """Median seconds of every part, and the share of a step that is neither the backbone's forward nor its backward.

    The device is waited for after every part. In training it is not, and a GPU computes while the next kernels are
    prepared: there the share is an upper bound.
    """
    seconds: dict[str, list[float]] = defaultdict(list)
    source, began = source_of(given), 0.0

    def mark(part: str) -> None:
        nonlocal began
        if given.device.type == "cuda":
            torch.cuda.synchronize(given.device)
        now = time.perf_counter()
        seconds[part].append(now - began)
        began = now

    for number in range(rounds + 1):
        began = time.perf_counter()
        batch = source.batch(range(number * episodes, (number + 1) * episodes))
        mark("episodes, augmented")
        expanded = OBJECTIVE.labelling(add_views(batch, OBJECTIVE.transformations))
        mark("label augmentation")
        trainer.step(expanded, mark)
    steps = [dict(zip(seconds, laps, strict=True)) for laps in zip(*seconds.values(), strict=True)][1:]  # one warms up
    shares = [1 - sum(step[part] for part in BACKBONE) / sum(step.values()) for step in steps]
    return {
        "median_s": {part: statistics.median(laps[1:]) for part, laps in seconds.items()},
        "not_backbone": {"median": statistics.median(shares), "min": min(shares), "max": max(shares)},
        "rounds": rounds,
    }


# ---------------------------------------------------------------- measuring


def measure(stage: str, contestants: dict[str, Callable[[], None]], episodes: int, rounds: int) -> dict[str, Any]:
    """Time everybody in turn; each run makes this many episodes."""
    timings = time_in_turn(contestants, rounds)
    images = SPEC.n_way * SPEC.images_per_class
    return {
        "stage": stage,
        "contestants": {
            name: {**facts, "images_per_s": images * facts["items_per_s"]}
            for name, timing in timings.items()
            for facts in [timing.facts(episodes)]
        },
        "ratios": {f"ours / {name}": ratio(timings[name], timings["ours"]) for name in timings if name != "ours"},
    }


def peers_notes() -> list[str]:
    """What was done to a peer so that it runs; to be asked before it is done."""
    try:
        return [EASYFSL_SHIM] if easyfsl_sampler_class()[1] else []
    except ImportError:
        return []


def run(options: argparse.Namespace) -> dict[str, Any]:
    """Both stages, then the parts of a step."""
    device = torch.device(options.device)
    began, notes, load = provenance(device), peers_notes(), os.getloadavg()[0]  # of the code as it was loaded
    given = setting(20 if options.quick else 200, device, options.workers)
    widths = (8, 8, 8, 8) if options.quick else (64, 160, 320, 640)
    fed, batches = options.fed_episodes or (8 if device.type == "cuda" else 1), 2 if options.quick else options.batches
    stages = []
    for stage, episodes, many in (("alone", 8, batches), ("feeding ResNet-12", fed, 2 if fed < 8 else batches)):
        contestants = all_feeds(given, episodes)
        for name, feed in contestants.items():
            check_batches(name, feed, many, episodes)
        trainer = Trainer(ProtoNetHead(), widths, device)
        take = trainer.step if stage != "alone" else lambda batch: None
        runs = {name: _taking(feed, many, take) for name, feed in contestants.items()}
        stages.append({"episodes_at_once": episodes, **measure(stage, runs, many * episodes, options.rounds)})
        show(stages[-1])
    parts = {
        name: parts_of_a_step(given, Trainer(head(), widths, device), fed, options.rounds)
        for name, head in HEADS.items()
    }
    show_parts(parts, fed)
    return {
        "benchmark": "pipeline",
        "quick": options.quick,
        "provenance": began,
        "load_average": [load, os.getloadavg()[0]],  # processes that wanted a core, before and after
        "cores": os.cpu_count(),
        "workers_of_peers": options.workers,
        "precision": "bf16-mixed" if device.type == "cuda" else "32-true",
        "episodes": {"n_way": SPEC.n_way, "k_shot": SPEC.k_shot, "n_query": SPEC.n_query, "m": 4},
        "notes": notes,
        "stages": stages,
        "parts_of_a_step": {"episodes": fed, "heads": parts},
    }


def _taking(feed: Feed, batches: int, take: Callable[[EpisodeBatch], None]) -> Callable[[], None]:
    def run_once() -> None:
        for batch in feed(batches):
            take(batch)

    return run_once


def show(stage: dict[str, Any]) -> None:
    """One stage as a table."""
    print(f"\n{stage['stage']}, {stage['episodes_at_once']} episode(s) at once")
    rows = []
    for name, facts in stage["contestants"].items():
        compared = stage["ratios"].get(f"ours / {name}")
        times = f"{compared['median']:.2f}" if compared else ""
        rows.append([name, f"{facts['images_per_s']:,.0f}", f"{facts['items_per_s']:,.2f}", times])
    print_table([" ", "images/s", "episodes/s", "ours is faster by"], rows)


def show_parts(heads: dict[str, Any], episodes: int) -> None:
    """The parts of a step as a table."""
    print(f"\nparts of a training step of {episodes} episode(s), ms")
    names = list(next(iter(heads.values()))["median_s"])
    rows = [
        [
            head,
            *(f"{1000 * facts['median_s'][name]:.1f}" for name in names),
            f"{100 * facts['not_backbone']['median']:.1f} %",
        ]
        for head, facts in heads.items()
    ]
    print_table([" ", *names, "not backbone"], rows)


def main(arguments: Sequence[str] | None = None) -> None:
    """Parse, measure, write."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.pipeline", description=(__doc__ or "").split("\n\n")[1])
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--json", metavar="FILE", help="write the figures to this file")
    parser.add_argument("--rounds", type=int, default=5, help="how many times each is timed, in turn (default: 5)")
    parser.add_argument("--batches", type=int, default=8, help="batches of 8 episodes a round, alone (default: 8)")
    parser.add_argument("--workers", type=int, default=4, help="worker processes of a peer's DataLoader (default: 4)")
    parser.add_argument(
        "--fed_episodes", type=int, default=0, help="episodes of a training step (default: 8 on a GPU, 1 on a CPU)"
    )
    parser.add_argument("--threads", type=int, default=1, help="threads of torch in this process (default: 1)")
    parser.add_argument("--quick", action="store_true", help="a narrow network, few images: does it run, not how fast")
    options = parser.parse_args(arguments)
    torch.set_num_threads(options.threads)
    # Four workers are what is asked for; the number of cores stands in the results.
    warnings.filterwarnings("ignore", message="This DataLoader will create")
    random.seed(0)  # the peers draw from the global generator
    results = run(options)
    if options.json:
        write_json(options.json, results)


if __name__ == "__main__":
    main()

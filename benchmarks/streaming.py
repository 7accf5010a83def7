"""``python -m benchmarks.streaming``: photographs from files to normalised batches, alone and feeding a network.

JPEG files (made up here, 500 x 375, unless a folder is given) are decoded; a random part of each is resized to 224 x
224 and mirrored half of the time, and the batch is normalised. Contestants, in turn, with as many workers each:

* ours: StreamedFolders, the batches of ``python -m fewshot_sla.train``;
* torchvision: its ImageFolder in torch's DataLoader, its transforms on Pillow's images;
* torchvision, tensors: the same by its own decoder and the second version of its transforms, on bytes.

Then a training step of ResNet-18 is fed by each: the share of it that is waiting for images.
"""

import argparse
import os
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from benchmarks.provenance import Timing, print_table, provenance, ratio, write_json
from benchmarks.streaming_contestants import CLASSES, CONTESTANTS, Feed, Setting, write_photographs
from episodes.errors import UserError
from fewshot_sla.backbones import Conv4, ResNetImageNet

Take = Callable[[Tensor, Tensor], None]


class Round(NamedTuple):
    """Seconds of some batches: all in all, and of these waiting for images."""

    seconds: float
    waiting: float


def one_round(feed: Feed, take: Take, batches: int, workers: int, device: torch.device) -> Round:
    """Time batches that come one after another.

    Workers start anew in each round; what they do before the first batches are there is not timed, nor are these: they
    may have been made while nobody was waiting.
    """
    with closing(feed()) as arriving:
        for _ in range(1 + workers):
            take(*next(arriving))
        _wait(device)
        waiting, began = 0.0, time.perf_counter()
        for _ in range(batches):
            asked = time.perf_counter()
            batch = next(arriving)
            waiting += time.perf_counter() - asked
            take(*batch)
            _wait(device)
        return Round(time.perf_counter() - began, waiting)


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def training_step(network: nn.Module, device: torch.device) -> Take:
    """Forward, backward and SGD."""
    network = network.to(device).to(memory_format=torch.channels_last)
    optimizer = torch.optim.SGD(network.parameters(), lr=0.01, momentum=0.9)

    def take(images: Tensor, labels: Tensor) -> None:
        with torch.autocast(device.type, torch.bfloat16, enabled=device.type == "cuda"):
            scores = network(images)[:, :CLASSES]
            loss = nn.functional.cross_entropy(scores.float(), labels % CLASSES)
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()

    return take


def measure(
    stage: str, given: Setting, workers: int, take: Take, batches: int, rounds: int, names: Sequence[str]
) -> dict[str, Any]:
    """Every contestant in turn, round after round."""
    feeds = {name: CONTESTANTS[name](given, workers) for name in names}
    found: dict[str, list[Round]] = {name: [] for name in names}
    for _ in range(rounds):
        for name, feed in feeds.items():
            found[name].append(one_round(feed, take, batches, workers, given.device))
    timings = {name: Timing(tuple(each.seconds for each in own)) for name, own in found.items()}
    return {
        "stage": stage,
        "batch_size": given.batch_size,
        "workers": workers,
        "contestants": {
            name: {**timing.facts(batches * given.batch_size), "waiting": _waiting(found[name])}
            for name, timing in timings.items()
        },
        "ratios": {f"ours / {name}": ratio(timings[name], timings["ours"]) for name in names if name != "ours"},
    }


def _waiting(rounds: Sequence[Round]) -> dict[str, float]:
    """Share of the time that was spent waiting: median, least and most."""
    shares = sorted(each.waiting / each.seconds for each in rounds)
    return {"median": shares[len(shares) // 2], "min": shares[0], "max": shares[-1]}


def run(options: argparse.Namespace, root: Path) -> dict[str, Any]:
    """Both stages with each number of workers."""
    device = torch.device(options.device)
    began, load = provenance(device), os.getloadavg()[0]
    given = Setting(root, options.image_size, options.batch_size, device)
    torch.manual_seed(0)
    network = Conv4(in_channels=3, channels=16) if options.quick else ResNetImageNet()
    stages = []
    fed = given._replace(batch_size=options.fed_images or (given.batch_size if device.type == "cuda" else 4))
    for stage, given_here, take, batches in (
        ("alone", given, lambda images, labels: None, options.batches),
        ("feeding ResNet-18", fed, training_step(network, device), options.fed_batches),
    ):
        for workers in options.workers:
            names = list(CONTESTANTS) if stage == "alone" else ["ours", "torchvision"]
            stages.append(measure(stage, given_here, workers, take, batches, options.rounds, names))
            show(stages[-1])
    return {
        "benchmark": "streaming",
        "quick": options.quick,
        "provenance": began,
        "load_average": [load, os.getloadavg()[0]],
        "cores": os.cpu_count(),
        "precision": "bf16-mixed" if device.type == "cuda" else "32-true",
        "images": {
            "files": len(list((root / "train").glob("*/*"))),
            "of_one's_own": bool(options.folder),
            "image_size": given.image_size,
        },
        "stages": stages,
    }


def show(stage: dict[str, Any]) -> None:
    """One stage as a table."""
    print(f"\n{stage['stage']}, {stage['workers']} worker(s)")
    rows = []
    for name, facts in stage["contestants"].items():
        compared = stage["ratios"].get(f"ours / {name}")
        faster = "{median:.2f} ({min:.2f} to {max:.2f})".format(**compared) if compared else ""
        rows.append([name, f"{facts['items_per_s']:,.0f}", f"{100 * facts['waiting']['median']:.0f} %", faster])
    print_table([" ", "images/s", "waiting", "ours is faster by"], rows)


def main(arguments: Sequence[str] | None = None) -> None:
    """Parse, measure, write."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.streaming", description=(__doc__ or "").split("\n\n")[1]
    )
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--json", metavar="FILE", help="write the figures to this file")
    parser.add_argument("--folder", help="photographs of your own, in train/CLASS/ (default: made up for the time)")
    parser.add_argument("--photographs", type=int, default=2000, help="how many are made up (default: 2000)")
    parser.add_argument("--image_size", type=int, default=224, help="side of the network's images (default: 224)")
    parser.add_argument("--batch_size", type=int, default=32, help="images of a batch (default: 32)")
    parser.add_argument("--batches", type=int, default=8, help="batches a round, alone (default: 8)")
    parser.add_argument("--fed_batches", type=int, default=3, help="training steps a round (default: 3)")
    parser.add_argument(
        "--fed_images", type=int, default=0, help="images of a training step (default: a batch on a GPU, 4 on a CPU)"
    )
    parser.add_argument("--rounds", type=int, default=5, help="how many times each is timed, in turn (default: 5)")
    parser.add_argument("--workers", type=int, nargs="+", default=[0, 1, 2], help="numbers of workers (default: 0 1 2)")
    parser.add_argument("--threads", type=int, default=1, help="threads of torch in this process (default: 1)")
    parser.add_argument("--quick", action="store_true", help="few small images: does it run, not how fast")
    options = parser.parse_args(arguments)
    if options.quick:
        options.photographs, options.image_size, options.batch_size = 40, 32, 4
    torch.set_num_threads(options.threads)
    with tempfile.TemporaryDirectory() as made_up:
        try:
            root = Path(options.folder) if options.folder else write_photographs(Path(made_up), options.photographs)
            results = run(options, root)
        except UserError as error:
            raise SystemExit(f"error: {error}") from None
    if options.json:
        write_json(options.json, results)


if __name__ == "__main__":
    main()

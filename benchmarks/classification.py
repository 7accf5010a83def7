"""``python -m benchmarks.classification``: images a second of a training step with label augmentation.

ResNet-32, batches of 128 random 32x32 images, each with its four rotations (512 views), 100 classes, random crop after
padding by 4 and flip, SGD with momentum. Contestants:

* ours: the trainer behind ``python -m fewshot_sla.train``, from drawing images to the optimiser and its log;
* plain loop: Pillow images in a DataLoader with workers, torchvision's transforms, four concatenated rotations, tiled
  labels, float32;
* backbone alone: its forward and backward on views that are there already, with our settings of the process.

Each is a process of its own, and they work in turn, A B C A B C ...: while one makes its steps the others wait. On a
GPU there are rows with torch.compile too. On a CPU the ratios are taken of the processor time of the process, too, that
of the plain loop without its workers: a busy machine sways it less.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any, Self

import torch

from benchmarks.provenance import Timing, print_table, provenance, ratio, write_json

_ROOT = Path(__file__).parent.parent
OURS, PLAIN, ALONE = "ours", "plain loop", "backbone alone"
PRECISIONS = ("", ", bf16", ", bf16, compiled")
NAMES = tuple(
    who + how for how in PRECISIONS for who in ((PLAIN, OURS, ALONE) if not how else (OURS, ALONE))
)  # for argparse, without importing what they need


class Runner:
    """A contestant in a process of its own.

    Args:
        name: of the contestant.
        options: of this process, which are handed on.
    """

    def __init__(self, name: str, options: argparse.Namespace) -> None:
        self.name = name
        names = ("device", "threads", "workers", "steps", "warm_ups", "batch_size", "images", "depth")
        settings = [f"--{option}={getattr(options, option)}" for option in names]
        self._errors = tempfile.TemporaryFile("w+")  # noqa: SIM115 - closed in __exit__
        self._process = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.classification", "--contestant", name, *settings],
            cwd=_ROOT,
            env={**os.environ, "OMP_NUM_THREADS": str(options.threads)},
            text=True,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
        )

    def __enter__(self) -> Self:
        return self

    def wait_until_ready(self) -> None:
        """Let it warm up."""
        self._answer()

    def round(self, what: str) -> dict[str, Any]:
        """One round of steps."""
        assert self._process.stdin
        with suppress(BrokenPipeError):  # it has ended: that its answer is missing says why
            self._process.stdin.write(f"{what}\n")
            self._process.stdin.flush()
        return self._answer()

    def __exit__(self, *_: object) -> None:
        assert self._process.stdin
        with suppress(BrokenPipeError):
            self._process.stdin.close()  # it ends by itself then
        try:
            self._process.wait(timeout=60)
        except subprocess.TimeoutExpired:
            self._process.kill()
        for file in (self._process.stdout, self._errors):
            assert file
            file.close()

    def _answer(self) -> dict[str, Any]:
        assert self._process.stdout
        line = self._process.stdout.readline()
        if not line:
            self._process.wait(timeout=60)
            self._errors.seek(0)
            raise SystemExit(f"{self.name} ended early:\n{self._errors.read()[-3000:]}")
        return json.loads(line)


def run(options: argparse.Namespace) -> dict[str, Any]:
    """Start everybody, time them in turn, then take the steps of ours apart."""
    device = torch.device(options.device)
    began, load = provenance(device), os.getloadavg()[0]
    answers: dict[str, list[dict[str, float]]] = {name: [] for name in options.contestants}
    parts: dict[str, Any] = {}
    with ExitStack() as stack:
        runners = []
        for name in options.contestants:
            runners.append(stack.enter_context(Runner(name, options)))
            runners[-1].wait_until_ready()
        for _ in range(options.rounds):
            for runner in runners:
                answers[runner.name].append(runner.round("go"))
        for runner in runners:
            if runner.name in (OURS, f"{OURS}, bf16"):
                parts[runner.name] = _summary(runner.round("parts")["parts"])
    timings, work = (
        {name: Timing(tuple(answer[what] for answer in given)) for name, given in answers.items()}
        for what in ("seconds", "cpu_seconds")
    )
    images = options.batch_size * options.steps
    case = {
        "contestants": {
            name: {**timing.facts(images), "cpu_median_s": work[name].median} for name, timing in timings.items()
        },
        "ratios": ratios(timings),
        "parts_of_a_step": parts,
    }
    if device.type == "cpu":  # a process that waits for a core does not work: hardly swayed by a busy machine
        case["ratios_of_processor_time"] = ratios(work)
    return {
        "benchmark": "classification",
        "quick": options.quick,
        "provenance": began,
        "load_average": [load, os.getloadavg()[0]],  # processes that wanted a core, before and after
        "cores": os.cpu_count(),
        "workers_of_plain_loop": options.workers,
        "network": f"ResNet-{options.depth}",
        "step": {"images": options.batch_size, "views": 4, "side": 32, "classes": 100},
        "steps_a_round": options.steps,
        "cases": [case],
    }


def ratios(timings: dict[str, Timing]) -> dict[str, dict[str, float]]:
    """How many times faster ours is: than the plain loop, and than the backbone alone in the same precision (< 1)."""
    found = {}
    for how in PRECISIONS:
        for other in (PLAIN, ALONE + how):
            if {OURS + how, other} <= set(timings):
                found[f"{OURS}{how} / {other}"] = ratio(timings[other], timings[OURS + how])
    return found


def show(results: dict[str, Any]) -> None:
    """Speeds, and the parts of our step."""
    (case,) = results["cases"]
    kinds = [kind for kind in ("ratios", "ratios_of_processor_time") if kind in case]
    rows = []
    for name, facts in case["contestants"].items():
        others = (PLAIN, ALONE + name.removeprefix(OURS))
        found = [case[kind].get(f"{name} / {other}") for kind in kinds for other in others]
        rows.append([name, f"{facts['items_per_s']:,.1f}", *(f"{r['median']:.3f}" if r else "" for r in found)])
    head = ["times the plain loop", "times the backbone alone", "by processor time", "by processor time"]
    print_table([" ", "images/s", *head[: 2 * len(kinds)]], rows)
    for name, found in case["parts_of_a_step"].items():
        each = ", ".join(f"{part} {1000 * value:.1f}" for part, value in found["median_s"].items())
        print(f"{name}, ms a step: {each}; not backbone: {100 * found['not_backbone']['median']:.2f} %")


def _summary(parts: dict[str, list[float]]) -> dict[str, Any]:
    from benchmarks.classification_contestants import parts_of_a_step

    return parts_of_a_step(parts)


def _contest(options: argparse.Namespace) -> None:
    """Be one of the contestants."""
    from benchmarks.classification_contestants import CONTESTANTS
    from benchmarks.classification_setting import Setting

    torch.manual_seed(0)
    who = CONTESTANTS[options.contestant]
    given = Setting(
        device=torch.device(options.device),
        batch_size=options.batch_size,
        depth=options.depth,
        images=options.images,
        workers=options.workers,
        steps=options.steps,
        warm_ups=options.warm_ups,
        bf16=who.bf16,
        compiled=who.compiled,
    )
    who.run(given)


def _parsed(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.classification", description=(__doc__ or "").split("\n\n")[1]
    )
    parser.add_argument("--device", default="auto", help="auto, cpu or cuda (default: auto)")
    parser.add_argument("--json", metavar="FILE", help="write the figures to this file")
    parser.add_argument("--rounds", type=int, default=7, help="how many times each is timed, in turn (default: 7)")
    parser.add_argument("--steps", type=int, default=0, help="steps of a round (default: 2 on a CPU, 200 on a GPU)")
    parser.add_argument("--warm_ups", type=int, default=0, help="steps before (default: 2 on a CPU, 50 on a GPU)")
    parser.add_argument("--workers", type=int, default=4, help="processes of the plain loop's DataLoader (default: 4)")
    parser.add_argument("--threads", type=int, default=1, help="threads of torch in each process (default: 1)")
    parser.add_argument("--contestants", nargs="+", choices=NAMES, help="who takes part (default: all)")
    parser.add_argument("--quick", action="store_true", help="a short network, few images: does it run, not how fast")
    parser.add_argument("--contestant", choices=NAMES, help=argparse.SUPPRESS)
    for name, value in (("batch_size", 128), ("images", 50_000), ("depth", 32)):
        parser.add_argument(f"--{name}", type=int, default=value, help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    if options.device == "auto":
        options.device = "cuda" if torch.cuda.is_available() else "cpu"
    cuda = options.device.startswith("cuda")
    options.contestants = options.contestants or [name for name in NAMES if cuda or "compiled" not in name]
    if options.quick:
        options.batch_size, options.images, options.depth = 8, 200, 8
    options.steps = options.steps or (200 if cuda else 2)
    options.warm_ups = options.warm_ups or (50 if cuda else 2)
    return options


def main(arguments: Sequence[str] | None = None) -> None:
    """Parse, measure, print, write."""
    options = _parsed(arguments)
    torch.set_num_threads(options.threads)
    if options.contestant:
        _contest(options)
        return
    results = run(options)
    show(results)
    if options.json:
        write_json(options.json, results)


if __name__ == "__main__":
    main()

"""``python -m benchmarks.joint_layer``: what the joint layer costs with 8,142 classes and M = 4, so 32,568 labels.

Random features of 2,048 numbers stand for those of ResNet-50. Contestants, in turn: the loss of a plain layer on images
alone (*baseline*), of SLA and of SLA+SD on their four views, each with forward and backward pass of the layer; and the
aggregated prediction from the joint logits. Time, and the memory that is taken beyond weights, gradients and features.
"""

import argparse
import ctypes
import gc
import os
import re
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from benchmarks.provenance import print_table, provenance, ratio, time_in_turn, write_json
from episodes.targets import Targets
from episodes.transformations import Rotation
from fewshot_sla.classification.objectives import SLA, SLASD, Baseline, ClassificationObjective, Standing

CLASSES, FEATURES = 8142, 2048


class Layer:
    """The layers of an objective on random features.

    Args:
        objective: says which layers there are, and what is minimised.
        classes: N.
        features: D.
        device: where they are.
    """

    def __init__(self, objective: ClassificationObjective, classes: int, features: int, device: torch.device) -> None:
        self.objective, self.classes, self.features = objective, classes, features
        outputs = objective.outputs(classes)
        self.layers = nn.ModuleDict({name: nn.Linear(features, size) for name, size in outputs.items()}).to(device)
        self.device = device

    def batch(self, images: int) -> tuple[Tensor, Targets]:
        """Features [B, M, D] that want a gradient, and labels [B]."""
        m = self.objective.transformations.m
        features = torch.randn(images, m, self.features, device=self.device, requires_grad=True)
        return features, Targets(torch.randint(self.classes, (images,), device=self.device))

    def logits(self, features: Tensor) -> dict[str, Tensor]:
        """Of each output."""
        return {name: layer(features) for name, layer in self.layers.items()}

    def step(self, images: int) -> Callable[[], None]:
        """Forward and backward pass of so many images."""
        features, targets = self.batch(images)

        def run() -> None:
            logits = self.logits(features)
            self.objective.loss(logits, targets, Standing()).backward()
            self.objective.accuracy(logits, targets)
            features.grad = None
            self.layers.zero_grad()

        return run

    @property
    def gradient_bytes(self) -> int:
        """Of the gradients of all weights."""
        return sum(each.numel() * each.element_size() for each in self.layers.parameters())

    def prediction(self, images: int) -> Callable[[], None]:
        """The prediction by the primary inference, without a gradient."""
        features, _ = self.batch(images)

        def run() -> None:
            with torch.no_grad():
                self.objective.predict(self.logits(features), self.objective.primary)

        return run


def peak_memory(run: Callable[[], None], device: torch.device) -> int | None:
    """Bytes that a call takes at most beyond what was there before; None where the system does not say (not Linux)."""
    run()  # what is made once
    gc.collect()
    if device.type == "cuda":
        torch.cuda.synchronize(device)
        torch.cuda.reset_peak_memory_stats(device)
        before = torch.cuda.memory_allocated(device)
        run()
        return torch.cuda.max_memory_allocated(device) - before
    if sys.platform != "linux":
        return None
    ctypes.CDLL(None).malloc_trim(0)  # what is free goes back to the system, and counts again when it is taken
    Path("/proc/self/clear_refs").write_text("5")  # the peak begins here
    before = _resident("VmRSS")
    run()
    return _resident("VmHWM") - before


def _resident(what: str) -> int:
    found = re.search(rf"^{what}:\s+(\d+) kB$", Path("/proc/self/status").read_text(), re.MULTILINE)
    assert found
    return 1024 * int(found.group(1))


def _beyond(layer: Layer, stage: str, peak: int | None) -> int | None:
    """What is taken beside the gradients."""
    return peak if peak is None or stage != "step" else max(peak - layer.gradient_bytes, 0)


def objectives() -> dict[str, ClassificationObjective]:
    """Who is compared; the baseline first."""
    return {"baseline": Baseline(), "SLA": SLA(Rotation()), "SLA+SD": SLASD(Rotation())}


def run(options: argparse.Namespace) -> dict[str, Any]:
    """Every batch size, trained and predicted."""
    device = torch.device(options.device)
    began, load = provenance(device), os.getloadavg()[0]
    torch.manual_seed(0)
    layers = {name: Layer(one, options.classes, options.features, device) for name, one in objectives().items()}
    stages = []
    for images in options.batch_sizes:
        for stage in ("step", "prediction"):
            calls = {name: getattr(layer, stage)(images) for name, layer in layers.items()}
            timings = time_in_turn(calls, options.rounds)
            peaks = {name: _beyond(layers[name], stage, peak_memory(call, device)) for name, call in calls.items()}
            stages.append(
                {
                    "stage": stage,
                    "images": images,
                    "contestants": {
                        name: {**timing.facts(images), "peak_bytes": peaks[name]} for name, timing in timings.items()
                    },
                    "ratios": {
                        f"{name} / baseline": ratio(timing, timings["baseline"])
                        for name, timing in timings.items()
                        if name != "baseline"
                    },
                }
            )
            show(stages[-1])
    return {
        "benchmark": "joint_layer",
        "quick": options.quick,
        "provenance": began,
        "load_average": [load, os.getloadavg()[0]],
        "cores": os.cpu_count(),
        "classes": options.classes,
        "features": options.features,
        "m": 4,
        "parameters": {name: sum(each.numel() for each in layer.layers.parameters()) for name, layer in layers.items()},
        "stages": stages,
    }


def show(stage: dict[str, Any]) -> None:
    """One batch size as a table."""
    print(f"\n{stage['stage']}, {stage['images']} images")
    rows = []
    for name, facts in stage["contestants"].items():
        compared = stage["ratios"].get(f"{name} / baseline")
        times = f"{compared['median']:.1f}" if compared else ""
        peak = "" if facts["peak_bytes"] is None else f"{facts['peak_bytes'] / 2**20:,.0f}"
        rows.append([name, f"{1000 * facts['median_s']:,.0f}", times, peak])
    print_table([" ", "ms", "x baseline", "peak, MiB"], rows)


def main(arguments: Sequence[str] | None = None) -> None:
    """Parse, measure, write."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.joint_layer", description=(__doc__ or "").split("\n\n")[1]
    )
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--json", metavar="FILE", help="write the figures to this file")
    parser.add_argument("--rounds", type=int, default=5, help="how many times each is timed, in turn (default: 5)")
    parser.add_argument("--batch_sizes", type=int, nargs="+", default=[32, 64, 128], help="(default: 32 64 128)")
    parser.add_argument("--threads", type=int, default=1, help="threads of torch in this process (default: 1)")
    parser.add_argument("--quick", action="store_true", help="small layers: does it run, not how fast")
    options = parser.parse_args(arguments)
    options.classes, options.features = CLASSES, FEATURES
    if options.quick:
        options.classes, options.features, options.batch_sizes = 500, 16, [8, 64]
    torch.set_num_threads(options.threads)
    results = run(options)
    if options.json:
        write_json(options.json, results)


if __name__ == "__main__":
    main()

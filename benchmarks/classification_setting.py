"""What all contestants of the classification benchmark share: the setting, the images, the optimiser, the clock."""

import json
import sys
import time
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from episodes.datasets.base import DataSource
from episodes.images.labelled import LabelledImages

CLASSES, SIDE, PADDING, M = 100, 32, 4, 4
GO, PARTS = "go", "parts"
BACKBONE = ("backbone forward", "backbone backward")


class Setting(NamedTuple):
    """What all contestants share."""

    device: torch.device
    batch_size: int
    depth: int  # of the ResNet
    images: int  # in memory
    workers: int  # processes of the plain loop's DataLoader
    steps: int  # of a round
    warm_ups: int  # steps before the first round
    bf16: bool = False
    compiled: bool = False


@dataclass
class Clock:
    """Times rounds of steps on demand: a line from standard input starts one, a line of JSON says how long it took.

    Args:
        given: steps of a round, and the device to wait for.
    """

    given: Setting
    parts: dict[str, list[float]] = field(default_factory=dict)
    _made: int = 0
    _parting: bool = False
    _began: float = 0.0
    _began_work: float = 0.0
    _last: float = 0.0

    def tick(self) -> None:
        """To be called at the beginning of every step; ends the process when there is nothing more to do."""
        self.mark("optimiser and the rest")
        done, self._made = self._made - self.given.warm_ups, self._made + 1
        if done >= 0 and not done % self.given.steps:
            self._wait()
            if done:
                took, worked = time.perf_counter() - self._began, time.process_time() - self._began_work
                self._say({"seconds": took, "cpu_seconds": worked, "parts": self.parts})
            else:
                self._say({"ready": True})
            asked = sys.stdin.readline().strip()
            if not asked:
                raise SystemExit
            self._parting, self.parts = asked == PARTS, {}
            self._began, self._began_work = time.perf_counter(), time.process_time()
        self._last = time.perf_counter()

    def mark(self, part: str) -> None:
        """A part of the step has ended; noted, and the device waited for, only if that is asked for."""
        if self._parting:
            self._wait()
            now = time.perf_counter()
            self.parts.setdefault(part, []).append(now - self._last)
            self._last = now

    def watch(self, optimizer: Optimizer) -> Optimizer:
        """Mark where the optimiser begins."""
        optimizer.register_step_pre_hook(lambda *_: self.mark(BACKBONE[1]))
        return optimizer

    def watch_backbone(self, backbone: nn.Module) -> None:
        """Mark where the backbone begins and ends, there and back."""

        def after(module: nn.Module, images: Any, features: Tensor) -> None:
            self.mark(BACKBONE[0])
            if features.requires_grad:
                features.register_hook(lambda gradient: self.mark("layers and loss"))

        backbone.register_forward_pre_hook(lambda *_: self.mark("images and views"))
        backbone.register_forward_hook(after)

    def _wait(self) -> None:
        if self.given.device.type == "cuda":
            torch.cuda.synchronize(self.given.device)

    def _say(self, what: dict[str, Any]) -> None:
        print(json.dumps(what), flush=True)


class RandomImages(DataSource):
    """As many images as asked for, of noise; the time that they take is all that matters."""

    name = "random"

    def __init__(self, count: int) -> None:
        self.count = count

    def open(self, split: str) -> LabelledImages:
        """The same images for every split."""
        generator = torch.Generator().manual_seed(0)
        pixels = torch.randint(0, 256, (self.count, 3, SIDE, SIDE), dtype=torch.uint8, generator=generator)
        names = tuple(map(str, range(CLASSES)))
        return LabelledImages(pixels, torch.arange(self.count) % CLASSES, names, f"random/{split}")


def sgd(parameters: Any) -> Optimizer:
    """The optimiser of the paper."""
    return torch.optim.SGD(parameters, lr=0.1, momentum=0.9, weight_decay=1e-4)


# ---------------------------------------------------------------- the backbone by itself

"""Who makes the steps of ``benchmarks.classification``: the plain loop, the backbone by itself, and what all share.

Each is a process of its own, because what the C library does with freed memory is a setting of the process. It warms
up, prints a line of JSON, and then makes a round of steps for every line that it reads.
"""

import json
import statistics
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.optim import Optimizer
from torch.utils.data import DataLoader, Dataset

from episodes.batch_source import BatchSource
from episodes.datasets.base import DataSource
from episodes.images import LabelledImages
from episodes.normalization import Normalization
from episodes.transformations import Rotation
from fewshot_sla.backbones import ResNetCifar
from fewshot_sla.engine.memory import keep_freed_memory

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

    def load(self, split: str) -> LabelledImages:
        """The same images for every split."""
        generator = torch.Generator().manual_seed(0)
        pixels = torch.randint(0, 256, (self.count, 3, SIDE, SIDE), dtype=torch.uint8, generator=generator)
        names = tuple(map(str, range(CLASSES)))
        return LabelledImages(pixels, torch.arange(self.count) % CLASSES, names, f"random/{split}")


def sgd(parameters: Any) -> Optimizer:
    """The optimiser of the paper."""
    return torch.optim.SGD(parameters, lr=0.1, momentum=0.9, weight_decay=1e-4)


# ---------------------------------------------------------------- the backbone by itself


def backbone_alone(given: Setting) -> None:
    """Forward and backward on views that are there already, in the memory order that the backbone likes best."""
    keep_freed_memory()
    clock = Clock(given)
    images = RandomImages(given.batch_size).load("train")
    batch = BatchSource(images, given.batch_size, 0, Normalization.of(images)).batch(0)
    views = Rotation()(batch.images).flatten(0, 1).to(given.device, memory_format=torch.channels_last)
    backbone = ResNetCifar(depth=given.depth).to(given.device)
    backbone.to(memory_format=torch.channels_last)
    if given.compiled:
        backbone.compile()
    gradient: Tensor | None = None
    while True:
        clock.tick()
        with torch.autocast(given.device.type, torch.bfloat16, enabled=given.bf16):
            features = backbone(views)
        gradient = torch.ones_like(features) if gradient is None else gradient
        features.backward(gradient)
        backbone.zero_grad()


# ---------------------------------------------------------------- the loop that everybody writes


class PillowImages(Dataset):
    """Pillow images in memory, and torchvision's transforms at every access: (float [3, 32, 32], label)."""

    def __init__(self, images: LabelledImages) -> None:
        from torchvision import transforms

        self.images = [transforms.functional.to_pil_image(image) for image in images.images]
        self.labels = images.labels.tolist()
        normalization = Normalization.of(images)
        self.transform = transforms.Compose(
            [
                transforms.RandomCrop(SIDE, padding=PADDING),
                transforms.RandomHorizontalFlip(),
                transforms.ToTensor(),
                transforms.Normalize(normalization.mean.tolist(), normalization.deviation.tolist()),
            ]
        )

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, number: int) -> tuple[Tensor, int]:
        return self.transform(self.images[number]), self.labels[number]


def plain_loop(given: Setting) -> None:
    """Batches from a DataLoader, four rotations put behind one another, labels tiled, float32."""
    torch.backends.cudnn.benchmark = True  # as such programs do
    clock, device, cuda = Clock(given), given.device, given.device.type == "cuda"
    loader = DataLoader(
        PillowImages(RandomImages(given.images).load("train")),
        batch_size=given.batch_size,
        shuffle=True,
        drop_last=True,
        num_workers=given.workers,
        persistent_workers=given.workers > 0,
        pin_memory=cuda,
    )
    model = nn.Sequential(ResNetCifar(depth=given.depth), nn.Linear(64, CLASSES * M)).to(device)
    optimizer = sgd(model.parameters())
    while True:
        for images, labels in loader:
            clock.tick()
            images, labels = images.to(device, non_blocking=cuda), labels.to(device, non_blocking=cuda)
            images = torch.cat([torch.rot90(images, j, (2, 3)) for j in range(M)])
            labels = torch.cat([labels * M + j for j in range(M)])
            loss = F.cross_entropy(model(images), labels)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()


def ours(given: Setting) -> None:
    """The trainer itself."""
    from benchmarks.classification_trainer import run_trainer  # the others need not wait for its imports

    run_trainer(given, Clock(given))


class Contestant(NamedTuple):
    """Who runs, and how."""

    run: Callable[[Setting], None]
    bf16: bool = False
    compiled: bool = False


CONTESTANTS = {
    "plain loop": Contestant(plain_loop),
    "ours": Contestant(ours),
    "backbone alone": Contestant(backbone_alone),
    "ours, bf16": Contestant(ours, bf16=True),
    "backbone alone, bf16": Contestant(backbone_alone, bf16=True),
    "ours, bf16, compiled": Contestant(ours, bf16=True, compiled=True),
    "backbone alone, bf16, compiled": Contestant(backbone_alone, bf16=True, compiled=True),
}


def parts_of_a_step(seconds: dict[str, list[float]]) -> dict[str, Any]:
    """Median seconds of every part, and the share of a step that is neither the backbone's forward nor its backward."""
    steps = [dict(zip(seconds, laps, strict=True)) for laps in zip(*seconds.values(), strict=True)]
    shares = [1 - sum(step[part] for part in BACKBONE) / sum(step.values()) for step in steps]
    return {
        "median_s": {part: statistics.median(laps) for part, laps in seconds.items()},
        "not_backbone": {"median": statistics.median(shares), "min": min(shares), "max": max(shares)},
        "steps": len(steps),
    }

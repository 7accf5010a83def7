"""Who makes the steps of ``benchmarks.classification``: the plain loop, the backbone by itself, and what all share.

Each is a process of its own, because what the C library does with freed memory is a setting of the process. It warms
up, prints a line of JSON, and then makes a round of steps for every line that it reads.
"""

import statistics
from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.data import DataLoader, Dataset

from benchmarks.classification_setting import BACKBONE, CLASSES, PADDING, SIDE, Clock, M, RandomImages, Setting, sgd
from benchmarks.classification_trainer import run_trainer
from episodes.batches.source import BatchSource
from episodes.images.labelled import LabelledImages
from episodes.images.normalization import Normalization
from episodes.transformations import Rotation
from episodes.views import normalized_views
from fewshot_sla.backbones import ResNetCifar
from fewshot_sla.cli.memory import keep_freed_memory


def backbone_alone(given: Setting) -> None:
    """Forward and backward on views that are there already, in the memory order that the backbone likes best."""
    keep_freed_memory()
    clock = Clock(given)
    images = RandomImages(given.batch_size).open("train")
    normalization = Normalization.of(images)
    batch = BatchSource(images, given.batch_size, 0).batch(0)
    views = (
        normalized_views(batch.pixels, Rotation(), normalization)
        .flatten(0, 1)
        .to(given.device, memory_format=torch.channels_last)
    )
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
        PillowImages(RandomImages(given.images).open("train")),
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
